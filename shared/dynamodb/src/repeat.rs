//! Repeating what is safe to repeat.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use switchyard_database::retry::Backoff;
use switchyard_database::{Error, Result};

use crate::DynamoDb;
use crate::failure::Failure;

/// Of a read: some three seconds of throttling, or four time-outs.
const READ: Backoff = Backoff::UNAVAILABLE;

/// Of a write that was not taken. Shorter than a read's, because whoever commits a transaction tries again too.
pub(crate) const WRITE: Backoff =
    Backoff { attempts: 4, base: Duration::from_millis(25), ceiling: Duration::from_millis(500) };

impl DynamoDb {
    /// Sends a read until it is answered.
    pub(crate) async fn read<T, E, F>(&self, request: impl Fn() -> F) -> Result<T>
    where
        E: Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let mut attempt = 1;
        loop {
            let failure = match request().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => Failure::from(failure),
            };
            if !failure.is_transient() || !READ.pause(attempt, &self.ambient).await {
                return Err(self.error_of(failure));
            }
            attempt += 1;
        }
    }

    /// The error that a failed request is for its caller.
    pub(crate) fn error_of(&self, failure: Failure) -> Error {
        match failure {
            Failure::Missing(message) => {
                let region = self.client.config().region().map_or("?", |region| region.as_ref());
                Error::Internal(format!(
                    "a table or an index under the prefix `{}` is missing in the region {region}: check both, or run \
                     the migration ({message})",
                    self.prefix
                ))
            }
            failure => failure.into_error(),
        }
    }
}
