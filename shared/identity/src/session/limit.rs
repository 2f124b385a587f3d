//! The number of sessions that a user may have.

use switchyard_database::{Entity as _, Error, Query};
use switchyard_kernel::{Context, UserId};

use super::SessionRecord;
use super::end::end;
use crate::actions::{self, user_event};
use crate::components::Components;
use crate::password::SESSIONS_COUNTED_EVERY;
use crate::user_changes::UserChanges;

/// A sign-in that counts the user's sessions and finds more than these ends the oldest. A program that signs in for each of
/// its requests would otherwise fill the store, and a user could not survey their sessions.
///
/// Only each [`SESSIONS_COUNTED_EVERY`]th sign-in counts, because reading the sessions costs more than the rest of it.
const MAX_SESSIONS: u32 = 100;
/// How many sessions one sign-in ends at most. As several sign-ins at once may pass the limit, this is more than come between
/// two counts.
const ENDED_AT_ONCE: u32 = 2 * SESSIONS_COUNTED_EVERY;

/// Ends the oldest sessions of a user that are too many, as part of a transaction. They are found by an index, which may lag
/// behind: the next count finds those that this one misses.
pub(crate) async fn end_surplus(
    identity: &Components,
    tx: &UserChanges,
    user: UserId,
    context: &Context,
) -> Result<(), Error> {
    let query = Query::new(SessionRecord::COLLECTION, "by_user")
        .partition([user.as_str()])
        .limit(MAX_SESSIONS + ENDED_AT_ONCE);
    let mut sessions = identity.db().collection::<SessionRecord>().query(&query).await?.items;
    sessions.truncate(sessions.len().saturating_sub(MAX_SESSIONS as usize));
    for surplus in sessions {
        if let Some(session) = tx.get::<SessionRecord>(surplus.id.as_str()).await? {
            end(identity, tx, &session, context.now).await?;
            let event = user_event(actions::SESSION_ENDED, session.user_id);
            let resource = format!("sessions/{}", session.id);
            tx.record(event.resource(resource).detail("reason", "too many sessions"));
        }
    }
    Ok(())
}
