//! Opens connections.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use switchyard_database::{Error, Result};

use crate::fault::{Fault, is_busy};
use crate::layout;

/// How long a writer waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements that a connection keeps prepared: a handful for each collection that a program uses.
const PREPARED_STATEMENTS: usize = 128;
/// Pages that the writer, and that all readers together, keep at the most. What is not used is not allocated. Mapping the
/// file into memory instead makes reads of a large file 1.7 times as fast, but turns a failing disk into SIGBUS.
const WRITER_CACHE_KIB: i64 = 8 * 1024;
const READERS_CACHE_KIB: i64 = 16 * 1024;
/// Pages of 4 KiB in the log before they are written to the file: each time costs two `fsync`s, and a page that many
/// transactions wrote is written once.
const CHECKPOINT_PAGES: i64 = 4000;
/// Marks a file as one of this layer's ("SWYD"), in the header where `file` and others look for it.
const APPLICATION_ID: i32 = 0x5357_5944;

/// The connection that writes to the file at `path`, which is created where there is none.
pub(crate) fn writer(path: &Path) -> Result<Connection> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|fault| {
            unusable(path, Error::Unavailable(format!("its folder cannot be created: {fault}")))
        })?;
    }
    create_private(path)
        .map_err(|fault| unusable(path, Error::Unavailable(format!("it cannot be created: {fault}"))))?;
    let open = || -> Result<Connection, Fault> {
        let connection = connect(path)?;
        prepare_writer(&connection)?;
        Ok(connection)
    };
    open().map_err(|fault| unusable(path, fault.into()))
}

/// Leaves a new file to its owner alone, as what is stored may be anybody's secret; SQLite gives the files beside it the
/// same mode. One that exists keeps the mode that somebody gave it.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => Err(fault),
        _ => Ok(()),
    }
}

/// One of `count` connections that read the file at `path`. It never waits for a lock: [`Pool`](crate::pool::Pool)
/// does.
pub(crate) fn reader(path: &Path, count: usize) -> Result<Connection> {
    let cache_kib = READERS_CACHE_KIB / i64::try_from(count).unwrap_or(1).max(1);
    let open = || -> Result<Connection, Fault> {
        let connection = connect(path)?;
        connection.pragma_update(None, "cache_size", -cache_kib)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    };
    open().map_err(|fault| unusable(path, fault.into()))
}

/// The only connection of a database that lives in memory and ends with it.
pub(crate) fn in_memory() -> Result<Connection, Fault> {
    let connection = Connection::open_in_memory()?;
    configure(&connection)?;
    layout::create_table(&connection)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Without URI: a file name is what it says. Each connection is used by one thread at a time.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
         PRAGMA journal_size_limit = 67108864;",
    )
}

fn prepare_writer(connection: &Connection) -> Result<(), Fault> {
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    let application_id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application_id != APPLICATION_ID {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return Err(Error::Invalid("belongs to another program".to_owned()).into());
        }
    }
    use_write_ahead_log(connection)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    layout::create_table(connection)?;
    Ok(())
}

/// Changing the journal takes a lock that SQLite does not wait for, lest two that change it wait for each other.
fn use_write_ahead_log(connection: &Connection) -> Result<(), Fault> {
    let start = Instant::now();
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode {
            Err(fault) if is_busy(&fault) && start.elapsed() < BUSY_TIMEOUT => {
                thread::sleep(Duration::from_millis(5));
            }
            Ok(mode) if mode != "wal" => {
                return Err(Error::Unavailable(format!(
                    "it lies on a file system without shared memory, so that its journal is `{mode}` instead of `wal`"
                ))
                .into());
            }
            mode => return Ok(mode.map(drop)?),
        }
    }
}

/// Says which file an error is about.
fn unusable(path: &Path, error: Error) -> Error {
    match error {
        Error::Unavailable(reason) => {
            Error::Unavailable(format!("the database file {path:?} cannot be used: {reason}"))
        }
        Error::Corrupt(reason) => Error::Corrupt(format!("the database file {path:?}: {reason}")),
        Error::Invalid(reason) => Error::Invalid(format!("the database file {path:?} {reason}")),
        error => error,
    }
}
