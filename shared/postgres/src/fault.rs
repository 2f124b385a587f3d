//! Classifies errors of a connection.

use std::error::Error as _;

use switchyard_database::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::proxy::is_of_preparing;

/// Why a call on a connection failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No connection could be opened. Nothing was sent.
    Unreachable(String),
    /// The connection broke before the reply arrived.
    Lost(String),
    /// The server rolled the transaction back because of a conflict with another transaction.
    Contended,
    /// A lock was not free within the time limit. The transaction was rolled back. Trying again would wait as long
    /// again.
    LockTimeout(String),
    /// A unique value is already stored. The transaction was rolled back.
    Duplicate,
    /// A proxy has lost a prepared statement. Nothing was applied, and no statement is prepared any longer.
    Unprepared(String),
    /// Any other error, to be returned to the caller. Nothing was applied.
    Final(Error),
}

impl Fault {
    /// Returns the error for the caller, after the last attempt and if nothing was applied.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Unreachable(why) | Self::Lost(why) => Error::Unavailable(why),
            Self::Contended | Self::LockTimeout(_) | Self::Duplicate => Error::Contended,
            Self::Unprepared(why) => Error::Internal(why),
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
            return if is_ours {
                Self::Final(Error::Internal(sentence_of(&fault)))
            } else {
                Self::Lost(format!("the connection to PostgreSQL was lost: {}", sentence_of(&fault)))
            };
        };
        of_answer(answer)
    }
}

fn of_answer(answer: &DbError) -> Fault {
    // Only the message, without the detail, which contains stored values.
    let said = format!("PostgreSQL says: {} ({})", answer.message(), answer.code().code());
    if matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return Fault::Lost(said);
    }
    match answer.code() {
        code if *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE => {
            Fault::Contended
        }
        code if *code == SqlState::LOCK_NOT_AVAILABLE => Fault::LockTimeout(said),
        code if *code == SqlState::UNIQUE_VIOLATION => Fault::Duplicate,
        code if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN => Fault::Final(
            Error::Internal(format!("{said}; run the migration before starting the program that needs it")),
        ),
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => Fault::Final(Error::Internal(format!(
            "{said}; grant the right, or run the migration with a role that has it"
        ))),
        code if is_of_preparing(code) => Fault::Unprepared(said),
        // The server was the primary and is now a standby. A new connection may reach the new primary.
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Fault::Unreachable(said),
        code if *code == SqlState::QUERY_CANCELED => {
            Fault::Final(Error::Unavailable(format!("{said}; it took longer than statement_timeout allows")))
        }
        code if code.code().starts_with("53") => Fault::Unreachable(said),
        _ => Fault::Final(Error::Internal(said)),
    }
}

/// Returns the fault for a failed connection attempt. Causes that do not go away by waiting are final.
pub(crate) fn of_connecting(server: &str, fault: &tokio_postgres::Error) -> Fault {
    let said = sentence_of(fault);
    let Some(answer) = fault.as_db_error().filter(|answer| is_misconfigured(answer.code())) else {
        return Fault::Unreachable(format!(
            "PostgreSQL at {server} cannot be reached: {said}{}",
            advice_on(&said)
        ));
    };
    let remedy = match answer.code().code().get(..2) {
        Some("28") => "check the user and the password in the database URL, and pg_hba.conf of the server",
        Some("3D") => "create the database, or name another one in the database URL",
        _ => "check the parameters of the database URL",
    };
    Fault::Final(Error::Internal(format!("PostgreSQL at {server} refuses the connection: {said}; {remedy}")))
}

/// Whether TLS could not be established.
pub(crate) fn is_tls(fault: &tokio_postgres::Error) -> bool {
    fault.to_string().contains("TLS")
}

/// Returns what to do about an error of the connection that the URL can avoid.
fn advice_on(sentence: &str) -> &'static str {
    if sentence.contains("server does not support TLS") {
        "; add sslmode=disable to the database URL if the network between them is trusted"
    } else if sentence.contains("UnknownIssuer") {
        "; name a file with its certificate authority by sslrootcert in the database URL, or use sslrootcert=rds for \
         Amazon RDS"
    } else if ["startup parameter: options", "startup parameter in options", "command-line options"]
        .iter()
        .any(|refusal| sentence.contains(refusal))
    {
        "; the proxy takes no `options`: remove them from the database URL, and set them for the role, as in `alter \
         role shop set search_path = shop`"
    } else {
        ""
    }
}

/// Class 22 is an invalid parameter value, 28 a refused login, 3D an unknown database, 42 an unknown parameter.
fn is_misconfigured(code: &SqlState) -> bool {
    ["28", "3D", "42", "22"].contains(&code.code().get(..2).unwrap_or_default())
}

/// Returns an error and its causes in one line.
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

/// Returns the error for data under `key` that is not a document.
pub(crate) fn corrupt(key: &dyn std::fmt::Display, why: &dyn std::fmt::Display) -> Error {
    Error::Corrupt(format!("{key}: {why}"))
}

/// The result of a call on a connection.
pub(crate) type Outcome<T> = std::result::Result<T, Fault>;
