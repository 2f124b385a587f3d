use std::fmt::Debug;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::{Error as DatabaseError, Transaction};

use crate::{Permissions, Principal, UserId};

/// What other domains need to know about users, answered by the domain that keeps them.
///
/// An access token describes its user at the time it was issued. For decisions that must not rest on an outdated token,
/// this trait reads the current state.
#[async_trait]
pub trait Authority: Debug + Send + Sync + 'static {
    /// What `principal` may do now: the permissions of the token that the user still has. A user who was deleted or
    /// disabled has none.
    async fn current_permissions(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Permissions, DatabaseError>;

    /// Whether the user exists and is neither deleted nor disabled. Read through `tx`, so that the transaction commits only
    /// if it is still so.
    async fn is_user_active(&self, tx: &Transaction, user: UserId) -> Result<bool, DatabaseError>;
}
