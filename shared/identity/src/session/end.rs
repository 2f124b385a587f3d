use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Error, Stored};
use switchyard_kernel::{Context, Refused};

use super::refresh_token::{RefreshToken, is_same_hash};
use super::{SessionRecord, Sessions};
use crate::SessionError;
use crate::actions::{self, user_event};
use crate::components::Components;
use crate::user::UserRecord;
use crate::user_changes::UserChanges;

/// By how much the clocks of two instances may differ: one issued a token, the other one ends its session.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

impl Sessions<'_> {
    /// Ends the session of a refresh token and that of the caller's access token. Until it expires, the access token still
    /// serves to read.
    ///
    /// Any refresh token of a session ends it, even one that was used before. Does nothing if neither names a session that is
    /// left: who signs out wants no session, and has none.
    pub async fn log_out(&self, context: &Context, refresh_token: Option<&str>) -> Result<(), SessionError> {
        let (token, principal) = (&refresh_token.and_then(RefreshToken::parse), context.principal().ok());
        if token.is_none() && principal.is_none() {
            return Ok(());
        }
        self.identity
            .transact(context, |tx| async move {
                let mut sessions = Vec::new();
                if let Some(token) = token {
                    sessions.extend(self.session_of(&tx, token).await?);
                }
                if let Some(principal) = principal {
                    let session = tx.get::<SessionRecord>(principal.session_id.as_str()).await?;
                    sessions.extend(session.filter(|session| session.user_id == principal.user_id));
                }
                sessions.dedup_by_key(|session| session.id);
                for session in &sessions {
                    end(self.identity, &tx, session, context.now).await?;
                    let event = user_event(actions::SIGNED_OUT, session.user_id);
                    tx.record(event.resource(format_args!("sessions/{}", session.id)));
                }
                Ok::<_, SessionError>(())
            })
            .await
    }

    /// The session that a refresh token belongs to, whether or not it is the latest one of it.
    pub(super) async fn session_of(
        &self,
        tx: &UserChanges,
        token: &RefreshToken,
    ) -> Result<Option<Stored<SessionRecord>>, Error> {
        let session = tx.get::<SessionRecord>(token.session_id.as_str()).await?;
        Ok(session.filter(|session| is_same_hash(&session.family_hash, &token.family_hash())))
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
}

/// Ends a session, as part of a transaction.
pub(super) async fn end(
    identity: &Components,
    tx: &UserChanges,
    session: &Stored<SessionRecord>,
    now: Timestamp,
) -> Result<(), Error> {
    tx.delete(session)?;
    end_writes(identity, tx, session, now).await
}

/// Lets no access token of a session that ends serve to write, as part of a transaction.
pub(super) async fn end_writes(
    identity: &Components,
    tx: &UserChanges,
    session: &SessionRecord,
    now: Timestamp,
) -> Result<(), Error> {
    let settings = &identity.settings;
    let until = session.last_used_at + settings.refresh_grace + settings.access_token_ttl + CLOCK_SKEW;
    if until <= now {
        return Ok(()); // the last token has expired
    }
    if let Some(user) = tx.get::<UserRecord>(session.user_id.as_str()).await? {
        let sessions = user.sessions.one_ended(session.id, until, now);
        tx.replace_user(&user, &UserRecord { sessions, ..(*user).clone() }).await?;
    }
    Ok(())
}
