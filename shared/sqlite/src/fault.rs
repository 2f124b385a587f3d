//! Converts SQLite's errors to the errors of the contract.

use rusqlite::ErrorCode;
use switchyard_database::Error;

/// The reason why a call failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An error of SQLite.
    Sql(rusqlite::Error),
    /// An error of the contract.
    Contract(Error),
}

impl Fault {
    /// Whether another connection held a lock. Nothing was done, and trying again may help.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Sql(fault) if is_busy(fault))
    }

    /// Whether reading from or writing to the disk failed.
    pub(crate) fn is_io(&self) -> bool {
        matches!(self, Self::Sql(fault) if fault.sqlite_error_code() == Some(ErrorCode::SystemIoFailure))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Sql(fault)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Contract(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql(fault) => meaning_of(&fault),
            Fault::Contract(error) => error,
        }
    }
}

pub(crate) fn is_busy(fault: &rusqlite::Error) -> bool {
    matches!(fault.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn meaning_of(fault: &rusqlite::Error) -> Error {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};

    if matches!(
        fault,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    ) {
        return Error::Corrupt(fault.to_string());
    }
    let Some(code) = fault.sqlite_error_code() else { return Error::Internal(fault.to_string()) };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::Unavailable("another process holds the lock on the database file".to_owned())
        }
        ErrorCode::DiskFull => Error::Unavailable("the disk with the database file is full".to_owned()),
        ErrorCode::SystemIoFailure => {
            Error::Unavailable(format!("the disk with the database file fails: {fault}"))
        }
        ErrorCode::OutOfMemory => Error::Unavailable("SQLite is out of memory".to_owned()),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
            Error::Unavailable(format!("the file cannot be opened for writing: {fault}"))
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(fault.to_string()),
        _ if is_missing_table(fault) => Error::Internal(format!(
            "the stored tables do not match the declared collections; run the migration first: {fault}"
        )),
        _ => Error::Internal(fault.to_string()),
    }
}

/// SQLite has one code for all errors in the text of a statement.
fn is_missing_table(fault: &rusqlite::Error) -> bool {
    let text = fault.to_string();
    ["no such table", "no such column", "no such index", "has no column named"]
        .iter()
        .any(|message| text.contains(message))
}
