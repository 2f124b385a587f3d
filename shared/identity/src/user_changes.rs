use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchyard_ambient::Timestamp;
use switchyard_database::{Error as DatabaseError, Stored};
use switchyard_kernel::{AuditedTransaction, Kernel, RoleName};

use crate::components::ServiceError;
use crate::role::{Membership, RoleRecord, is_built_in};
use crate::user::{AdminCount, UserCounts, UserCountsPart, UserRecord};

/// A transaction that changes users. Dereferences to the audited transaction.
///
/// Every write of a user goes through it, so that counts, memberships and the guard of the last admin always
/// agree with the users. They are written once at the end: a document can have only one operation in a
/// transaction, and several users may change in it.
#[derive(Clone, Debug)]
pub(crate) struct UserChanges {
    tx: AuditedTransaction,
    kernel: Kernel,
    now: Timestamp,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Debug, Default)]
struct Pending {
    counts: UserCounts,
    /// By how much the number of users of each deletable role changes.
    members: BTreeMap<RoleName, i64>,
    /// By how much the number of admins who can sign in changes.
    admins: i64,
}

impl UserChanges {
    pub(crate) fn new(tx: AuditedTransaction, kernel: Kernel, now: Timestamp) -> Self {
        Self { tx, kernel, now, pending: Arc::default() }
    }

    /// Stores a new user.
    pub(crate) fn insert_user(&self, user: &UserRecord) -> Result<Stored<UserRecord>, DatabaseError> {
        let user = user.clone().with_derived_fields();
        for role in user.roles.iter().filter(|role| Membership::is_kept(role)) {
            self.insert(&Membership::of(&user, role))?;
        }
        self.count(None, &user);
        self.insert(&user)
    }

    /// Replaces a stored user.
    pub(crate) async fn replace_user(
        &self,
        previous: &Stored<UserRecord>,
        user: &UserRecord,
    ) -> Result<Stored<UserRecord>, DatabaseError> {
        let user = user.clone().with_derived_fields();
        let kept = |role: &&RoleName| Membership::is_kept(role);
        for role in user.roles.iter().filter(kept).filter(|role| !previous.roles.contains(role)) {
            self.insert(&Membership::of(&user, role))?;
        }
        for role in previous.roles.iter().filter(kept).filter(|role| !user.roles.contains(role)) {
            if let Some(membership) = self.get::<Membership>(&Membership::id_of(role, user.id)).await? {
                self.delete(&membership)?;
            }
        }
        self.count(Some(previous), &user);
        self.replace(previous, &user)
    }

    fn count(&self, before: Option<&UserRecord>, after: &UserRecord) {
        let mut pending = self.pending();
        let now = self.now;
        if let Some(before) = before {
            pending.counts.add(before, -1, now);
        }
        pending.counts.add(after, 1, now);
        pending.admins += i64::from(after.is_effective_admin());
        pending.admins -= i64::from(before.is_some_and(UserRecord::is_effective_admin));
        for (user, by) in before.map(|user| (user, -1)).into_iter().chain([(after, 1)]) {
            for role in user.counted_roles().iter().filter(|role| !is_built_in(&self.kernel, role)) {
                *pending.members.entry(role.clone()).or_default() += by;
            }
        }
    }

    /// Writes what follows from the changes.
    pub(crate) async fn finish<E: ServiceError>(&self) -> Result<(), E> {
        let Pending { counts, members, admins } = std::mem::take(&mut *self.pending());
        if admins != 0 && !AdminCount::change(self, admins).await? {
            return Err(E::last_admin());
        }
        for (role, by) in members.iter().filter(|(_, by)| **by != 0) {
            self.increment::<RoleRecord>(role.as_str(), "members", *by).at_least(0)?;
        }
        if !counts.is_empty() {
            UserCountsPart::add(self, self.kernel.ambient(), &counts, self.now).await?;
        }
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for UserChanges {
    type Target = AuditedTransaction;

    fn deref(&self) -> &AuditedTransaction {
        &self.tx
    }
}
