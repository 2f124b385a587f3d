//! Retries requests that are safe to repeat.

use std::error::Error as StdError;

use aws_sdk_dynamodb::error::SdkError;
use switchyard_database::retry::Retries;
use switchyard_database::{Error, Result};

use crate::DynamoDb;
use crate::failure::Failure;
use crate::write::Write;

/// Counts the attempts of one call, of all requests that it sends.
pub(crate) struct Patience<'a>(Retries<'a>);

impl Patience<'_> {
    /// Waits before the next attempt. Returns `false` if there must not be another attempt.
    pub(crate) async fn lasts(&mut self, failure: &Failure) -> bool {
        match failure {
            Failure::Contended => self.0.after_conflict().await,
            Failure::Throttled | Failure::Unreachable(_) | Failure::Lost(_) => self.0.after_trouble().await,
            Failure::Condition(_) | Failure::Cancelled(_) | Failure::Missing(_) | Failure::Final(_) => false,
        }
    }

    /// Notes that DynamoDB has answered.
    pub(crate) fn answered(&mut self) {
        self.0.answered();
    }
}

impl DynamoDb {
    /// The patience of a call that has not sent a request yet.
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience(Retries::new(&self.budget, &self.ambient))
    }

    /// Sends a read, and sends it again after transient failures.
    pub(crate) async fn read<T, E, F>(&self, request: impl Fn() -> F) -> Result<T>
    where
        E: Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        self.read_with(&mut self.patience(), request).await
    }

    /// Like [`read`](Self::read), as one of the requests of a call.
    pub(crate) async fn read_with<T, E, F>(
        &self,
        patience: &mut Patience<'_>,
        request: impl Fn() -> F,
    ) -> Result<T>
    where
        E: Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        loop {
            let failure = match request().await {
                Ok(answer) => {
                    patience.answered();
                    return Ok(answer);
                }
                Err(failure) => Failure::from(failure),
            };
            if !patience.lasts(&failure).await {
                return Err(self.error_of(failure));
            }
        }
    }

    /// Sends a write, and sends it again after transient failures. Returns whether its condition holds. Applying
    /// the write twice must have the same effect as applying it once.
    pub(crate) async fn write(&self, write: Write) -> Result<bool> {
        let mut patience = self.patience();
        loop {
            let holds = match write.clone().send(&self.client).await {
                Ok(()) => true,
                Err(Failure::Condition(_)) => false,
                Err(failure) if patience.lasts(&failure).await => continue,
                Err(failure) => return Err(self.error_of(failure)),
            };
            patience.answered();
            return Ok(holds);
        }
    }

    /// Converts a failure to the error to report to the caller.
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
