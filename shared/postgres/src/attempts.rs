//! How often a call is tried again.

use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::retry::{Backoff, Budget, Retries};
use tokio::time::Instant;

use crate::fault::Fault;

/// A call is not tried again after this time. A connection that cannot be opened takes seconds to fail, and the
/// caller wants an answer.
const LONGEST: Duration = Duration::from_secs(5);

/// The backoff after a conflict. The pauses grow and add up to at most half a second.
const CONFLICT: Backoff =
    Backoff { attempts: 8, base: Duration::from_millis(4), ceiling: Duration::from_millis(250) };

/// The attempts of one call.
pub(crate) struct Attempts<'a> {
    retries: Retries<'a>,
    began: Instant,
    is_unprepared: bool,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(budget: &'a Budget, ambient: &'a Ambient) -> Self {
        Self { retries: Retries::new(budget, ambient), began: Instant::now(), is_unprepared: false }
    }

    /// Waits before the next attempt. Returns `false` if there is to be none.
    pub(crate) async fn pause_after(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::Final(_) | Fault::LockTimeout(_) => false,
            // The next attempt does not prepare the statement.
            Fault::Unprepared(_) => !std::mem::replace(&mut self.is_unprepared, true),
            Fault::Contended | Fault::Duplicate => self.retries.after_conflict_with(CONFLICT).await,
            Fault::Unreachable(_) | Fault::Lost(_) => {
                self.began.elapsed() < LONGEST && self.retries.after_trouble().await
            }
        }
    }

    /// Notes that the database has answered.
    pub(crate) fn answered(&mut self) {
        self.retries.answered();
    }
}
