use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Db, Error};

use super::RoleRecord;
use super::record::ADMIN;
use crate::{Permissions, RoleName};

/// How long what a role permits is believed without asking.
const TTL: Duration = Duration::from_secs(30);

/// What the roles permit, as far as it was asked for lately: a request that carries an access token costs no read of the
/// database for it. The names come out of tokens that we signed, so there are as many entries as roles ever named.
#[derive(Debug, Default)]
pub(crate) struct RoleCache(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    permissions: HashMap<RoleName, (Timestamp, Permissions)>,
    /// How often a role was changed here: what was read before a change is not kept after it.
    changes: u64,
}

impl RoleCache {
    /// What all of `roles` permit together. A role that does not exist (any more) permits nothing.
    pub(crate) async fn permissions_of(
        &self,
        db: &Db,
        roles: &[RoleName],
        now: Timestamp,
    ) -> Result<Permissions, Error> {
        if roles.iter().any(|role| role.as_str() == ADMIN) {
            return Ok(Permissions::all());
        }
        let (mut permissions, mut unknown) = (Permissions::NONE, Vec::new());
        let changes = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            for role in roles {
                match known.permissions.get(role).filter(|(read_at, _)| now.since(*read_at) < TTL) {
                    Some((_, of_role)) => permissions = permissions.union(*of_role),
                    None => unknown.push(role),
                }
            }
            known.changes
        };
        if !unknown.is_empty() {
            let records =
                db.collection::<RoleRecord>().get_many(unknown.iter().map(|role| role.as_str())).await?;
            for (role, record) in unknown.into_iter().zip(records) {
                let of_role = record.map_or(Permissions::NONE, |record| record.effective_permissions());
                self.remember(role, of_role, now, changes);
                permissions = permissions.union(of_role);
            }
        }
        Ok(permissions)
    }

    /// Keeps what was read of a role when so many changes had been made.
    fn remember(&self, role: &RoleName, permissions: Permissions, now: Timestamp, changes: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.changes == changes {
            known.permissions.insert(role.clone(), (now, permissions));
        }
    }

    /// Forgets what a role permits, because it was changed.
    pub(crate) fn forget(&self, role: &RoleName) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.permissions.remove(role);
        known.changes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (cache, now) = (RoleCache::default(), Timestamp::from_micros(0));
        let role: RoleName = "merchant".parse().expect("a name");
        cache.forget(&role);
        cache.remember(&role, Permissions::all(), now, 0);
        assert_eq!(cache.0.read().expect("nobody panics").permissions.get(&role), None);
        cache.remember(&role, Permissions::NONE, now, 1);
        let known = cache.0.read().expect("nobody panics").permissions.get(&role).copied();
        assert_eq!(known, Some((now, Permissions::NONE)));
    }
}
