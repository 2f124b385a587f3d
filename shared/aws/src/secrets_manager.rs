use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::retry::ReconnectMode;
use serde_json::Value;

use crate::{WHERE_CREDENTIALS_ARE, load};

/// Secrets Manager answers in tens of milliseconds. A longer wait means that a packet was lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// The time for all attempts, a small part of the ten seconds of a function's init phase.
const TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 4;
/// The first pause between two attempts, on average half of it. Each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// One secret in AWS Secrets Manager: a JSON object of texts.
pub struct SecretsManager {
    client: Client,
    id: String,
}

/// A secret could not be read from Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{id}` cannot be read from Secrets Manager: {reason}")]
pub struct SecretsManagerError {
    /// The name or the ARN of the secret.
    pub id: String,
    /// Why, and what to do about it.
    pub reason: String,
}

impl SecretsManager {
    /// The secret with this name or ARN. Region, credentials and endpoint are read as for every AWS service. No request is sent
    /// yet.
    ///
    /// # Errors
    ///
    /// If no region is set.
    pub async fn connect(id: &str) -> Result<Self, SecretsManagerError> {
        let config = load("SECRETS_MANAGER").await;
        if config.region().is_none() {
            let reason = "no AWS region is set: set AWS_REGION to the region of the secret".to_owned();
            return Err(SecretsManagerError { id: id.to_owned(), reason });
        }
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT);
        // The HTTP client does not tell the SDK of its connections, so the SDK cannot close one after a fault.
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(PAUSE)
            .with_reconnect_mode(ReconnectMode::ReuseAllConnections);
        let config = aws_sdk_secretsmanager::config::Builder::from(&config)
            .retry_config(retries)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts.operation_timeout(TIMEOUT).build())
            .build();
        Ok(Self { client: Client::from_conf(config), id: id.to_owned() })
    }

    /// The name or the ARN of the secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reads the texts of the secret by their keys. One call, which is repeated if it is throttled or gets no answer.
    pub async fn read(&self) -> Result<BTreeMap<String, String>, SecretsManagerError> {
        let answer = self.client.get_secret_value().secret_id(&self.id).send().await;
        let texts = answer.map_err(|failure| reason(&failure)).and_then(|answer| {
            answer.secret_string().and_then(texts_of).ok_or("it must be a JSON object of texts".to_owned())
        });
        texts.map_err(|reason| SecretsManagerError { id: self.id.clone(), reason })
    }
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManager").field("id", &self.id).finish_non_exhaustive()
    }
}

fn texts_of(secret: &str) -> Option<BTreeMap<String, String>> {
    let Value::Object(members) = serde_json::from_str(secret).ok()? else { return None };
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    };
    members.into_iter().map(text).collect()
}

/// Why a call failed. Never with a part of the secret.
fn reason<E>(failure: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match failure {
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or_default();
            let message = answer.err().message().unwrap_or_default();
            match code {
                "AccessDeniedException" => format!(
                    "access is denied; permit secretsmanager:GetSecretValue on it to the role, and kms:Decrypt if it has a key \
                     of its own ({message})"
                ),
                "ResourceNotFoundException" => {
                    "there is none of this name in this account and region".to_owned()
                }
                "ThrottlingException" | "TooManyRequestsException" => {
                    "Secrets Manager refuses more requests for now".to_owned()
                }
                code => format!("{code} ({message})"),
            }
        }
        SdkError::DispatchFailure(fault) => match fault.as_connector_error() {
            Some(fault) if fault.is_other() => {
                format!("no AWS credentials were found: {WHERE_CREDENTIALS_ARE} ({})", innermost(fault))
            }
            Some(fault) => format!("it does not answer ({})", innermost(fault)),
            None => "it does not answer".to_owned(),
        },
        SdkError::TimeoutError(_) => format!("it does not answer within {} s", TIMEOUT.as_secs()),
        other => innermost(other),
    }
}

/// The message of the error that caused all others.
fn innermost(fault: &(dyn StdError + 'static)) -> String {
    let mut innermost = fault;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_an_object_of_texts() {
        let texts = texts_of(r#"{"AUDIT_KEY": "a", "PASSWORD_PEPPER": "b"}"#).unwrap();
        assert_eq!(texts["AUDIT_KEY"], "a");
        for other in ["", "a", "[]", "\"a\"", r#"{"AUDIT_KEY": 1}"#, r#"{"AUDIT_KEY": {}}"#] {
            assert_eq!(texts_of(other), None, "{other}");
        }
    }
}
