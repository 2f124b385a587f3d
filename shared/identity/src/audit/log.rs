use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Entity, Filter, Query, Transaction};

use super::{AuditEntry, AuditEvent, AuditRecord, AuditVerification, append, verify};
use crate::core::Core;
use crate::{AuditError, Context, Listed, PageRequest, Permission, UserId, rfc3339};

/// Which entries to list: those that fit everything that is given, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Who did it: a user's id, `system` or `anonymous`.
    pub actor: Option<String>,
    /// Whom it concerns: a user's id, or `role:` and a role's name.
    pub subject: Option<String>,
    /// What was done, as in `user.disabled`.
    pub action: Option<String>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Not after this time.
    pub to: Option<Timestamp>,
}

/// Reads and verifies the audit log, and writes to it for other domains.
#[derive(Clone, Copy, Debug)]
pub struct AuditLog<'a>(pub(crate) &'a Core);

impl AuditLog<'_> {
    /// Records events in a transaction of the caller's, which they are then part of. Call it once in a transaction.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn record(
        &self,
        tx: &Transaction,
        context: &Context,
        events: &[AuditEvent],
    ) -> Result<(), switchyard_database::Error> {
        append(tx, &self.0.audit_keys, self.0.db.ambient(), context, events).await
    }

    /// Entries that fit a filter, the latest first. Needs `audit:read`.
    pub async fn list(
        &self,
        context: &Context,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Listed<AuditEntry>, AuditError> {
        self.0.require(context, Permission::AuditRead, "audit-logs").await?;
        self.page(filter, page).await
    }

    /// Entries that concern a user, the latest first. For the user, and for who has `audit:read`. The user is told what
    /// somebody else has done to the account, but not from which address and with which device.
    pub async fn list_of_user(
        &self,
        context: &Context,
        id: UserId,
        page: &PageRequest,
    ) -> Result<Listed<AuditEntry>, AuditError> {
        self.0.require_self_or(context, id, Permission::AuditRead).await?;
        let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
        let mut entries = self.page(&filter, page).await?;
        if !context.may(Permission::AuditRead) {
            let is_by_another =
                |entry: &&mut AuditEntry| entry.actor.parse().is_ok_and(|actor: UserId| actor != id);
            for entry in entries.items.iter_mut().filter(is_by_another) {
                (entry.address, entry.user_agent) = (None, None);
            }
        }
        Ok(entries)
    }

    /// Recomputes a part of the log, from the start or from the `next_cursor` of the part before, and names the first
    /// break. Needs `audit:read`. `limit` counts the entries looked at, any number of them; each is looked at twice, once
    /// along its chain and later once among all.
    ///
    /// # Errors
    ///
    /// [`BadCursor`](switchyard_database::Error::BadCursor) for what is no `next_cursor`.
    pub async fn verify(
        &self,
        context: &Context,
        part: &PageRequest,
    ) -> Result<AuditVerification, AuditError> {
        self.0.require(context, Permission::AuditRead, "audit-logs/verify").await?;
        Ok(verify::verify(&self.0.db, &self.0.audit_keys, part).await?)
    }

    async fn page(&self, filter: &AuditFilter, page: &PageRequest) -> Result<Listed<AuditEntry>, AuditError> {
        let page = self.0.db.collection::<AuditRecord>().query(&query_of(filter, page)).await?;
        Ok(Listed {
            items: page.items.iter().map(|record| AuditEntry::from(&**record)).collect(),
            next: page.next,
        })
    }
}

/// Walks along the index that leaves the least to filter out.
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
        // Times are shown to the millisecond and stored to the microsecond, so that entries keep their order.
        query = query.below([rfc3339::to_millisecond(to) + Duration::from_millis(1)]);
    }
    query.descending().limit(page.limit).after(page.cursor.clone())
}
