//! The settings of a session on the server: time limits, and what the query planner may do.
//!
//! Nothing may outlive its client on the server by more than seconds, because what it has locked is locked for
//! everybody. A client may be frozen at any moment, with its connection open: an instance on Lambda after its
//! answer, a stopped container, a virtual machine that moves.
//!
//! Behind a proxy that pools transactions, the settings of a session would become those of other clients, or be
//! lost. There each transaction of several requests sets its own limits.

use std::time::Duration;

/// How long a transaction may wait for the next statement of its client, with everything that it has locked. A
/// client sends the second half of a commit at once, so one that does not is frozen or gone.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);
/// How long a statement waits for one lock. This is longer than a frozen client can keep it.
const LOCK: Duration = Duration::from_secs(5);

/// Settings for the query planner of the server, for all statements of the pool's sessions.
///
/// Each statement is written for one plan: it follows an index in its order and reads no more than a page. The
/// planner does not know this and estimates instead. It plans each range of a large table again, which takes
/// longer than reading it. While a table has few rows, it chooses to read all of them, and keeps that plan when
/// there are many. For a long search it starts parallel processes.
pub(crate) const PLANNING: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("max_parallel_workers_per_gather", "0"),
    // With these settings a table without an index, such as the table of structures, looks so expensive that its
    // statement would be compiled.
    ("jit", "off"),
];

/// Settings that notice a client that is no longer there, on a server that runs on Linux.
///
/// The first one fails a server that no longer accepts data: otherwise a client that is frozen while it
/// reads a large answer would keep the statement, and its locks, forever. The others find connections whose
/// other end has disappeared without closing them.
const ON_LINUX: &[(&str, &str)] = &[
    ("tcp_user_timeout", "10s"),
    ("tcp_keepalives_idle", "300"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
];

/// A statement whose client has closed the connection is cancelled after this time. PostgreSQL 14 and later.
const FROM_14: &[(&str, &str)] = &[("client_connection_check_interval", "1s")];

/// The texts that apply the settings.
#[derive(Debug)]
pub(crate) struct Limits {
    /// The beginning of a transaction that writes, in a session with settings of its own, and behind a proxy.
    write: [String; 2],
    /// The same for a transaction that reads in one snapshot.
    snapshot: [String; 2],
    statement_timeout: Duration,
}

impl Limits {
    pub(crate) fn new(statement_timeout: Duration) -> Self {
        let both = |begin: &str| {
            let limits = of_time(statement_timeout);
            let limits = limits.map(|(name, value)| format!("; set local {name} = {value}"));
            [begin.to_owned(), format!("{begin}{}", limits.concat())]
        };
        Self {
            write: both("begin isolation level read committed"),
            snapshot: both("begin isolation level repeatable read read only"),
            statement_timeout,
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin_to_write(&self, is_pooled: bool) -> &str {
        &self.write[usize::from(is_pooled)]
    }

    /// Begins a transaction that reads in one snapshot.
    pub(crate) fn begin_snapshot(&self, is_pooled: bool) -> &str {
        &self.snapshot[usize::from(is_pooled)]
    }

    /// Returns the expression that applies the settings to the sessions of the pool.
    pub(crate) fn of_pool(&self) -> String {
        expression(&of_time(self.statement_timeout), PLANNING)
    }

    /// Returns the expression that applies the settings to a session of a migration, whose statements may read
    /// whole tables and wait for other transactions. Its transactions set their own limits.
    pub(crate) fn of_migration() -> String {
        expression(&[("statement_timeout", 0), ("lock_timeout", 0)], &[])
    }
}

/// The time limits, in milliseconds.
fn of_time(statement_timeout: Duration) -> [(&'static str, u128); 3] {
    [
        ("statement_timeout", statement_timeout.as_millis()),
        ("lock_timeout", LOCK.as_millis()),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.as_millis()),
    ]
}

fn expression(limits: &[(&str, u128)], planning: &[(&str, &str)]) -> String {
    let array = |settings: &mut dyn Iterator<Item = (&str, String)>| {
        let settings: Vec<_> =
            settings.map(|(name, value)| format!("set_config('{name}', '{value}', false)")).collect();
        format!("array[{}]", settings.join(", "))
    };
    let texts = |settings: &'static [(&str, &str)]| {
        array(&mut settings.iter().map(|&(name, value)| (name, value.to_owned())))
    };
    let limits = limits.iter().map(|&(name, value)| (name, value.to_string()));
    let isolation = ("default_transaction_isolation", "read committed".to_owned());
    let planning = planning.iter().map(|&(name, value)| (name, value.to_owned()));
    let everywhere = array(&mut limits.chain([isolation]).chain(planning));
    let (on_linux, from_14) = (texts(ON_LINUX), texts(FROM_14));
    format!(
        "{everywhere} || case when version() like '%linux%' then {on_linux} || \
         case when current_setting('server_version_num')::int >= 140000 then {from_14} end end"
    )
}
