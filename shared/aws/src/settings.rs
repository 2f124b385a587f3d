//! Reads region, endpoint and credentials the way AWS SDKs do.
//!
//! A Lambda function gets all of them from environment variables. Other sources (profiles, web identities,
//! container and instance roles) are compiled in only with the feature `credential-chain`: they add half a
//! megabyte to a zipped function and some time to its start.

use aws_config::SdkConfig;

use crate::http::Http;

/// Loads the settings of this process for a service, whose name is part of the variable of its endpoint, as in
/// `AWS_ENDPOINT_URL_DYNAMODB`.
#[cfg(feature = "credential-chain")]
pub async fn load(_service: &str) -> SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(Http::default()).load().await
}

/// Loads the settings of this process for a service, whose name is part of the variable of its endpoint, as in
/// `AWS_ENDPOINT_URL_DYNAMODB`.
#[cfg(not(feature = "credential-chain"))]
pub async fn load(service: &str) -> SdkConfig {
    let config = read(service, |name| std::env::var(name).ok());
    config.into_builder().http_client(Http::default()).build()
}

/// How to provide credentials, for the error message if none were found.
#[cfg(feature = "credential-chain")]
pub const WHERE_CREDENTIALS_ARE: &str =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile by AWS_PROFILE, or run under a role";

/// How to provide credentials, for the error message if none were found.
#[cfg(not(feature = "credential-chain"))]
pub const WHERE_CREDENTIALS_ARE: &str =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; profiles and roles need the feature `credential-chain`";

/// Reads the settings from environment variables.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>
#[cfg(any(test, not(feature = "credential-chain")))]
fn read(service: &str, variable: impl Fn(&str) -> Option<String>) -> SdkConfig {
    use aws_config::environment::EnvironmentVariableCredentialsProvider;
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::provider::SharedCredentialsProvider;

    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let is_set = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let endpoint = variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.filter(|_| !is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"));
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .use_fips(is_set("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_set("AWS_USE_DUALSTACK_ENDPOINT"));
    config.set_endpoint_url(endpoint);
    config.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(variables: &[(&str, &str)]) -> SdkConfig {
        read("DYNAMODB", |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_more_specific_variable_wins() {
        let config = read_from(&[
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", "http://any"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://dynamodb"),
        ]);
        assert_eq!(config.region().map(AsRef::as_ref), Some("eu-west-1"));
        assert_eq!(config.endpoint_url(), Some("http://dynamodb"));
    }

    #[test]
    fn the_more_general_variable_is_read_if_the_specific_one_is_missing_or_empty() {
        let config = read_from(&[
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", "http://any"),
            ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
        ]);
        assert_eq!(config.region().map(AsRef::as_ref), Some("us-east-1"));
        assert_eq!(config.endpoint_url(), Some("http://any"));
        assert_eq!((config.use_fips(), config.use_dual_stack()), (Some(true), Some(false)));
    }

    #[test]
    fn endpoints_can_be_ignored() {
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        let config = read_from(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://dynamodb"), ignored]);
        assert_eq!((config.endpoint_url(), config.region()), (None, None));
    }
}
