use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field};
use switchyard_kernel::UserId;

use crate::PasswordHash;

/// The password of a user. It is stored apart from the user, so that it is read only to verify it. Who replaces it by another
/// password must end the user's other sessions in the same transaction: a log-in under way relies on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Credential {
    user_id: UserId,
    pub(super) password: PasswordHash,
    /// When the password was chosen. Upgrading its hash does not change this.
    changed_at: Timestamp,
}

impl Entity for Credential {
    const COLLECTION: &'static Collection =
        &Collection::new("credentials").fields(&[Field::time("changed_at")]);

    fn id(&self) -> &str {
        self.user_id.as_str()
    }
}

impl Credential {
    pub(crate) fn new(user_id: UserId, password: PasswordHash, changed_at: Timestamp) -> Self {
        Self { user_id, password, changed_at }
    }

    /// The same password with another hash.
    pub(super) fn rehashed(&self, password: PasswordHash) -> Self {
        Self { password, ..self.clone() }
    }
}
