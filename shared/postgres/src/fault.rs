//! What went wrong, and what follows from it.

use std::error::Error as _;

use switchyard_database::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// Why a call on a connection failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is no connection to be had. Nothing was sent.
    Unreachable(String),
    /// The connection broke before the reply came.
    Lost(String),
    /// The server rolled the transaction back because of another one.
    Contended,
    /// A unique value is stored already. Rolled back.
    Duplicate,
    /// Anything else: the error to answer with. Nothing was applied.
    Final(Error),
}

impl Fault {
    /// The error to answer with when trying again is over and nothing was applied.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Unreachable(why) | Self::Lost(why) => Error::Unavailable(why),
            Self::Contended | Self::Duplicate => Error::Contended,
            Self::Final(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(fault: tokio_postgres::Error) -> Self {
        let Some(answer) = fault.as_db_error() else {
            let is_ours = fault.source().is_some_and(|source| !source.is::<std::io::Error>());
            return match is_ours {
                false => {
                    Self::Lost(format!("the connection to PostgreSQL was lost: {}", sentence_of(&fault)))
                }
                true => Self::Final(Error::Internal(sentence_of(&fault))),
            };
        };
        of_answer(answer)
    }
}

fn of_answer(answer: &DbError) -> Fault {
    // The message without the detail, which quotes stored values.
    let said = format!("PostgreSQL says: {} ({})", answer.message(), answer.code().code());
    if matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return Fault::Lost(said);
    }
    match answer.code() {
        code if *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE
            || *code == SqlState::LOCK_NOT_AVAILABLE =>
        {
            Fault::Contended
        }
        code if *code == SqlState::UNIQUE_VIOLATION => Fault::Duplicate,
        code if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN => Fault::Final(
            Error::Internal(format!("{said}; run the migration before the program that needs it")),
        ),
        code if *code == SqlState::INVALID_SQL_STATEMENT_NAME => Fault::Final(Error::Internal(format!(
            "{said}; behind a proxy that pools transactions, add prepare=off to the database URL"
        ))),
        // A standby that was the primary: another connection may reach the new one.
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Fault::Unreachable(said),
        code if *code == SqlState::QUERY_CANCELED => {
            Fault::Final(Error::Unavailable(format!("{said}; it took longer than statement_timeout allows")))
        }
        code if code.code().starts_with("53") => Fault::Unreachable(said),
        _ => Fault::Final(Error::Internal(said)),
    }
}

/// Why no connection came about. The causes that waiting does not cure are final.
pub(crate) fn of_connecting(server: &str, fault: &tokio_postgres::Error) -> Fault {
    let why = format!("PostgreSQL at {server} cannot be reached: {}", sentence_of(fault));
    match fault.as_db_error() {
        Some(answer) if is_misconfigured(answer.code()) => Fault::Final(Error::Internal(why)),
        _ => Fault::Unreachable(why),
    }
}

/// Class 22 is a parameter with a value that it cannot have, 28 a refused log-in, 3D an unknown database, 42 an unknown
/// parameter.
fn is_misconfigured(code: &SqlState) -> bool {
    ["28", "3D", "42", "22"].contains(&code.code().get(..2).unwrap_or_default())
}

/// An error with its causes, in one line.
pub(crate) fn sentence_of(fault: &tokio_postgres::Error) -> String {
    if let Some(answer) = fault.as_db_error() {
        return format!("{} ({})", answer.message(), answer.code().code());
    }
    let mut sentence = fault.to_string();
    let mut cause = fault.source();
    while let Some(fault) = cause {
        sentence = format!("{sentence}: {fault}");
        cause = fault.source();
    }
    sentence
}

/// What is stored under `key` is not a document.
pub(crate) fn corrupt(key: &dyn std::fmt::Display, why: &dyn std::fmt::Display) -> Error {
    Error::Corrupt(format!("{key}: {why}"))
}

/// A shorthand for signatures.
pub(crate) type Outcome<T> = std::result::Result<T, Fault>;
