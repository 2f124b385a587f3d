use std::fmt::Debug;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::{Error as DatabaseError, Transaction};

use crate::{Permissions, Principal};

/// What other domains need to know about users, answered by the domain that keeps them.
///
/// An access token describes its user at the time it was issued. For decisions that must not rest on an outdated token,
/// this trait reads the current state. A session has ended if its user signed out of it or of all sessions, changed the
/// password elsewhere, or was disabled or deleted. Its last access token still serves to read until it expires, and no
/// longer to write.
#[async_trait]
pub trait Authority: Debug + Send + Sync + 'static {
    /// What `principal` may do now: the permissions of the token that the user still has. `None` if the session of the token
    /// has ended.
    async fn current_permissions(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Option<Permissions>, DatabaseError>;

    /// Whether the session of `principal` is live. Read through `tx`, so that the transaction commits only if it is still so.
    async fn is_session_live(&self, tx: &Transaction, principal: &Principal) -> Result<bool, DatabaseError>;
}
