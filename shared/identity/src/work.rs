//! A transaction, with what follows from the changes of users collected until its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Error as DatabaseError, Stored, Transaction};

use crate::audit::AuditEvent;
use crate::role::{Membership, RoleRecord, is_built_in};
use crate::user::{AdminCount, Census, CensusShard, UserRecord};
use crate::{AccountError, EditError, RoleError, RoleName, SessionError, UserError};

/// Every write of a user goes through here, so that counts, memberships and the guard of the last admin always agree with
/// the users. They are written once at the end: a document can have one operation in a transaction, and several users may
/// change in it.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) tx: Transaction,
    ambient: Ambient,
    now: Timestamp,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Debug, Default)]
struct Pending {
    census: Census,
    /// By how many the users of a role that can be deleted grow.
    members: BTreeMap<RoleName, i64>,
    /// By how many the admins who can sign in grow.
    admins: i64,
    events: Vec<AuditEvent>,
}

/// Why a transaction's changes do not hold together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WorkFault {
    /// Nobody who can sign in would be an admin any more.
    LastAdmin,
    Database(DatabaseError),
}

impl From<DatabaseError> for WorkFault {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl Work {
    pub(crate) fn new(tx: Transaction, ambient: Ambient, now: Timestamp) -> Self {
        Self { tx, ambient, now, pending: Arc::default() }
    }

    /// Stores a new user.
    pub(crate) fn insert_user(&self, user: &UserRecord) -> Result<Stored<UserRecord>, DatabaseError> {
        let user = user.clone().with_marks();
        for role in &user.roles {
            self.tx.insert(&Membership::of(&user, role))?;
        }
        self.count(None, &user);
        self.tx.insert(&user)
    }

    /// Stores a user in the place of what they were.
    pub(crate) async fn replace_user(
        &self,
        previous: &Stored<UserRecord>,
        user: &UserRecord,
    ) -> Result<Stored<UserRecord>, DatabaseError> {
        let user = user.clone().with_marks();
        for role in user.roles.iter().filter(|role| !previous.roles.contains(role)) {
            self.tx.insert(&Membership::of(&user, role))?;
        }
        for role in previous.roles.iter().filter(|role| !user.roles.contains(role)) {
            if let Some(membership) = self.tx.get::<Membership>(&Membership::id_of(role, user.id)).await? {
                self.tx.delete(&membership)?;
            }
        }
        self.count(Some(previous), &user);
        self.tx.replace(previous, &user)
    }

    /// Records an event in the audit log.
    pub(crate) fn record(&self, event: AuditEvent) {
        self.pending().events.push(event);
    }

    fn count(&self, before: Option<&UserRecord>, after: &UserRecord) {
        let mut pending = self.pending();
        let now = self.now;
        if let Some(before) = before {
            pending.census.add(before, -1, now);
        }
        pending.census.add(after, 1, now);
        pending.admins += i64::from(after.is_effective_admin());
        pending.admins -= i64::from(before.is_some_and(UserRecord::is_effective_admin));
        for (user, by) in before.map(|user| (user, -1)).into_iter().chain([(after, 1)]) {
            for role in user.counted_roles().iter().filter(|role| !is_built_in(role)) {
                *pending.members.entry(role.clone()).or_default() += by;
            }
        }
    }

    /// Writes what follows from the changes, and hands over what is to be recorded.
    pub(crate) async fn finish(&self) -> Result<Vec<AuditEvent>, WorkFault> {
        let Pending { census, members, admins, events } = std::mem::take(&mut *self.pending());
        if admins != 0 {
            AdminCount::change(&self.tx, admins).await?;
        }
        for (role, by) in members.iter().filter(|(_, by)| **by != 0) {
            self.tx.increment::<RoleRecord>(role.as_str(), "members", *by).at_least(0)?;
        }
        if !census.is_empty() {
            CensusShard::add(&self.tx, &self.ambient, &census, self.now).await?;
        }
        Ok(events)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<WorkFault> for UserError {
    fn from(fault: WorkFault) -> Self {
        match fault {
            WorkFault::LastAdmin => Self::LastAdmin,
            WorkFault::Database(error) => Self::Database(error),
        }
    }
}

/// For services whose changes take no admin away.
macro_rules! fault_becomes {
    ($($error:ident),+) => {
        $(impl From<WorkFault> for $error {
            fn from(fault: WorkFault) -> Self {
                match fault {
                    WorkFault::LastAdmin => {
                        Self::Database(DatabaseError::Internal("a change took the last admin away".to_owned()))
                    }
                    WorkFault::Database(error) => Self::Database(error),
                }
            }
        })+
    };
}

fault_becomes!(AccountError, SessionError, RoleError);

impl<S: From<WorkFault>, E> From<WorkFault> for EditError<S, E> {
    fn from(fault: WorkFault) -> Self {
        Self::Service(fault.into())
    }
}
