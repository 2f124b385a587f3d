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

/// How long the writer waits while another process writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of statements that a connection keeps prepared: a handful for each collection that a program uses.
const PREPARED_STATEMENTS: usize = 128;
/// The maximum size of the page cache of the writer, and of all readers together. Unused cache is not allocated.
/// Memory-mapping the file instead makes reads of a large file 1.7 times as fast, but a failing disk then causes
/// SIGBUS.
const WRITER_CACHE_KIB: i64 = 8 * 1024;
const READERS_CACHE_KIB: i64 = 16 * 1024;
/// The number of 4 KiB pages in the log that triggers a checkpoint. Each checkpoint costs two `fsync`s, and a page
/// that many transactions wrote is written to the file once.
const CHECKPOINT_PAGES: i64 = 4000;
/// Marks a file as written by this crate ("SWYD"), in the header field that `file` and other tools read.
const APPLICATION_ID: i32 = 0x5357_5944;

/// Opens the connection that writes to the file at `path`, and creates the file if it does not exist.
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

/// Creates a new file that only its owner can access, because the stored data may be secret. SQLite gives the
/// files beside it the same mode. An existing file keeps its mode.
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

/// Opens one of `count` connections that read the file at `path`. It never waits for a lock;
/// [`Pool`](crate::pool::Pool) retries instead.
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

/// Opens the only connection of a database in memory. The database is deleted when the connection is closed.
pub(crate) fn in_memory() -> Result<Connection, Fault> {
    let connection = Connection::open_in_memory()?;
    configure(&connection)?;
    layout::create_table(&connection)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Without `SQLITE_OPEN_URI`, so that file names are taken literally. With `NO_MUTEX`, because each connection
    // is used by one thread at a time.
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

/// Switches the journal to WAL. SQLite does not wait for the lock that this needs, because two connections that
/// switch at once could wait for each other, so this function retries.
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
                    "its file system does not support shared memory, so its journal mode is `{mode}` instead of `wal`"
                ))
                .into());
            }
            mode => return Ok(mode.map(drop)?),
        }
    }
}

/// Adds the path of the file to an error.
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
