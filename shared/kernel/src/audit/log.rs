use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Entity, Filter, Query};

use super::record::AuditRecord;
use super::{AUDIT_READ, AuditEntry, AuditVerification, verify};
use crate::{CommonError, Context, Kernel, Page, PageRequest, UserId, rfc3339};

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
    pub async fn list(
        &self,
        context: &Context,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, CommonError> {
        self.kernel.require(context, AUDIT_READ, "audit-logs").await?;
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
        Ok(verify::verify(self.kernel.db(), self.kernel.audit_keys(), part).await?)
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
    let fields = [("subject", &filter.subject), ("actor", &filter.actor), ("action", &filter.action)];
    let mut given =
        fields.into_iter().filter_map(|(field, value)| value.as_ref().map(|value| (field, value)));
    let mut query = match given.next() {
        Some((field, value)) => {
            let index = match field {
                "subject" => "by_subject",
                "actor" => "by_actor",
                _ => "by_action",
            };
            Query::new(AuditRecord::COLLECTION, index).partition([value.as_str()])
        }
        None => Query::new(AuditRecord::COLLECTION, "by_time"),
    };
    for (field, value) in given {
        query = query.filter(Filter::equals(field, value.as_str()));
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
