use crate::permissions;
use std::collections::BTreeMap;
use switchyard_kernel::Context;

use serde::Serialize;
use switchyard_database::{Entity as _, Filter, Query, limits};
use utoipa::ToSchema;

use super::{UserCountsPart, UserRecord, Users};
use crate::UserError;

/// How many users there are; deleted ones do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserStats {
    /// All of them: active, disabled and locked.
    pub total: i64,
    /// Those whose state is `active`.
    pub active: i64,
    /// Those whose state is `disabled`.
    pub disabled: i64,
    /// Those whose state is `locked`.
    pub locked: i64,
    /// By role; a user with two roles counts in both. Roles that nobody has are left out.
    #[schema(example = json!({"customer": 1}))]
    pub by_role: BTreeMap<String, i64>,
    /// Those who were made on the last 7 days in UTC, today counted.
    pub registered_last_7_days: i64,
    /// Those who were made on the last 30 days in UTC, today counted.
    pub registered_last_30_days: i64,
}

impl Users<'_> {
    /// How many users there are. Needs `users:read`.
    ///
    /// Counts are kept as users change and added up here, which costs the same for a thousand users and for a million.
    /// Only those who are locked out at the moment are counted one by one: a lock ends without anybody writing it down.
    pub async fn stats(&self, context: &Context) -> Result<UserStats, UserError> {
        self.identity.kernel.require(context, permissions::USERS_READ, "users/stats").await?;
        let counts = UserCountsPart::total(self.identity.db(), context.now).await?;
        let locked = self.count_locked(context).await?.min(counts.enabled);
        Ok(UserStats {
            total: counts.enabled + counts.disabled,
            active: counts.enabled - locked,
            disabled: counts.disabled,
            locked,
            registered_last_7_days: counts.registered_on_last(7, context.now),
            registered_last_30_days: counts.registered_on_last(30, context.now),
            by_role: counts.by_role,
        })
    }

    async fn count_locked(&self, context: &Context) -> Result<i64, UserError> {
        let mut locked = 0;
        let mut cursor = None;
        loop {
            let query = Query::new(UserRecord::COLLECTION, "by_lock")
                .above([context.now])
                .filter(Filter::equals("mark", "locked"))
                .limit(limits::MAX_PAGE)
                .after(cursor);
            let page = self.identity.db().collection::<UserRecord>().query(&query).await?;
            locked += i64::try_from(page.items.len()).unwrap_or(0);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(locked);
            }
        }
    }
}
