use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::{Consistency, Db, Error, Transaction};
use switchyard_kernel::{Authority, Manifests, Permissions, Principal, RoleName};

use super::RoleRecord;
use super::record::ADMIN;
use crate::user::UserRecord;

/// How long the permissions of a role are cached.
const TTL: Duration = Duration::from_secs(30);

/// Answers what users may do: from the roles and users that are stored, with a cache of the roles.
///
/// A request with an access token therefore costs no read of the database for its permissions. The names of roles come from
/// tokens that the service signed, so the cache has at most as many entries as there were ever roles. Cheap to clone; clones
/// share the cache.
#[derive(Clone, Debug)]
pub struct RoleAuthority {
    db: Db,
    manifests: Manifests,
    cache: Arc<RwLock<Cache>>,
}

#[derive(Debug, Default)]
struct Cache {
    permissions: HashMap<RoleName, (Timestamp, Permissions)>,
    /// How often a role was changed here. What was read before a change is not cached after it.
    changes: u64,
}

impl RoleAuthority {
    /// The authority for a program made of `manifests`. Does no I/O.
    pub fn new(db: Db, manifests: Manifests) -> Self {
        Self { db, manifests, cache: Arc::default() }
    }

    /// What `roles` permit together. A role that does not exist permits nothing, and neither does a stored permission that is
    /// no longer declared. A change of a role takes effect at once in this process, elsewhere within 30 seconds.
    pub(crate) async fn permissions_of(
        &self,
        roles: &[RoleName],
        now: Timestamp,
    ) -> Result<Permissions, Error> {
        if roles.iter().any(|role| role.as_str() == ADMIN) {
            return Ok(Permissions::EVERY);
        }
        let (mut permissions, mut missing) = (Permissions::NONE, Vec::new());
        let changes = {
            let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
            for role in roles {
                match cache.permissions.get(role).filter(|(read_at, _)| now.since(*read_at) < TTL) {
                    Some((_, of_role)) => permissions = permissions.union(of_role.clone()),
                    None => missing.push(role),
                }
            }
            cache.changes
        };
        if !missing.is_empty() {
            let names = missing.iter().map(|role| role.as_str());
            let records =
                self.db.collection::<RoleRecord>().get_many(names, Consistency::Linearizable).await?;
            for (role, record) in missing.into_iter().zip(records) {
                let of_role = record.map_or(Permissions::NONE, |record| self.permissions_in(&record));
                self.remember(role, &of_role, now, changes);
                permissions = permissions.union(of_role);
            }
        }
        Ok(permissions)
    }

    /// What a role permits.
    pub(crate) fn permissions_in(&self, role: &RoleRecord) -> Permissions {
        if role.name.as_str() == ADMIN {
            return Permissions::EVERY;
        }
        let declared = self.manifests.iter().flat_map(|manifest| manifest.permissions);
        declared.filter(|permission| role.permissions.contains(permission.name())).copied().collect()
    }

    /// Caches what was read of a role when `changes` changes had been made.
    fn remember(&self, role: &RoleName, permissions: &Permissions, now: Timestamp, changes: u64) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.changes == changes {
            cache.permissions.insert(role.clone(), (now, permissions.clone()));
        }
    }

    /// Removes a role from the cache, because it was changed.
    pub(crate) fn forget(&self, role: &RoleName) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.permissions.remove(role);
        cache.changes += 1;
    }
}

#[async_trait]
impl Authority for RoleAuthority {
    async fn current_permissions(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Option<Permissions>, Error> {
        let user = self.db.collection::<UserRecord>().get(principal.user_id.as_str()).await?;
        let Some(user) = user.filter(|user| user.has_live_session(principal)) else { return Ok(None) };
        let current = self.permissions_of(&user.roles, now).await?;
        Ok(Some(principal.permissions.clone().intersection(current)))
    }

    async fn is_session_live(&self, tx: &Transaction, principal: &Principal) -> Result<bool, Error> {
        let user = tx.get::<UserRecord>(principal.user_id.as_str()).await?;
        Ok(user.is_some_and(|user| user.has_live_session(principal)))
    }
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::Ambient;
    use switchyard_sqlite::Sqlite;

    use super::*;

    #[test]
    fn permissions_that_were_read_before_a_change_are_not_cached_after_it() {
        let ambient = Ambient::system();
        let sqlite = Sqlite::in_memory(ambient.clone()).unwrap();
        let authority = RoleAuthority::new(Db::new(Arc::new(sqlite), ambient), &[]);
        let now = Timestamp::from_micros(0);
        let role: RoleName = "merchant".parse().unwrap();
        let cached = || authority.cache.read().unwrap().permissions.get(&role).cloned();
        authority.forget(&role);
        authority.remember(&role, &Permissions::EVERY, now, 0);
        assert_eq!(cached(), None);
        authority.remember(&role, &Permissions::NONE, now, 1);
        assert_eq!(cached(), Some((now, Permissions::NONE)));
    }
}
