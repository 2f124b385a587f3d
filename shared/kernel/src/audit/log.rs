use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Entity, Filter, Query};

use super::chain::all_ends;
use super::record::{AuditRecord, OtherActor};
use super::{AUDIT_READ, AnchorError, AuditAnchor, AuditBreak, AuditEntry, AuditVerification, verify};
use crate::{CommonError, Context, Faults, FieldPath, Kernel, Page, PageRequest, UserId, rfc3339};

/// The number of entries that are verified before the next are read, where the whole log is verified.
const PART: u32 = 10_000;

/// Which entries to list: those that match every field that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The actor: a user's id, `system` or `anonymous`.
    pub actor: Option<String>,
    /// Whom it concerns: a user's id, or `role:` and a role's name.
    pub subject: Option<String>,
    /// The action, as in `user.disabled`.
    pub action: Option<String>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Not after this time.
    pub to: Option<Timestamp>,
}

/// Reads and verifies the audit log. [`Kernel::transact`] writes it.
#[derive(Clone, Copy, Debug)]
pub struct AuditLog<'a> {
    kernel: &'a Kernel,
}

impl<'a> AuditLog<'a> {
    pub(crate) fn new(kernel: &'a Kernel) -> Self {
        Self { kernel }
    }

    /// The entries that match a filter, the latest first. Requires `audit:read`.
    ///
    /// # Errors
    ///
    /// [`CommonError::Invalid`] if the filter names an action that no manifest declares: there are no entries of it, and a
    /// misspelt name must not look like good news.
    pub async fn list(
        &self,
        context: &Context,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, CommonError> {
        self.kernel.require(context, AUDIT_READ, "audit-logs").await?;
        let is_declared = |name: &String| self.kernel.actions().any(|action| action.as_str() == name);
        if filter.action.as_ref().is_some_and(|name| !is_declared(name)) {
            return Err(Faults::at(FieldPath::key("action"), "is not an action of the audit log").into());
        }
        self.page(filter, page).await
    }

    /// The entries that concern a user, the latest first. Requires the user themselves, or `audit:read`. Without
    /// `audit:read`, entries of other actors show neither address nor device.
    pub async fn list_of_user(
        &self,
        context: &Context,
        id: UserId,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, CommonError> {
        self.kernel.require_owner_or(context, id, AUDIT_READ, &format!("users/{id}")).await?;
        let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
        let mut entries = self.page(&filter, page).await?;
        if !context.may(AUDIT_READ) {
            let is_by_another =
                |entry: &&mut AuditEntry| entry.actor.parse().is_ok_and(|actor: UserId| actor != id);
            for entry in entries.data.iter_mut().filter(is_by_another) {
                (entry.address, entry.user_agent) = (None, None);
            }
        }
        Ok(entries)
    }

    /// Verifies a part of the log, from the start or from the `next_cursor` of the previous part, and reports the first
    /// break. Requires `audit:read`. The limit of `part` is the number of entries to check, and may be any number. Each entry
    /// is checked twice: once along its chain, and later once in a scan over all entries.
    ///
    /// # Errors
    ///
    /// [`BadCursor`](switchyard_database::Error::BadCursor) if the cursor is not a `next_cursor`.
    pub async fn verify(
        &self,
        context: &Context,
        part: &PageRequest,
    ) -> Result<AuditVerification, CommonError> {
        self.kernel.require(context, AUDIT_READ, "audit-logs/verify").await?;
        let keys = self.kernel.audit_keys()?;
        Ok(verify::verify(self.kernel.db(), &keys, part).await?)
    }

    /// Verifies the whole log, in parts, and reports the first break. Requires `audit:read`.
    pub async fn verify_whole(&self, context: &Context) -> Result<AuditVerification, CommonError> {
        let (mut entries, mut part) = (0, PageRequest::first(PART));
        loop {
            let verified = self.verify(context, &part).await?;
            entries += verified.entries;
            match &verified.next_cursor {
                Some(next) => part = PageRequest::after(PART, next.clone()),
                None => return Ok(AuditVerification { entries, ..verified }),
            }
        }
    }

    /// The ends of all chains as they are now, to be kept elsewhere. Requires `audit:read`.
    pub async fn anchor(&self, context: &Context) -> Result<AuditAnchor, CommonError> {
        self.kernel.require(context, AUDIT_READ, "audit-logs/anchor").await?;
        let ends = all_ends(self.kernel.db()).await?;
        let keys = self.kernel.audit_keys()?;
        Ok(AuditAnchor::new(self.kernel.ambient().now(), &ends, &keys)?)
    }

    /// Reads an anchor from its line, and checks that it was written with a key of this log.
    pub fn read_anchor(&self, line: &str) -> Result<AuditAnchor, AnchorError> {
        let keys = self.kernel.audit_keys().map_err(|_| AnchorError::UnknownKey)?;
        AuditAnchor::parse(line, &keys)
    }

    /// Holds the chains against an anchor. Returns the first place where they contradict it. Requires `audit:read`. That the
    /// entries before are complete is shown by [`verify`](Self::verify).
    pub async fn verify_anchor(
        &self,
        context: &Context,
        anchor: &AuditAnchor,
    ) -> Result<Option<AuditBreak>, CommonError> {
        self.kernel.require(context, AUDIT_READ, "audit-logs/verify").await?;
        let keys = self.kernel.audit_keys()?;
        Ok(verify::find_set_back(self.kernel.db(), &keys, anchor.ends()).await?)
    }

    async fn page(
        &self,
        filter: &AuditFilter,
        request: &PageRequest,
    ) -> Result<Page<AuditEntry>, CommonError> {
        let page = self.kernel.db().collection::<AuditRecord>().query(&query_of(filter, request)).await?;
        Ok(Page::of(page, request, |record| AuditEntry::from(record)))
    }
}

/// Uses the index that leaves the least to filter out.
fn query_of(filter: &AuditFilter, page: &PageRequest) -> Query {
    let collection = AuditRecord::COLLECTION;
    let other_actor = filter.actor.as_deref().and_then(OtherActor::named);
    let user_id = filter.actor.as_deref().filter(|_| other_actor.is_none());
    let (mut query, user_id) = match (&filter.subject, user_id) {
        (Some(subject), user_id) => {
            (Query::new(collection, "by_subject").partition([subject.as_str()]), user_id)
        }
        (None, Some(id)) => (Query::new(collection, "by_actor").partition([id]), None),
        (None, None) => (Query::new(collection, "by_time"), None),
    };
    let filters = [
        ("actor", user_id),
        ("kind", other_actor.map(OtherActor::as_str)),
        ("action", filter.action.as_deref()),
    ];
    for (field, value) in filters {
        if let Some(value) = value {
            query = query.filter(Filter::equals(field, value));
        }
    }
    if let Some(from) = filter.from {
        query = query.at_least([from]);
    }
    if let Some(to) = filter.to {
        // Times are shown to the millisecond and stored to the microsecond, so entries keep their order.
        query = query.below([rfc3339::to_millisecond(to) + Duration::from_millis(1)]);
    }
    query.descending().limit(page.limit).after(page.cursor.clone())
}
