use async_trait::async_trait;
use switchyard_ambient::Ambient;
use switchyard_api::{AuthenticationError, Authenticator, Caller};
use switchyard_identity::{Identity, Principal, TokenError};

/// Tells the API whose an access token is.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    identity: Identity,
    ambient: Ambient,
}

impl AccessTokens {
    /// The tokens that `identity` issues, checked at the time that `ambient` tells.
    pub fn new(identity: Identity, ambient: Ambient) -> Self {
        Self { identity, ambient }
    }
}

#[async_trait]
impl Authenticator for AccessTokens {
    async fn authenticate(&self, token: &str) -> Result<Caller, AuthenticationError> {
        match self.identity.authenticate(token, self.ambient.now()).await {
            Ok(principal) => Ok(caller(principal)),
            Err(TokenError::Invalid) => Err(AuthenticationError::Invalid),
            Err(TokenError::Expired) => Err(AuthenticationError::Expired),
            Err(TokenError::Database(fault)) => Err(AuthenticationError::Failed(fault)),
        }
    }
}

fn caller(principal: Principal) -> Caller {
    Caller {
        user_id: principal.user_id.uuid(),
        session_id: principal.session_id.uuid(),
        roles: principal.roles.into_iter().map(String::from).collect(),
        permissions: principal.permissions.iter().map(|permission| permission.to_string()).collect(),
        auth_time: principal.auth_time,
    }
}
