//! A proxy between this program and the server that pools connections, such as PgBouncer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::error::SqlState;

/// Whether there is a proxy that gives each transaction another server process, as PgBouncer, Supavisor and RDS
/// Proxy do. What belongs to a session is then not there in its next transaction, or is that of another client:
/// prepared statements, settings, and the process itself.
///
/// Such a proxy is recognized when the first connection is opened, before anything is prepared. Executing a
/// prepared statement by its name could otherwise execute a different statement, which another client has prepared
/// under the same name. Clones share their state.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    is_there: AtomicBool,
    is_preparing: AtomicBool,
    /// Whether the URL says that statements can be prepared, with or without a proxy.
    may_prepare: bool,
}

impl Proxy {
    /// `prepare` says whether statements can be prepared; `None`: if there is no proxy.
    pub(crate) fn new(prepare: Option<bool>) -> Self {
        let is_off = prepare == Some(false);
        let shared = Shared {
            is_there: AtomicBool::new(is_off),
            is_preparing: AtomicBool::new(!is_off),
            may_prepare: prepare == Some(true),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether transactions are given different processes.
    pub(crate) fn is_there(&self) -> bool {
        self.shared.is_there.load(Ordering::Relaxed)
    }

    /// Whether prepared statements outlive the transaction.
    pub(crate) fn is_preparing(&self) -> bool {
        self.shared.is_preparing.load(Ordering::Relaxed)
    }

    /// Records that the server process is not the announced one.
    pub(crate) fn note_other_process(&self) {
        let was_there = self.shared.is_there.swap(true, Ordering::Relaxed);
        if self.shared.may_prepare {
            return;
        }
        self.shared.is_preparing.store(false, Ordering::Relaxed);
        if !was_there {
            tracing::info!(
                "a proxy pools the connections to PostgreSQL, so statements are not prepared; prepare=off in the \
                 database URL says so, and prepare=on says that the proxy supports prepared statements"
            );
        }
    }

    /// Records that a prepared statement is not there, or that its name is taken, if that is the error.
    pub(crate) fn note_error(&self, code: Option<&SqlState>) {
        if !code.is_some_and(is_of_preparing) {
            return;
        }
        self.shared.is_there.store(true, Ordering::Relaxed);
        if self.shared.is_preparing.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                "prepared statements do not outlive a transaction, as behind a proxy that pools transactions; they \
                 are not used any longer. Add prepare=off to the database URL"
            );
        }
    }
}

/// Whether the error is that a prepared statement does not exist, or that another one has its name. Nothing was
/// applied.
pub(crate) fn is_of_preparing(code: &SqlState) -> bool {
    [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT].contains(code)
}
