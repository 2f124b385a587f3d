//! Commits batches.
//!
//! Commits run at READ COMMITTED. These rules make them strictly serializable:
//!
//! - An existing document is protected by the lock of its row, which writers take with `for update` and checks
//!   with `for share`. A statement that waited for a row sees its newest state.
//! - A key that must stay absent has no row. A batch that creates it, or checks that it is absent, takes an
//!   advisory lock on it in a statement before the one that reads it: a statement sees the state at its start, so
//!   it must start after the lock is held.
//! - Batches first take advisory locks on *all* their keys and claimed unique values, ordered by lock number, so
//!   that no two batches wait for each other in a cycle.
//! - A single operation on one document is one statement, which locks one row and waits for nothing else
//!   afterwards.
//!
//! SERIALIZABLE was tried and rejected: it protects only against other transactions that use it.

mod addition;
mod apply;
mod gather;
mod locked;
mod locks;
mod outcome;
mod single;

use std::borrow::Cow;

use switchyard_database::{Batch, Error, Result, Version};

use crate::Postgres;
use crate::attempts::Attempts;
use crate::commit::outcome::{Trace, Verdict};
use crate::fault::Fault;

/// Why an attempt failed.
enum Setback {
    /// Nothing was applied. If a connection was lost, the trace identifies its session.
    NotApplied(Fault, Option<Trace>),
    /// The reply to the statement that applies the batch was lost.
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
        let mut attempts = Attempts::new(&self.budget, &self.ambient);
        let mut batch = Cow::Borrowed(batch);
        loop {
            let fault = match self.attempt(&batch).await {
                Ok(()) => {
                    attempts.answered();
                    return Ok(batch.versions());
                }
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
                // All changed values are locked, so only an unchanged value can be stored in another row: that of
                // a document which was stored while the attribute was not declared. Claiming the unchanged values
                // too decides who holds them.
                batch = Cow::Owned(batch.claiming_kept_values());
            }
            if !attempts.pause_after(&fault).await {
                return Err(fault.into_error());
            }
        }
    }

    async fn attempt(&self, batch: &Batch) -> Result<(), Setback> {
        let mainly = batch.operations().first().map(|prepared| prepared.key().collection().name);
        let session = self.pool.session(mainly).await?;
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
