//! The HTTP client of the SDK. It supports only HTTP/1.1, which all of the services speak; the client that comes
//! with the SDK also includes HTTP/2. It is created when the first request is sent, and loads the trusted
//! certificates only for an `https` endpoint.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::{Client, connect};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::RootCertStore;
use switchyard_tls::{client_config, roots_of_machine};
use tokio::net::TcpStream;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder};

/// The services accept connections in milliseconds. A longer wait means that a packet was lost.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that was idle for longer is not used again: the service or a gateway on the way may have dropped it,
/// and a request sent on it has an unknown outcome. A function that resumes after a freeze opens a new connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Opens TCP connections, with TLS for `https`, within [`CONNECT_TIMEOUT`].
type Connect = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// An HTTP client with one pool of connections.
#[derive(Clone, Debug, Default)]
pub struct Http(Arc<Pools>);

#[derive(Debug, Default)]
struct Pools {
    plain: OnceLock<Client<Connect, SdkBody>>,
    tls: OnceLock<Client<Connect, SdkBody>>,
}

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(fault) => return HttpConnectorFuture::ready(Err(ConnectorError::user(fault.into()))),
        };
        let client = if request.uri().scheme_str() == Some("http") {
            self.0.plain.get_or_init(|| client(RootCertStore::empty()))
        } else {
            self.0.tls.get_or_init(|| client(roots_of_machine()))
        };
        let answer = client.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|fault| ConnectorError::io(fault.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|fault| ConnectorError::other(fault.into(), None))
        })
    }
}

fn client(roots: RootCertStore) -> Client<Connect, SdkBody> {
    let mut tcp = connect::HttpConnector::new();
    tcp.enforce_http(false); // accept `https`: TLS is added on top
    tcp.set_nodelay(true);
    let connect = HttpsConnector::from((tcp, client_config(roots)));
    let connect = ServiceBuilder::new().timeout(CONNECT_TIMEOUT).service(connect);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .build(BoxCloneSyncService::new(connect))
}
