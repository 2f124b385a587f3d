//! Finds out whether a write whose reply was lost was applied.

use std::sync::LazyLock;
use std::time::Duration;

use switchyard_database::retry::{Backoff, Budget};
use switchyard_database::{Batch, Operation, Version};
use tokio_postgres::types::Type;

use crate::Postgres;
use crate::attempts::Attempts;
use crate::fault::Outcome;
use crate::read::{column, version_of};
use crate::session::{Backend, Session};
use crate::sql::{Sql, call};

/// What is known about the session whose reply was lost.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) backend: Option<Backend>,
    /// The number of the transaction, if the server had already returned it.
    pub(super) transaction: Option<String>,
}

/// The outcome of the write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Applied,
    /// It was not applied and will not be.
    NotApplied,
    Unknown,
}

static END: LazyLock<Sql> = LazyLock::new(|| {
    Sql::new(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where pid = $1 and extract(epoch from backend_start)::text = $2",
        &[Type::INT4, Type::TEXT],
    )
});

/// Returns the status of a transaction, and whether the server has not crashed since a session started; null if
/// that start is unknown.
///
/// After a crash the server reuses the numbers of transactions of which nothing had reached the disk: a commit
/// under such a number is that of another transaction. Every session ends with a crash, so a session whose reply
/// was lost started before it. A crash of the whole server changes the start time of its first process. If a
/// single process dies, the first process restarts all others, which shows in the statistics: they are reset after
/// every crash.
static STATUS: LazyLock<Sql> = LazyLock::new(|| {
    Sql::new(
        "select case when same is not false then pg_xact_status($1::text::xid8) end, same from (\
         select extract(epoch from greatest(pg_postmaster_start_time(), stats_reset))::numeric \
         <= $2::text::numeric as same from pg_stat_bgwriter) server",
        &[Type::TEXT, Type::TEXT],
    )
});

/// How long to wait for the lost session to end.
const ENDING: Backoff =
    Backoff { attempts: 60, base: Duration::from_millis(2), ceiling: Duration::from_millis(200) };

impl Postgres {
    /// Ends a lost session so that it holds no more locks, if that is possible now.
    pub(super) async fn end(&self, trace: &Trace) {
        if let (Some(backend), Ok(session)) = (&trace.backend, self.pool.session(None).await) {
            let _ = self.has_ended(&session, backend).await;
        }
    }

    /// Finds out whether `batch` was applied.
    ///
    /// The lost session may still be about to commit, so it is ended first. The state that is read afterwards is
    /// final.
    pub(super) async fn find_out(&self, batch: &Batch, trace: &Trace) -> Verdict {
        // Not the budget of the handle: to know the outcome is worth more than what the retries cost.
        let budget = Budget::default();
        let mut attempts = Attempts::new(&budget, &self.ambient);
        loop {
            let verdict = match self.pool.session(None).await {
                Ok(session) => self.look(&session, batch, trace).await,
                Err(fault) => Err(fault),
            };
            match verdict {
                Ok(verdict) => return verdict,
                Err(fault) => {
                    if !attempts.pause_after(&fault).await {
                        return Verdict::Unknown;
                    }
                }
            }
        }
    }

    async fn look(&self, session: &Session, batch: &Batch, trace: &Trace) -> Outcome<Verdict> {
        let has_ended = match &trace.backend {
            Some(backend) => self.has_ended(session, backend).await?,
            None => false,
        };
        let status = match &trace.transaction {
            Some(transaction) => {
                let started = trace.backend.as_ref().map(|backend| backend.started.as_str());
                self.status_of(session, transaction, started).await?
            }
            None => None,
        };
        let stored = self.versions_of(session, batch).await?;
        Ok(verdict_of(batch, &stored, has_ended, status.as_deref()))
    }

    /// Terminates the server process of a lost session. Returns whether it has ended.
    async fn has_ended(&self, session: &Session, backend: &Backend) -> Outcome<bool> {
        let mut attempt = 1;
        while !session.query(&END, &[&backend.pid, &backend.started]).await?.is_empty() {
            if !ENDING.pause(attempt, &self.ambient).await {
                return Ok(false);
            }
            attempt += 1;
        }
        Ok(true)
    }

    /// Waits while the transaction is in progress, and returns `committed` or `aborted`. Returns `None` if the
    /// transaction is too old, or if its number may have been given to another transaction that has committed.
    async fn status_of(
        &self,
        session: &Session,
        transaction: &String,
        started: Option<&str>,
    ) -> Outcome<Option<String>> {
        let mut attempt = 1;
        loop {
            let rows = session.query(&STATUS, &[transaction, &started]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let status: Option<String> = column(row, 0, &"pg_xact_status")?;
            let is_same_server: Option<bool> = column(row, 1, &"same")?;
            match status.as_deref() {
                Some("in progress") => {}
                Some("committed") if is_same_server != Some(true) => return Ok(None),
                _ => return Ok(status),
            }
            if !ENDING.pause(attempt, &self.ambient).await {
                return Ok(None);
            }
            attempt += 1;
        }
    }

    /// Returns the stored version of each operation's document.
    async fn versions_of(&self, session: &Session, batch: &Batch) -> Outcome<Vec<Option<Version>>> {
        let tables: Vec<_> =
            batch.operations().iter().map(|prepared| self.tables.of(prepared.key().collection())).collect();
        let steps = batch
            .operations()
            .iter()
            .zip(&tables)
            .map(|(prepared, table)| call(&table.reads.get, vec![Box::new(prepared.key().id())]));
        let replies = session.pipeline(steps.collect()).await?;
        let versions = batch.operations().iter().zip(&replies).map(|(prepared, rows)| {
            Ok(rows.first().map(|row| version_of(row, 0, prepared.key())).transpose()?)
        });
        versions.collect()
    }
}

/// Decides the outcome from the stored versions and the status. A version is never used twice: a document with the
/// version that the batch chose in advance was written by it, and a document that still has the version that the
/// batch replaces was not.
fn verdict_of(batch: &Batch, stored: &[Option<Version>], has_ended: bool, status: Option<&str>) -> Verdict {
    let operations = || batch.operations().iter().zip(stored);
    if operations()
        .any(|(prepared, stored)| prepared.version != Version::NONE && *stored == Some(prepared.version))
    {
        return Verdict::Applied;
    }
    let is_untouched = operations().any(|(prepared, stored)| match &prepared.operation {
        Operation::Replace { previous, .. } | Operation::Delete { previous } => {
            *stored == Some(previous.version)
        }
        _ => false,
    });
    match status {
        _ if has_ended && is_untouched => Verdict::NotApplied,
        Some("aborted") => Verdict::NotApplied,
        Some("committed") => Verdict::Applied,
        _ => Verdict::Unknown,
    }
}
