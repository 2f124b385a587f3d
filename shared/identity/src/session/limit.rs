//! The number of sessions that a user may have.

use switchyard_database::{Entity as _, Error, Query};
use switchyard_kernel::{Context, SessionId, UserId};

use super::SessionRecord;
use super::end::end;
use crate::actions::{self, user_event};
use crate::components::Components;
use crate::user_changes::UserChanges;

/// A sign-in that finds more sessions than this ends the oldest. A program that signs in for each of its requests would
/// otherwise fill the store, and a user could not survey their sessions.
const MAX_SESSIONS: u32 = 100;
/// How many sessions one sign-in ends at most. As several sign-ins at once may pass the limit, this is more than one.
const ENDED_AT_ONCE: u32 = 10;

/// The sessions of a user that are too many, the oldest first. They are found by an index, which may lag behind: the next
/// sign-in finds those that this one misses.
pub(crate) async fn surplus_sessions(identity: &Components, user: UserId) -> Result<Vec<SessionId>, Error> {
    let query = Query::new(SessionRecord::COLLECTION, "by_user")
        .partition([user.as_str()])
        .limit(MAX_SESSIONS + ENDED_AT_ONCE);
    let mut sessions = identity.db().collection::<SessionRecord>().query(&query).await?.items;
    sessions.truncate(sessions.len().saturating_sub(MAX_SESSIONS as usize));
    Ok(sessions.into_iter().map(|session| session.id).collect())
}

/// Ends sessions that are too many, as part of a transaction.
pub(crate) async fn end_surplus(
    identity: &Components,
    tx: &UserChanges,
    surplus: &[SessionId],
    context: &Context,
) -> Result<(), Error> {
    for id in surplus {
        if let Some(session) = tx.get::<SessionRecord>(id.as_str()).await? {
            end(identity, tx, &session, context.now).await?;
            let event = user_event(actions::SESSION_ENDED, session.user_id);
            tx.record(event.resource(format_args!("sessions/{id}")).detail("reason", "too many sessions"));
        }
    }
    Ok(())
}
