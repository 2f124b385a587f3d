use std::time::Duration;
use switchyard_database::Error as DatabaseError;
use switchyard_kernel::{CommonError, Context, Effect, Refused, SessionId};

use super::SessionRecord;
use super::refresh_token::{RefreshToken, is_same_hash};
use crate::components::Components;
use crate::password::Attempts;
use crate::token::AccessClaims;
use crate::user::UserRecord;
use crate::{DeviceName, Secret, User};
use switchyard_kernel::value::user_agent_text;

/// A user who has signed in, and their tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct SignIn {
    /// The user.
    pub user: User,
    /// The tokens.
    pub tokens: Tokens,
}

/// The tokens of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The token that the client sends with every request.
    pub access_token: Secret,
    /// How long the access token is valid.
    pub expires_in: Duration,
    /// The token that can be exchanged for new tokens once.
    pub refresh_token: Secret,
    /// How long the refresh token is valid.
    pub refresh_expires_in: Duration,
    /// The token that shows at the next sign-in that this device is known.
    pub device_token: Secret,
    /// The session.
    pub session_id: SessionId,
    /// The name that the client gave the device.
    pub device_name: Option<DeviceName>,
}

/// A session that is about to begin. Its id and token are created before the transaction, which may run more
/// than once.
pub(crate) struct NewSession {
    id: SessionId,
    token: RefreshToken,
    device_name: Option<DeviceName>,
}

impl NewSession {
    pub(crate) fn new(
        identity: &Components,
        context: &Context,
        device_name: Option<DeviceName>,
    ) -> Result<Self, DatabaseError> {
        let id = SessionId::from(identity.kernel.ambient().uuid_v7());
        Ok(Self { id, token: first_token(identity, context, id)?, device_name })
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// The record of the session of `user`, who has just signed in.
    pub(crate) fn record(
        &self,
        identity: &Components,
        context: &Context,
        user: &UserRecord,
    ) -> SessionRecord {
        SessionRecord {
            id: self.id,
            user_id: user.id,
            family_hash: self.token.family_hash(),
            secret_hash: self.token.secret_hash(),
            epoch: user.sessions.epoch(),
            reused_at: None,
            device_name: self.device_name.clone(),
            user_agent: context.user_agent.as_deref().map(user_agent_text),
            ip: context.address.map(|address| address.to_string()),
            created_at: context.now,
            last_used_at: context.now,
            auth_time: context.now,
            expires_at: context.now
                + identity.settings.refresh_token_ttl.min(identity.settings.session_max_ttl),
        }
    }

    /// Issues the tokens of the session, after it was stored.
    pub(crate) async fn sign_in(
        &self,
        identity: &Components,
        context: &Context,
        user: &UserRecord,
        attempts: Option<&Attempts>,
    ) -> Result<SignIn, CommonError> {
        let session = self.record(identity, context, user);
        issue(identity, context, user, attempts, &session, &self.token).await
    }
}

fn first_token(
    identity: &Components,
    context: &Context,
    id: SessionId,
) -> Result<RefreshToken, DatabaseError> {
    Ok(match &context.request_key {
        Some(key) => RefreshToken::first_of_request(id, key, &*identity.settings.sign_in_keys.get()?),
        None => RefreshToken::first(id, identity.kernel.ambient()),
    })
}

/// Answers a repeated request that began a session when it first ran, and whose answer was lost.
///
/// # Errors
///
/// [`Refused::NotFound`] if the session has been used or has ended since.
pub(crate) async fn sign_in_again(
    identity: &Components,
    context: &Context,
    effect: &Effect,
) -> Result<SignIn, CommonError> {
    let id: SessionId = effect.resource_id().ok_or(Refused::NotFound)?;
    let session = identity.db().collection::<SessionRecord>().get(id.as_str()).await?;
    let session = session.ok_or(Refused::NotFound)?;
    let user = identity.db().collection::<UserRecord>().get(session.user_id.as_str()).await?;
    let user = user.filter(|user| user.is_active() && user.sessions.include(session.id, session.epoch));
    let user = user.ok_or(Refused::NotFound)?;
    let token = first_token(identity, context, id)?;
    let is_unused = session.reused_at.is_none() && is_same_hash(&session.secret_hash, &token.secret_hash());
    if !is_unused {
        return Err(Refused::NotFound.into());
    }
    let attempts = identity.db().collection::<Attempts>().get(user.id.as_str()).await?;
    issue(identity, context, &user, attempts.as_deref(), &session, &token).await
}

/// Issues the tokens of a session in the state `session`, whose latest refresh token is `token`.
pub(super) async fn issue(
    identity: &Components,
    context: &Context,
    user: &UserRecord,
    attempts: Option<&Attempts>,
    session: &SessionRecord,
    token: &RefreshToken,
) -> Result<SignIn, CommonError> {
    let claims = AccessClaims {
        user_id: user.id,
        session_id: session.id,
        session_epoch: session.epoch,
        roles: user.roles.clone(),
        auth_time: session.auth_time,
        password_change_required: user.password_change_required,
    };
    let refresh_expires_in = session.expires_at.since(context.now);
    let expires_in = identity.settings.access_token_ttl.min(refresh_expires_in);
    let access_token = identity
        .tokens
        .issue(identity.db(), &claims, identity.kernel.ambient().uuid_v7(), context.now, expires_in)
        .await?;
    Ok(SignIn {
        user: User::of(user, attempts, context.now),
        tokens: Tokens {
            access_token: Secret::new(access_token),
            expires_in,
            refresh_token: token.to_secret(),
            refresh_expires_in,
            device_token: identity.device_keys()?.issue(user, session.id),
            session_id: session.id,
            device_name: session.device_name.clone(),
        },
    })
}
