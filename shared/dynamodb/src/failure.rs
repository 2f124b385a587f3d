//! Classifies failed requests: whether anything may have been applied, and whether to try again.

use std::error::Error as StdError;

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::types::CancellationReason;
use switchyard_aws::WHERE_CREDENTIALS_ARE;
use switchyard_database::Error;

use crate::value::Item;

/// A failed request.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The condition of a write does not hold. Contains the stored item, if there is one. Nothing was applied.
    Condition(Option<Item>),
    /// A transaction was cancelled, with a reason for each of its items. Nothing was applied.
    Cancelled(Vec<CancellationReason>),
    /// Another transaction holds the item. Nothing was applied.
    Contended,
    /// Too many requests. Nothing was applied.
    Throttled,
    /// The request was never sent. Nothing was applied.
    Unreachable(String),
    /// The request was sent, but no answer says whether it was applied.
    Lost(String),
    /// A table or an index does not exist.
    Missing(String),
    /// Nothing was applied, and trying again does not help.
    Final(Error),
}

impl Failure {
    /// Returns the failure of a cancelled transaction that has no failed condition.
    pub(crate) fn of_reasons(reasons: &[CancellationReason]) -> Self {
        match reasons.iter().filter_map(|reason| reason.code.as_deref()).find(|code| *code != "None") {
            Some("TransactionConflict") => Self::Contended,
            Some(code) if is_throttling(code) => Self::Throttled,
            code => {
                let code = code.unwrap_or("no reason given");
                Self::Final(Error::Internal(format!("DynamoDB rejected the transaction: {code}")))
            }
        }
    }

    /// Returns the error to report to the caller. `Lost` is treated as the failure of a read; writes handle it
    /// themselves.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Contended => Error::Contended,
            Self::Throttled => Error::Throttled { after: None },
            Self::Unreachable(reason) | Self::Lost(reason) => Error::Unavailable(reason),
            Self::Missing(reason) => Error::Internal(reason),
            Self::Final(error) => error,
            Self::Condition(_) | Self::Cancelled(_) => {
                Error::Internal("a condition failed although none was set".to_owned())
            }
        }
    }

    /// Whether the same request may be sent again after a pause.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Contended | Self::Throttled | Self::Unreachable(_) | Self::Lost(_))
    }
}

impl<E> From<SdkError<E>> for Failure
where
    E: Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static,
{
    fn from(failure: SdkError<E>) -> Self {
        match failure {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                of_answer(answer.into_err().into(), status)
            }
            SdkError::DispatchFailure(fault) => match fault.as_connector_error() {
                Some(fault) if failed_to_connect(fault) => {
                    Self::Unreachable(format!("DynamoDB cannot be reached: {}", described(fault)))
                }
                Some(fault) if fault.is_other() && !was_sent(fault) => Self::Final(Error::Internal(format!(
                    "no AWS credentials were found for DynamoDB: {WHERE_CREDENTIALS_ARE} ({})",
                    described(fault)
                ))),
                Some(fault) => Self::Lost(format!("the connection to DynamoDB broke: {}", described(fault))),
                None => Self::Lost("the connection to DynamoDB broke".to_owned()),
            },
            SdkError::TimeoutError(_) => Self::Lost("DynamoDB did not answer in time".to_owned()),
            SdkError::ResponseError(_) => Self::Lost("DynamoDB's answer was cut off".to_owned()),
            other => Self::Final(Error::Internal(described(&other))),
        }
    }
}

fn of_answer(error: aws_sdk_dynamodb::Error, status: u16) -> Failure {
    use aws_sdk_dynamodb::Error as Answer;
    let code = error.code().unwrap_or_default().to_owned();
    let message = error.message().unwrap_or_default().to_owned();
    match (error, code.as_str()) {
        (Answer::ConditionalCheckFailedException(refusal), _) => Failure::Condition(refusal.item),
        (Answer::TransactionCanceledException(cancelled), _) => {
            Failure::Cancelled(cancelled.cancellation_reasons.unwrap_or_default())
        }
        (
            _,
            "TransactionConflictException"
            | "TransactionInProgressException"
            | "ReplicatedWriteConflictException",
        ) => Failure::Contended,
        (_, code) if is_throttling(code) => Failure::Throttled,
        (_, "ResourceNotFoundException") => Failure::Missing(message),
        (_, "ValidationException") if is_missing_index(&message) => Failure::Missing(message),
        (_, "ValidationException") if is_too_large(&message) => Failure::Final(Error::Limit(message)),
        (
            _,
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "AccessDeniedException",
        ) => Failure::Final(Error::Internal(format!("DynamoDB rejected the credentials: {message}"))),
        (_, _) if status >= 500 => Failure::Lost(format!("DynamoDB failed with status {status}: {message}")),
        (_, code) => {
            Failure::Final(Error::Internal(format!("DynamoDB rejected the request: {code}: {message}")))
        }
    }
}

/// Whether the code of an answer or of a cancellation reason asks for fewer requests.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException"
            | "ThrottlingError"
            | "Throttling"
            | "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "RequestLimitExceeded"
            | "LimitExceededException"
    )
}

fn is_missing_index(message: &str) -> bool {
    message.contains("does not have the specified index")
}

/// Whether a message says that an item or a transaction is too large.
pub(crate) fn is_too_large(message: &str) -> bool {
    message.contains("size has exceeded") || message.contains("size cannot exceed")
}

/// Returns the chain of causes in one line, without the outermost error, which the SDK wraps around everything.
fn described(error: &(dyn StdError + 'static)) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

fn failed_to_connect(error: &(dyn StdError + 'static)) -> bool {
    find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

fn was_sent(error: &(dyn StdError + 'static)) -> bool {
    find::<hyper_util::client::legacy::Error>(error).is_some()
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    match error.downcast_ref() {
        Some(found) => Some(found),
        None => find(error.source()?),
    }
}

/// The error for a request that lacks a required field, which is a bug of this crate.
pub(crate) fn incomplete(fault: BuildError) -> Error {
    Error::Internal(format!("a request to DynamoDB is incomplete: {fault}"))
}
