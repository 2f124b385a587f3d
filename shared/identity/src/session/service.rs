use std::time::Duration;

use crate::actions::{self, user_event};
use switchyard_database::Stored;
use switchyard_kernel::{Context, Outcome, Refused};

use super::SessionRecord;
use super::refresh_token::{RefreshToken, is_same_hash};
use super::sign_in::issue;
use crate::components::Components;
use crate::user::UserRecord;
use crate::user_changes::UserChanges;
use crate::{SessionError, SignIn};
use switchyard_kernel::value::user_agent_text;

/// By how much the clocks of two instances may differ: one issued a token, the other one ends its session.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Continues and ends the sessions of signed-in users.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a> {
    pub(crate) identity: &'a Components,
}

/// The outcome of a refresh. Both are committed.
enum Refreshed {
    Continued(Box<(UserRecord, SessionRecord)>),
    Reused,
}

impl Sessions<'_> {
    /// Exchanges a refresh token for new tokens. Each refresh token can be used once.
    ///
    /// If a token is used a second time, two parties have it, and the server cannot know which of them is the
    /// user (RFC 9700 §4.14.2). So the session ends, and both must sign in again. This also happens if one
    /// client sends the token twice at the same time: exactly one request gets tokens, and the other one ends
    /// the session. There is no grace period, because a thief would go unnoticed within it. Clients must send
    /// one refresh at a time.
    ///
    /// # Errors
    ///
    /// [`SessionError::RefreshTokenReused`] if the token was used before. [`SessionError::RefreshTokenInvalid`]
    /// if it is not the latest token of a session of an active user.
    pub async fn refresh(&self, context: &Context, refresh_token: &str) -> Result<SignIn, SessionError> {
        let token = &RefreshToken::parse(refresh_token).ok_or(SessionError::RefreshTokenInvalid)?;
        let next = &token.next(self.identity.kernel.ambient());
        let refreshed = self
            .identity
            .transact(context, |tx| async move { self.rotate(&tx, context, token, next).await })
            .await?;
        match refreshed {
            Refreshed::Continued(continued) => {
                let (user, session) = *continued;
                Ok(issue(self.identity, context, &user, &session, next)?)
            }
            Refreshed::Reused => Err(SessionError::RefreshTokenReused),
        }
    }

    async fn rotate(
        &self,
        tx: &UserChanges,
        context: &Context,
        token: &RefreshToken,
        next: &RefreshToken,
    ) -> Result<Refreshed, SessionError> {
        let session = tx.get::<SessionRecord>(token.session_id.as_str()).await?;
        let session = session
            .filter(|session| is_same_hash(&session.family_hash, &token.family_hash()))
            .ok_or(SessionError::RefreshTokenInvalid)?;
        if !is_same_hash(&session.secret_hash, &token.secret_hash()) {
            self.end_family(tx, &session, context).await?;
            return Ok(Refreshed::Reused);
        }
        // The user is read outside of the transaction, so that the commit is a single conditional write of the
        // session. A refresh that overlaps with disabling the user counts as earlier.
        let user = self.identity.db().collection::<UserRecord>().get(session.user_id.as_str()).await?;
        let user = user
            .filter(|user| {
                user.is_active()
                    && user.sessions.include(session.id, session.epoch)
                    && session.reused_at.is_none()
            })
            .ok_or(SessionError::RefreshTokenInvalid)?;
        let rotated = SessionRecord {
            epoch: user.sessions.epoch(),
            secret_hash: next.secret_hash(),
            user_agent: context
                .user_agent
                .as_deref()
                .map(user_agent_text)
                .or_else(|| session.user_agent.clone()),
            ip: context.address.map(|address| address.to_string()).or_else(|| session.ip.clone()),
            last_used_at: context.now,
            expires_at: context.now + self.identity.settings.refresh_token_ttl,
            ..(*session).clone()
        };
        tx.replace(&session, &rotated)?;
        Ok(Refreshed::Continued(Box::new((user.into_value(), rotated))))
    }

    async fn end_family(
        &self,
        tx: &UserChanges,
        session: &Stored<SessionRecord>,
        context: &Context,
    ) -> Result<(), SessionError> {
        if session.reused_at.is_some() {
            return Ok(()); // ended and recorded at the first reuse
        }
        let ended = SessionRecord { reused_at: Some(context.now), ..(**session).clone() };
        tx.replace(session, &ended)?;
        self.end_writes(tx, session, context).await?;
        let event = user_event(actions::REFRESH_TOKEN_REUSED, session.user_id);
        tx.record(event.resource(format_args!("sessions/{}", session.id)).outcome(Outcome::Denied));
        Ok(())
    }

    /// Ends the session of the caller's access token. Until it expires, the token still serves to read.
    pub async fn log_out(&self, context: &Context) -> Result<(), SessionError> {
        let principal = context.principal()?;
        self.identity
            .transact(context, |tx| async move {
                let session = tx.get::<SessionRecord>(principal.session_id.as_str()).await?;
                if let Some(session) = session.filter(|session| session.user_id == principal.user_id) {
                    tx.delete(&session)?;
                    self.end_writes(&tx, &session, context).await?;
                    let event = user_event(actions::SIGNED_OUT, principal.user_id);
                    tx.record(event.resource(format_args!("sessions/{}", principal.session_id)));
                }
                Ok::<_, SessionError>(())
            })
            .await
    }

    /// Ends all sessions of the caller, including this one. Until they expire, their access tokens still serve to read.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] if the session of the caller has ended.
    pub async fn log_out_everywhere(&self, context: &Context) -> Result<(), SessionError> {
        let principal = context.principal()?;
        if context.earlier_effect().is_some() {
            return Ok(()); // sessions that began since then stay
        }
        self.identity
            .transact(context, |tx| async move {
                let user = tx.get::<UserRecord>(principal.user_id.as_str()).await?;
                let user = user.filter(|user| user.has_live_session(principal));
                let user = user.ok_or(Refused::Unauthenticated)?;
                let changed = UserRecord { sessions: user.sessions.all_ended(), ..(*user).clone() };
                tx.replace_user(&user, &changed).await?;
                tx.record(user_event(actions::SIGNED_OUT_EVERYWHERE, user.id));
                Ok::<_, SessionError>(())
            })
            .await
    }

    /// Lets no access token of a session that ends serve to write, as part of a transaction.
    async fn end_writes(
        &self,
        tx: &UserChanges,
        session: &SessionRecord,
        context: &Context,
    ) -> Result<(), SessionError> {
        let until = session.last_used_at + self.identity.settings.access_token_ttl + CLOCK_SKEW;
        if until <= context.now {
            return Ok(()); // the last token has expired
        }
        if let Some(user) = tx.get::<UserRecord>(session.user_id.as_str()).await? {
            let sessions = user.sessions.one_ended(session.id, until, context.now);
            tx.replace_user(&user, &UserRecord { sessions, ..(*user).clone() }).await?;
        }
        Ok(())
    }
}
