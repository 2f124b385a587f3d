use crate::permissions;
use std::collections::BTreeMap;
use switchyard_kernel::Context;

use serde::Serialize;
use switchyard_database::{Consistency, Entity as _, Query, limits};
use utoipa::ToSchema;

use super::{UserCountsPart, UserRecord, Users};
use crate::UserError;
use crate::password::Attempts;

/// The numbers of users, without deleted ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserStats {
    /// All users: active, disabled and locked.
    pub total: i64,
    /// Users whose state is `active`.
    pub active: i64,
    /// Users whose state is `disabled`.
    pub disabled: i64,
    /// Users whose state is `locked`.
    pub locked: i64,
    /// Users by role. A user with two roles counts in both. Roles without users are left out.
    #[schema(example = json!({"customer": 1}))]
    pub by_role: BTreeMap<String, i64>,
    /// Users created on the last 7 days in UTC, including today.
    pub registered_last_7_days: i64,
    /// Users created on the last 30 days in UTC, including today.
    pub registered_last_30_days: i64,
}

impl Users<'_> {
    /// The numbers of users. Requires `users:read`.
    ///
    /// Every change of a user updates the counts. Adding them up costs the same for a thousand users and for a
    /// million. Only locked users are counted one by one, since a lock ends without a write.
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
            let query = Query::new(Attempts::COLLECTION, "by_lock")
                .above([context.now])
                .limit(limits::MAX_PAGE)
                .after(cursor);
            let page = self.identity.db().collection::<Attempts>().query(&query).await?;
            let ids = page.items.iter().map(|attempts| attempts.id().to_owned());
            let users =
                self.identity.db().collection::<UserRecord>().get_many(ids, Consistency::Eventual).await?;
            let active = users.iter().flatten().filter(|user| user.is_active());
            locked += i64::try_from(active.count()).unwrap_or(0);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(locked);
            }
        }
    }
}
