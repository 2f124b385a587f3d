use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_database::Database;

use crate::DatabaseUrl;

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The backend was left out of this program.
    #[error("DATABASE_URL names {0}, which this program was built without (cargo feature `{1}`)")]
    NotBuiltIn(&'static str, &'static str),
    /// The backend cannot be used.
    #[error("the database cannot be used")]
    Backend(#[from] switchyard_database::Error),
}

/// Opens the database that a URL names.
///
/// A server is not asked yet whether it answers: it is connected to when it is first needed, so that a program starts
/// while its database is still starting.
///
/// # Errors
///
/// When the URL is malformed, when a file cannot be opened, and when the backend is not part of this program.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "dynamodb")),
    expect(unused_variables, reason = "without a backend there is nothing to hand it to")
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
