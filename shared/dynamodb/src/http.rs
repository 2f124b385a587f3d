//! The HTTP client under the SDK. It is made when the first request is sent, and TLS with the trusted certificates only
//! when that goes to an `https` endpoint: the SDK's own client parses the certificates twice, and for plain `http` too.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// A connection that was idle for longer is not used again: DynamoDB or a gateway on the way may have dropped it, and
/// what is sent into it has an unknown outcome. A thawed function opens a new one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// An HTTP client with one pool of connections.
#[derive(Debug, Default)]
pub(crate) struct Http(OnceLock<SharedHttpConnector>);

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let make = || {
            let (settings, components) = (settings.clone(), components.clone());
            SharedHttpConnector::new(ByScheme {
                settings,
                components,
                plain: OnceLock::new(),
                tls: OnceLock::new(),
            })
        };
        self.0.get_or_init(make).clone()
    }
}

/// Sends each request as its address asks for.
#[derive(Debug)]
struct ByScheme {
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
    plain: OnceLock<Connector>,
    tls: OnceLock<Connector>,
}

impl HttpConnector for ByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let builder = || {
            let mut builder = Connector::builder()
                .connector_settings(self.settings.clone())
                .pool_idle_timeout(IDLE_TIMEOUT);
            builder.set_sleep_impl(self.components.sleep_impl());
            builder
        };
        let connector = if request.uri().starts_with("http://") {
            self.plain.get_or_init(|| builder().build_http())
        } else {
            let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
            self.tls.get_or_init(|| builder().tls_provider(provider).build())
        };
        connector.call(request)
    }
}
