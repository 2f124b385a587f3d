use switchyard_database::Stored;
use switchyard_kernel::value::user_agent_text;
use switchyard_kernel::{AuditEvent, Context, Outcome, REFUSAL_WINDOW, RequestKey};

use super::end::end_writes;
use super::refresh_token::{RefreshToken, is_same_hash};
use super::sign_in::issue;
use super::{SessionRecord, Sessions};
use crate::actions::{self, user_event};
use crate::password::Attempts;
use crate::user::UserRecord;
use crate::user_changes::UserChanges;
use crate::{SessionError, SignIn};

/// The outcome of a refresh. Both are committed.
enum Refreshed {
    Continued(Box<(UserRecord, Option<Attempts>, SessionRecord, RefreshToken)>),
    /// `event` is that of a reuse which ended nothing, because an earlier one did.
    Reused {
        event: Option<AuditEvent>,
    },
}

impl Sessions<'_> {
    /// Exchanges a refresh token for new tokens. Each refresh token can be used once, and for a short time again.
    ///
    /// Two tabs of a browser refresh at the same time, and an answer can be lost. So for `REFRESH_GRACE` after a token was
    /// used, it yields the same successor again. This gives a thief no session of their own: both hold one token then, and
    /// the one who uses it later is noticed.
    ///
    /// A request that is repeated under its `Idempotency-Key` gets the same successor at any time: the key shows that it is the
    /// same client.
    ///
    /// After that time, and for any older token at once, two parties have the session, and the server cannot know which of
    /// them is the user (RFC 9700 §4.14.2). So the session ends, and both must sign in again.
    ///
    /// # Errors
    ///
    /// [`SessionError::RefreshTokenReused`] if the token was used before. [`SessionError::RefreshTokenInvalid`]
    /// if it is not a token of a live session of an active user.
    pub async fn refresh(&self, context: &Context, refresh_token: &str) -> Result<SignIn, SessionError> {
        let token = &RefreshToken::parse(refresh_token).ok_or(SessionError::RefreshTokenInvalid)?;
        let refreshed = self
            .identity
            .transact(context, |tx| async move { self.rotate(&tx, context, token).await })
            .await?;
        match refreshed {
            Refreshed::Continued(continued) => {
                let (user, attempts, session, next) = *continued;
                Ok(issue(self.identity, context, &user, attempts.as_ref(), &session, &next).await?)
            }
            Refreshed::Reused { event } => {
                if let Some(event) = event {
                    self.identity.kernel.note(context, &event).await;
                }
                Err(SessionError::RefreshTokenReused)
            }
        }
    }

    async fn rotate(
        &self,
        tx: &UserChanges,
        context: &Context,
        token: &RefreshToken,
    ) -> Result<Refreshed, SessionError> {
        let settings = &self.identity.settings;
        let keys = settings.sign_in_keys.get()?;
        let session = self.session_of(tx, token).await?.ok_or(SessionError::RefreshTokenInvalid)?;
        let is_latest = is_same_hash(&session.secret_hash, &token.secret_hash());
        let next = if is_latest {
            Some(token.next(&keys))
        } else {
            let is_repeated = context.request_key.as_ref().is_some_and(RequestKey::is_repeated);
            let may_be_repeated =
                is_repeated || context.now.since(session.last_used_at) < settings.refresh_grace;
            may_be_repeated.then(|| token.next_with_hash(&keys, &session.secret_hash)).flatten()
        };
        let Some(next) = next else {
            let event = user_event(actions::REFRESH_TOKEN_REUSED, session.user_id)
                .resource(format_args!("sessions/{}", session.id))
                .outcome(Outcome::Denied);
            if let Some(first) = session.reused_at {
                // Ended and recorded at the first reuse. One that comes later shows that somebody still has the token.
                let is_later = context.now.since(first) >= REFUSAL_WINDOW;
                return Ok(Refreshed::Reused { event: is_later.then_some(event) });
            }
            self.end_family(tx, &session, context).await?;
            tx.record(event);
            return Ok(Refreshed::Reused { event: None });
        };
        let ends_at = session.created_at + settings.session_max_ttl;
        // The user is read outside of the transaction, so that the commit is a single conditional write of the
        // session. A refresh that overlaps with disabling the user counts as earlier.
        let (db, id) = (self.identity.db(), session.user_id.as_str());
        let (users, attempts) = (db.collection::<UserRecord>(), db.collection::<Attempts>());
        let (user, attempts) = tokio::try_join!(users.get(id), attempts.get(id))?;
        let attempts = attempts.map(Stored::into_value);
        let user = user
            .filter(|user| {
                user.is_active()
                    && user.sessions.include(session.id, session.epoch)
                    && session.reused_at.is_none()
                    && context.now < ends_at
            })
            .ok_or(SessionError::RefreshTokenInvalid)?
            .into_value();
        if !is_latest {
            return Ok(Refreshed::Continued(Box::new((user, attempts, session.into_value(), next))));
        }
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
            expires_at: ends_at.min(context.now + settings.refresh_token_ttl),
            ..(*session).clone()
        };
        tx.replace(&session, &rotated)?;
        Ok(Refreshed::Continued(Box::new((user, attempts, rotated, next))))
    }

    async fn end_family(
        &self,
        tx: &UserChanges,
        session: &Stored<SessionRecord>,
        context: &Context,
    ) -> Result<(), SessionError> {
        let ended = SessionRecord { reused_at: Some(context.now), ..(**session).clone() };
        tx.replace(session, &ended)?;
        end_writes(self.identity, tx, session, context.now).await?;
        Ok(())
    }
}
