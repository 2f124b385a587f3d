//! Commits any batch in two round trips: locks and reads everything, decides, and writes.

use switchyard_database::{Batch, State, evaluate};

use crate::Postgres;
use crate::commit::outcome::Trace;
use crate::commit::{Setback, apply, gather};
use crate::fault::Fault;
use crate::session::Session;
use crate::sql::Step;

impl Postgres {
    pub(super) async fn write_locked(&self, session: &Session, batch: &Batch) -> Result<(), Setback> {
        let parts = gather::parts_of(&self.tables, batch);
        let trace = |transaction| Trace { backend: session.backend(), transaction };
        session.note_transaction(true);
        let begin = self.pool.limits().begin_to_write(session.is_pooled());
        let rows = match session.pipeline(gather::steps_of_reading(begin, &parts, batch)).await {
            Ok(rows) => rows,
            Err(fault @ Fault::Lost(_)) => return Err(Setback::NotApplied(fault, Some(trace(None)))),
            Err(fault) => {
                session.roll_back();
                return Err(fault.into());
            }
        };
        let now = self.ambient.now();
        let decided = gather::found_in(&parts, &rows, now).and_then(|found| {
            evaluate(batch, &found.state, now)?;
            Ok((apply::steps(&parts, batch, &found, now), found.transaction))
        });
        let (mut steps, transaction) = match decided {
            Ok(decided) => decided,
            Err(error) => {
                session.roll_back();
                return Err(error.into());
            }
        };
        steps.push(Step::Plain("commit"));
        match session.pipeline(steps).await {
            Ok(_) => {
                session.note_transaction(false);
                Ok(())
            }
            Err(Fault::Lost(why)) => Err(Setback::Unknown(why, trace(transaction))),
            // A statement failed, so the `commit` after it rolled back.
            Err(fault) => {
                session.note_transaction(false);
                Err(fault.into())
            }
        }
    }

    /// Checks a batch that only checks. It needs no locks, because one snapshot of all its documents is their
    /// state at one moment.
    pub(super) async fn check(&self, session: &Session, batch: &Batch) -> Result<(), Setback> {
        let parts = gather::parts_of(&self.tables, batch);
        let begin = self.pool.limits().begin_snapshot(session.is_pooled());
        let rows = session.pipeline(gather::steps_of_checking(begin, &parts)).await?;
        let now = self.ambient.now();
        let documents = gather::checked_in(&parts, &rows)?;
        evaluate(batch, &State { documents, ..State::default() }, now)?;
        Ok(())
    }
}
