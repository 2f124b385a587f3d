//! Connecting: settings from the environment variables of AWS SDKs, one TLS stack, short timeouts, and no retries
//! by the SDK.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedHttpClient;
use switchyard_ambient::Ambient;
use switchyard_aws::{Http, load};
use switchyard_database::{Error, Result};

use crate::DynamoDb;

/// DynamoDB answers in milliseconds. A longer wait means that a packet was lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

impl DynamoDb {
    /// Connects to the tables whose names begin with `prefix` and a hyphen. Region, credentials and endpoint are
    /// read from environment variables (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL_DYNAMODB`, …). Other
    /// sources of AWS SDKs are read only with the feature `credential-chain`. No request is sent yet.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Invalid`] if the prefix cannot begin a table name or if no region is set.
    pub async fn connect(prefix: &str, ambient: Ambient) -> Result<Self> {
        Self::with_config(prefix, &load("DYNAMODB").await, ambient)
    }

    /// Like [`DynamoDb::connect`], but takes the region, the credentials and the endpoint from `config`, and also
    /// the HTTP client and the attempt timeout if `config` sets them.
    pub fn with_config(prefix: &str, config: &SdkConfig, ambient: Ambient) -> Result<Self> {
        check_prefix(prefix)?;
        if config.region().is_none() {
            let message = "no AWS region is set: set AWS_REGION to the region of the tables";
            return Err(Error::Invalid(message.to_owned()));
        }
        let attempt_timeout = config.timeout_config().and_then(TimeoutConfig::operation_attempt_timeout);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(attempt_timeout.unwrap_or(ATTEMPT_TIMEOUT))
            .build();
        // The SDK would retry every request that timed out, even an increment.
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts)
            .http_client(config.http_client().unwrap_or_else(|| SharedHttpClient::new(Http::default())))
            .build();
        Ok(Self {
            client: Client::from_conf(config),
            prefix: prefix.to_owned(),
            ambient,
            budget: Arc::default(),
        })
    }

    /// Returns the client of the SDK, for operations that the contract does not cover, such as backups, alarms and
    /// inspecting the tables.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// A table name has 3 to 255 of these characters; a collection name has up to 40.
fn check_prefix(prefix: &str) -> Result<()> {
    let fits = (1..=200).contains(&prefix.len())
        && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if fits {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the table prefix `{prefix}` must be 1 to 200 of a-z, A-Z, 0-9, `_`, `-` and `.`"
    )))
}
