//! One connection with its prepared statements.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{Either, maybe_done, select};
use switchyard_ambient::Timestamp;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, SimpleQueryMessage, Statement};

use crate::fault::Outcome;
use crate::proxy::Proxy;
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
    /// The task that reads from and writes to the connection.
    connection: AbortHandle,
    prepared: Mutex<HashMap<String, Statement>>,
    proxy: Proxy,
    /// `None` behind a proxy, where each transaction may run in a different process.
    pub(crate) backend: Option<Backend>,
    pub(crate) used_at: (Timestamp, Instant),
    opened_at: Instant,
    /// When the last reply arrived, in microseconds after the connection was opened.
    answered_at: AtomicU64,
    /// The number of requests whose answers have not arrived. Requests of callers that have gone stay counted.
    unanswered: AtomicUsize,
    is_in_transaction: AtomicBool,
    is_read_only: AtomicBool,
}

impl Session {
    pub(crate) fn new(client: Client, connection: AbortHandle, proxy: Proxy, now: Timestamp) -> Self {
        let opened_at = Instant::now();
        Self {
            client,
            connection,
            prepared: Mutex::default(),
            proxy,
            backend: None,
            used_at: (now, opened_at),
            opened_at,
            answered_at: AtomicU64::new(0),
            unanswered: AtomicUsize::new(0),
            is_in_transaction: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the server process, if it is known and serves nobody else.
    pub(crate) fn backend(&self) -> Option<Backend> {
        self.backend.clone().filter(|_| !self.is_pooled())
    }

    /// Whether a proxy gives each transaction another server process.
    pub(crate) fn is_pooled(&self) -> bool {
        self.proxy.is_there()
    }

    /// Returns how many requests may be waiting for their answers, including those of callers that have gone.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Whether the answers to all requests have arrived.
    pub(crate) fn has_answered(&self) -> bool {
        self.unanswered() == 0
    }

    /// Records that the answers to all requests have arrived, also to those of callers that have gone.
    pub(crate) fn note_answered(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
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
        self.counted(async {
            match self.prepared(sql) {
                Some(statement) => self.client.query(&statement, params).await,
                None => {
                    let params: Vec<_> = params.iter().copied().zip(sql.types.iter().cloned()).collect();
                    self.preparing(sql, self.client.query_typed(&sql.text, &params)).await
                }
            }
        })
        .await
    }

    /// Runs a statement and returns the number of rows that it changed, or selected.
    pub(crate) async fn execute(&self, sql: &Sql, params: Params<'_>) -> Result<u64, Error> {
        self.counted(async {
            match self.prepared(sql) {
                Some(statement) => self.client.execute(&statement, params).await,
                None => {
                    let params: Vec<_> = params.iter().copied().zip(sql.types.iter().cloned()).collect();
                    self.preparing(sql, self.client.execute_typed(&sql.text, &params)).await
                }
            }
        })
        .await
    }

    /// Runs statements without parameters, separated by semicolons.
    pub(crate) async fn batch_execute(&self, text: &str) -> Result<(), Error> {
        self.counted(self.client.batch_execute(text)).await
    }

    /// Like [`batch_execute`](Self::batch_execute), and returns the rows as texts.
    pub(crate) async fn simple_query(&self, text: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        self.counted(self.client.simple_query(text)).await
    }

    /// Checks whether the server answers.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        self.counted(self.client.check_connection()).await
    }

    /// Counts a request from when it is sent until its answer has arrived.
    async fn counted<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let answer = request.await;
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
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
        if let Err(fault) = &answer {
            self.proxy.note_error(fault.code());
            if fault.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                self.is_read_only.store(true, Ordering::Relaxed);
            }
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
            Step::Plain(text) => self.batch_execute(text).await.map(|()| Vec::new()),
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
        if !self.proxy.is_preparing() {
            return None;
        }
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&sql.text).cloned()
    }

    /// Prepares a statement for its next use, in the same round trip as the first use.
    async fn preparing<T>(
        &self,
        sql: &Sql,
        first_use: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if !self.proxy.is_preparing() {
            return first_use.await;
        }
        let preparing = pin!(self.counted(self.client.prepare_typed(&sql.text, &sql.types)));
        let (reply, preparing) = match select(pin!(first_use), preparing).await {
            Either::Left(answered) => answered,
            // Answers come in the order of the requests.
            Either::Right((Err(fault), _)) => return Err(fault),
            Either::Right((Ok(_), first_use)) => return first_use.await,
        };
        if reply.as_ref().is_err_and(|fault| fault.code().is_some_and(is_of_time)) {
            return reply; // preparing the statement waits for the same lock, and as long
        }
        match preparing.await {
            Ok(statement) => {
                let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
                prepared.insert(sql.text.clone(), statement);
            }
            // The transaction has failed too: `commit` would then roll back the statement that the reply reports
            // as done, without an error.
            Err(fault) if reply.is_ok() && self.is_in_transaction() => return Err(fault),
            Err(_) => {}
        }
        reply
    }
}

/// Whether the server has ended a statement because of a time limit.
fn is_of_time(code: &SqlState) -> bool {
    [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(code)
}

/// Closes the connection. If the server has not answered, the task of the connection would wait for the answer.
impl Drop for Session {
    fn drop(&mut self) {
        if !self.has_answered() {
            self.connection.abort();
        }
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
        let connection = tokio::spawn(connection).abort_handle();
        let session = Session::new(client, connection, Proxy::new(None), Timestamp::from_micros(0));
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
