//! Connecting: settings from the variables of AWS SDKs, one TLS stack, short time-outs, and no retries but our own.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedHttpClient;
use switchyard_ambient::Ambient;
use switchyard_database::{Error, Result};

use crate::http::Http;
use crate::{DynamoDb, settings};

/// DynamoDB answers in milliseconds: who waits longer waits for a lost packet.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

impl DynamoDb {
    /// Connects to the tables whose names begin with `prefix` and a hyphen. Region, credentials and endpoint are read from
    /// environment variables (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL_DYNAMODB`, …), and from every other
    /// source of AWS SDKs only with the feature `credential-chain`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the prefix is not a table's name, or no region is set.
    pub async fn connect(prefix: &str, ambient: Ambient) -> Result<Self> {
        Self::with_config(prefix, &settings::load().await, ambient)
    }

    /// As [`DynamoDb::connect`], with region, credentials, endpoint and, where they are set, HTTP client and time-out of
    /// an attempt from `config`.
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
        // The SDK would repeat every request that timed out, increments too.
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts)
            .http_client(config.http_client().unwrap_or_else(|| SharedHttpClient::new(Http::default())))
            .build();
        Ok(Self { client: Client::from_conf(config), prefix: prefix.to_owned(), ambient })
    }

    /// The SDK's client, for what the contract has no words for: backups, alarms, a look at the tables.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// A table's name has 3 to 255 of these characters; a collection's name has up to 40.
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
