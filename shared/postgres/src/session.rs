//! One connection with its prepared statements.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{join, maybe_done};
use switchyard_ambient::Timestamp;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use crate::fault::Outcome;
use crate::sql::{Sql, Step};

/// The parameter values of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The server process of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) pid: i32,
    /// When the process started, because process ids are reused.
    pub(crate) started: String,
}

/// A connection and the statements that are prepared on it.
pub(crate) struct Session {
    client: Client,
    /// `None` behind a proxy, where named statements do not outlive a transaction.
    prepared: Option<Mutex<HashMap<String, Statement>>>,
    /// `None` behind a proxy, where each transaction may run in a different process.
    pub(crate) backend: Option<Backend>,
    pub(crate) used_at: (Timestamp, Instant),
    opened_at: Instant,
    /// When the last reply arrived, in microseconds after the connection was opened.
    answered_at: AtomicU64,
    is_in_transaction: AtomicBool,
    is_read_only: AtomicBool,
}

impl Session {
    pub(crate) fn new(client: Client, is_proxied: bool, now: Timestamp) -> Self {
        let opened_at = Instant::now();
        Self {
            client,
            prepared: (!is_proxied).then(Mutex::default),
            backend: None,
            used_at: (now, opened_at),
            opened_at,
            answered_at: AtomicU64::new(0),
            is_in_transaction: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether another caller may use the connection.
    pub(crate) fn is_clean(&self) -> bool {
        !self.client.is_closed() && !self.is_in_transaction() && !self.is_read_only()
    }

    /// Whether the server has refused a write, because it is or has become a standby.
    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only.load(Ordering::Relaxed)
    }

    fn is_in_transaction(&self) -> bool {
        self.is_in_transaction.load(Ordering::Relaxed)
    }

    /// Records whether a transaction is open. A session that is returned to the pool with an open transaction is
    /// closed, and the server rolls back.
    pub(crate) fn note_transaction(&self, is_open: bool) {
        self.is_in_transaction.store(is_open, Ordering::Relaxed);
    }

    /// Runs a statement and returns its rows. The request is sent when the future is first polled.
    pub(crate) async fn query(&self, sql: &Sql, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let answer = match self.prepared(sql) {
            Some(statement) => self.client.query(&statement, params).await,
            None => {
                let params: Vec<_> = params.iter().copied().zip(sql.types.iter().cloned()).collect();
                self.preparing(sql, self.client.query_typed(&sql.text, &params)).await
            }
        };
        self.note_answer(answer)
    }

    /// Runs a statement and returns the number of rows that it changed, or selected.
    pub(crate) async fn execute(&self, sql: &Sql, params: Params<'_>) -> Result<u64, Error> {
        let answer = match self.prepared(sql) {
            Some(statement) => self.client.execute(&statement, params).await,
            None => {
                let params: Vec<_> = params.iter().copied().zip(sql.types.iter().cloned()).collect();
                self.preparing(sql, self.client.execute_typed(&sql.text, &params)).await
            }
        };
        self.note_answer(answer)
    }

    /// Returns how long ago the last reply arrived.
    pub(crate) fn silence(&self) -> Duration {
        self.opened_at
            .elapsed()
            .saturating_sub(Duration::from_micros(self.answered_at.load(Ordering::Relaxed)))
    }

    fn note_answer<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        let now = u64::try_from(self.opened_at.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.answered_at.store(now, Ordering::Relaxed);
        if answer.as_ref().is_err_and(|fault| fault.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)) {
            self.is_read_only.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Sends all steps at once, in one round trip. Returns the rows of each step, or the first error.
    pub(crate) async fn pipeline(&self, steps: Vec<Step<'_>>) -> Outcome<Vec<Vec<Row>>> {
        let mut replies: Vec<_> =
            steps.into_iter().map(|step| Box::pin(maybe_done(self.step(step)))).collect();
        poll_fn(|context| {
            let mut all = Poll::Ready(());
            for reply in &mut replies {
                if reply.poll_unpin(context).is_pending() {
                    all = Poll::Pending;
                }
            }
            all
        })
        .await;
        let rows: Result<Vec<_>, Error> = replies
            .iter_mut()
            .map(|reply| reply.as_mut().take_output().unwrap_or_else(|| Ok(Vec::new())))
            .collect();
        Ok(rows?)
    }

    async fn step(&self, step: Step<'_>) -> Result<Vec<Row>, Error> {
        match step {
            Step::Plain(text) => self.client.batch_execute(text).await.map(|()| Vec::new()),
            Step::Call(call) => {
                let params: Vec<&(dyn ToSql + Sync)> =
                    call.params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
                self.query(call.sql, &params).await
            }
        }
    }

    /// Rolls back a transaction without waiting for the answer. The server answers later requests afterwards.
    pub(crate) fn roll_back(&self) {
        let _ = self.client.batch_execute("rollback").now_or_never();
        self.note_transaction(false);
    }

    fn prepared(&self, sql: &Sql) -> Option<Statement> {
        let prepared = self.prepared.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.get(&sql.text).cloned()
    }

    /// Prepares a statement for its next use, in the same round trip as the first use.
    async fn preparing<T>(
        &self,
        sql: &Sql,
        first_use: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(prepared) = &self.prepared else { return first_use.await };
        let (reply, statement) = join(first_use, self.client.prepare_typed(&sql.text, &sql.types)).await;
        match statement {
            Ok(statement) => {
                prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.text.clone(), statement);
            }
            // The transaction has failed too: `commit` would then roll back the statement that the reply reports
            // as done, without an error.
            Err(fault) if reply.is_ok() && self.is_in_transaction() => return Err(fault),
            Err(_) => {}
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::Timestamp;
    use tokio_postgres::types::Type;
    use tokio_postgres::{NoTls, SimpleQueryMessage};

    use super::*;
    use crate::sql::call;

    #[tokio::test]
    async fn a_statement_that_cannot_be_prepared_in_a_transaction_fails_the_transaction() {
        let url = std::env::var("TEST_POSTGRES_URL").expect("see local/servers");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let session = Session::new(client, false, Timestamp::from_micros(0));
        // The names for the next prepared statements are already taken.
        let taken: String = (0..200).map(|n| format!("prepare s{n} as select 1;")).collect();
        session.client().batch_execute(&taken).await.unwrap();
        session.client().batch_execute("create temp table notes (id int4)").await.unwrap();
        let insert = Sql::new("insert into notes values ($1)", &[Type::INT4]);
        session.note_transaction(true);
        let steps = vec![Step::Plain("begin"), call(&insert, vec![Box::new(1)]), Step::Plain("commit")];
        assert!(session.pipeline(steps).await.is_err());
        session.note_transaction(false);
        let messages = session.client().simple_query("select id from notes").await.unwrap();
        let rows = messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_)));
        assert_eq!(rows.count(), 0);
    }
}
