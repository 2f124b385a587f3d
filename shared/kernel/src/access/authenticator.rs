use std::fmt::Debug;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::Error as DatabaseError;

use crate::{DomainError, ErrorReport, Principal, codes};

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
