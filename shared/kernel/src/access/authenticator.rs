use std::fmt::Debug;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::Error as DatabaseError;

use crate::{AuditEvent, Context, DomainError, ErrorReport, Outcome, Principal, actions, codes};

/// Resolves access tokens to the users they were issued to.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync + 'static {
    /// The user that `access_token` was issued to, with what their roles permit at `now`.
    ///
    /// # Errors
    ///
    /// [`AuthenticationError::Expired`] for a token that was valid until its time ran out,
    /// [`AuthenticationError::Invalid`] for any other that is not valid.
    async fn authenticate(
        &self,
        access_token: &str,
        now: Timestamp,
    ) -> Result<Principal, AuthenticationError>;

    /// Takes note of a sign of an attack: see [`Kernel::note`](crate::Kernel::note). Never fails, and takes a short time at
    /// most. By default it does nothing.
    async fn note(&self, _context: &Context, _attack: &Attack) {}

    /// A code over `message` that only who holds the secrets of this service can compute: under the key of this id, or under the
    /// current one. `None` if there is no such key. By default there is none.
    fn code(&self, _key_id: Option<&str>, _message: &[u8]) -> Option<ServiceCode> {
        None
    }
}

/// A code of [`Authenticator::code`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCode {
    /// The id of its key, which reveals nothing about the key.
    pub key_id: String,
    /// The code.
    pub code: Vec<u8>,
}

/// A sign of an attack that is noticed before a request is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attack {
    /// The access token was not issued here, or was changed.
    TokenRefused,
    /// There are more requests than this rate limit allows.
    RateLimited {
        /// The name of the limit.
        policy: String,
    },
}

impl Attack {
    /// Its event in the audit log.
    pub fn event(&self) -> AuditEvent {
        match self {
            Self::TokenRefused => AuditEvent::new(actions::TOKEN_REFUSED).outcome(Outcome::Denied),
            Self::RateLimited { policy } => {
                AuditEvent::new(actions::RATE_LIMITED).outcome(Outcome::Denied).detail("policy", policy)
            }
        }
    }
}

/// Accepts no token. For programs whose routes are all public, which then need no keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAuthenticator;

#[async_trait]
impl Authenticator for NoAuthenticator {
    async fn authenticate(&self, _: &str, _: Timestamp) -> Result<Principal, AuthenticationError> {
        Err(AuthenticationError::Invalid)
    }
}

/// Why an access token does not identify a user.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AuthenticationError {
    /// The service did not issue the token.
    #[error("the access token is not valid")]
    Invalid,
    /// The token has expired.
    #[error("the access token has expired")]
    Expired,
    /// The permissions of the user's roles could not be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl DomainError for AuthenticationError {
    fn into_report(self) -> ErrorReport {
        match self {
            Self::Invalid => codes::ACCESS_TOKEN_INVALID.into(),
            Self::Expired => codes::ACCESS_TOKEN_EXPIRED.into(),
            Self::Database(error) => error.into_report(),
        }
    }
}
