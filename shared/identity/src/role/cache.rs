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
pub(crate) struct RoleCache(RwLock<HashMap<RoleName, (Timestamp, Permissions)>>);

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
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            for role in roles {
                match known.get(role).filter(|(read_at, _)| now.since(*read_at) < TTL) {
                    Some((_, of_role)) => permissions = permissions.union(*of_role),
                    None => unknown.push(role),
                }
            }
        }
        if !unknown.is_empty() {
            let records =
                db.collection::<RoleRecord>().get_many(unknown.iter().map(|role| role.as_str())).await?;
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            for (role, record) in unknown.into_iter().zip(records) {
                let of_role = record.map_or(Permissions::NONE, |record| record.effective_permissions());
                known.insert(role.clone(), (now, of_role));
                permissions = permissions.union(of_role);
            }
        }
        Ok(permissions)
    }

    /// Forgets what a role permits, because it was changed.
    pub(crate) fn forget(&self, role: &RoleName) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(role);
    }
}
