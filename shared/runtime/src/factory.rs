use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_database::{Database, Error};

use crate::DatabaseUrl;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The program was built without the backend.
    #[error("DATABASE_URL names {0}, which this program was built without (cargo feature `{1}`)")]
    NotBuiltIn(&'static str, &'static str),
    /// The backend cannot be used.
    #[error("DATABASE_URL does not lead to a database: {}", reason(.0))]
    Backend(Error),
}

// The cause is not a `source` of the error, since the message already contains it.
impl From<Error> for ConnectError {
    fn from(fault: Error) -> Self {
        Self::Backend(fault)
    }
}

/// The message of a backend's error without its kind. At the start, all kinds have the same consequence.
pub(crate) fn reason(fault: &Error) -> String {
    match fault {
        Error::Unavailable(reason) | Error::Invalid(reason) | Error::Internal(reason) => reason.clone(),
        fault => fault.to_string(),
    }
}

/// Opens the database that a URL names.
///
/// A database server is connected to when it is first needed, so that a program can start while its database is
/// still starting.
///
/// # Errors
///
/// Fails if the URL is malformed, a file cannot be opened, or the program was built without the backend.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "dynamodb")),
    expect(unused_variables, reason = "without a backend there is nothing to pass it to")
)]
pub async fn connect(url: &DatabaseUrl, ambient: &Ambient) -> Result<Arc<dyn Database>, ConnectError> {
    match url {
        #[cfg(feature = "sqlite")]
        DatabaseUrl::SqliteMemory => Ok(Arc::new(switchyard_sqlite::Sqlite::in_memory(ambient.clone())?)),
        #[cfg(feature = "sqlite")]
        DatabaseUrl::Sqlite(path) => Ok(Arc::new(switchyard_sqlite::Sqlite::open(path, ambient.clone())?)),
        #[cfg(not(feature = "sqlite"))]
        DatabaseUrl::SqliteMemory | DatabaseUrl::Sqlite(_) => {
            Err(ConnectError::NotBuiltIn(url.backend(), "sqlite"))
        }
        #[cfg(feature = "postgres")]
        DatabaseUrl::Postgres(url) => {
            Ok(Arc::new(switchyard_postgres::Postgres::connect(url.expose(), ambient.clone()).await?))
        }
        #[cfg(not(feature = "postgres"))]
        DatabaseUrl::Postgres(_) => Err(ConnectError::NotBuiltIn(url.backend(), "postgres")),
        #[cfg(feature = "dynamodb")]
        DatabaseUrl::DynamoDb(prefix) => {
            Ok(Arc::new(switchyard_dynamodb::DynamoDb::connect(prefix, ambient.clone()).await?))
        }
        #[cfg(not(feature = "dynamodb"))]
        DatabaseUrl::DynamoDb(_) => Err(ConnectError::NotBuiltIn(url.backend(), "dynamodb")),
    }
}

#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod tests {
    use super::*;

    async fn fault(url: &str) -> String {
        let url: DatabaseUrl = url.parse().unwrap();
        connect(&url, &Ambient::system()).await.map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_valid_url_opens_a_database() {
        let url = DatabaseUrl::SqliteMemory;
        let database = connect(&url, &Ambient::system()).await.unwrap();
        assert_eq!(database.ping().await, Ok(()));
    }

    #[tokio::test]
    async fn an_unusable_database_is_reported_in_one_sentence() {
        assert!(fault("sqlite:/dev/null/x.db").await.starts_with(
            "DATABASE_URL does not lead to a database: the database file \"/dev/null/x.db\" cannot be used: "
        ));
        assert_eq!(
            fault("postgres://u:hunter2@h:port/d").await,
            "DATABASE_URL does not lead to a database: the database URL cannot be used: invalid connection string: \
             invalid value for option `port`"
        );
    }
}
