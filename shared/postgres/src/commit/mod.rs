//! Writing.
//!
//! What makes commits strictly serializable, at READ COMMITTED:
//!
//! - A document that exists is protected by its row's lock: `for update` by those who write it, `for share` by those who
//!   check it. A statement that waited for a row sees its newest state.
//! - A key that is to stay absent has no row. Whoever creates it, or checks that it is absent, takes an advisory lock on
//!   it, in a statement before the one that looks: a statement sees the state of when it began, so it must begin after
//!   the lock is held.
//! - Batches take advisory locks on *all* their keys and claimed unique values first, ordered by the lock's number, so
//!   that two of them never wait for each other in a circle.
//! - A single operation on one document is one statement, which holds one row and waits for nothing else afterwards.
//!
//! SERIALIZABLE was tried and refused: it protects only against others that use it too.

mod apply;
mod gather;
mod locked;
mod locks;
mod outcome;
mod single;

use std::borrow::Cow;

use switchyard_database::retry::Backoff;
use switchyard_database::{Batch, Error, Result, Version};

use crate::Postgres;
use crate::commit::outcome::{Trace, Verdict};
use crate::fault::Fault;

/// A transaction that had to give way is repeated after growing pauses, of half a second in all at the most; the caller's
/// own repetition comes after that.
const GIVING_WAY: Backoff = Backoff {
    attempts: 8,
    base: std::time::Duration::from_millis(4),
    ceiling: std::time::Duration::from_millis(250),
};

/// A connection that failed is replaced a few times at once; for a database that is away the caller waits.
const RECONNECTING: Backoff = Backoff {
    attempts: 4,
    base: std::time::Duration::from_millis(25),
    ceiling: std::time::Duration::from_millis(250),
};

/// Why an attempt did not end well.
enum Setback {
    /// Nothing was applied. If a connection was lost, this was behind it.
    NotApplied(Fault, Option<Trace>),
    /// The reply to what would have applied the batch did not come.
    Unknown(String, Trace),
}

impl From<Fault> for Setback {
    fn from(fault: Fault) -> Self {
        Self::NotApplied(fault, None)
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::NotApplied(Fault::Final(error), None)
    }
}

impl Postgres {
    pub(crate) async fn write(&self, batch: &Batch) -> Result<Vec<Version>> {
        let (mut contended, mut unavailable) = (1, 1);
        let mut batch = Cow::Borrowed(batch);
        loop {
            let fault = match self.attempt(&batch).await {
                Ok(()) => return Ok(batch.versions()),
                Err(Setback::NotApplied(fault, trace)) => {
                    if let Some(trace) = trace {
                        self.end(&trace).await;
                    }
                    fault
                }
                Err(Setback::Unknown(why, trace)) => match self.find_out(&batch, &trace).await {
                    Verdict::Applied => return Ok(batch.versions()),
                    Verdict::NotApplied => Fault::Lost(why),
                    Verdict::Unknown => return Err(Error::OutcomeUnknown(why)),
                },
            };
            if matches!(fault, Fault::Duplicate) {
                // Under the locks of all that changes, only a value that stays can be another row's: that of a document
                // which was stored while the attribute was not declared. Who holds it is decided with the rest then.
                batch = Cow::Owned(batch.claiming_kept_values());
            }
            let again = match &fault {
                Fault::Final(_) => false,
                Fault::Contended | Fault::Duplicate => {
                    contended += 1;
                    GIVING_WAY.pause(contended - 1, &self.ambient).await
                }
                Fault::Unreachable(_) | Fault::Lost(_) => {
                    unavailable += 1;
                    RECONNECTING.pause(unavailable - 1, &self.ambient).await
                }
            };
            if !again {
                return Err(fault.into_error());
            }
        }
    }

    async fn attempt(&self, batch: &Batch) -> Result<(), Setback> {
        let session = self.pool.session().await?;
        if batch.only_checks() {
            return self.check(&session, batch).await;
        }
        if let [operation] = batch.operations()
            && self.write_single(&session, batch, operation).await?
        {
            return Ok(());
        }
        self.write_locked(&session, batch).await
    }
}
