//! Tests the binary with a database behind TLS: it connects only if the certificate is trusted and matches the host
//! name, and otherwise reports why.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use switchyard_harness::identity::identity_environment;
use switchyard_harness::process;
use switchyard_harness::store::{Backend, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// A TLS proxy with a self-signed certificate for `localhost`.
struct Front {
    port: u16,
    folder: TempDir,
}

impl Front {
    async fn before(backend: Backend, upstream: String) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(vec![made.cert.into()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut heard, _)) = listener.accept().await {
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                tokio::spawn(async move {
                    if backend == Backend::Postgres {
                        // The SSLRequest, and the answer that accepts it.
                        heard.read_exact(&mut [0; 8]).await?;
                        heard.write_all(b"S").await?;
                    }
                    let mut heard = acceptor.accept(heard).await?;
                    let mut upstream = TcpStream::connect(upstream).await?;
                    tokio::io::copy_bidirectional(&mut heard, &mut upstream).await
                });
            }
        });
        Self { port, folder }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

/// Runs `switchyard migrate` with only this environment. Returns its exit code and everything it prints.
fn migrate(environment: &[(String, String)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.arg("migrate").current_dir(folder.path()).env_clear().envs(identity_environment());
    command.envs(environment.iter().cloned());
    let (code, output, errors) = process::run(command).unwrap();
    (code, output + &errors)
}

/// Runs a migration with `environment_of(host, trusted certificate)` three times: with the name in the certificate,
/// with another name, and with only the machine's certificate authorities. Only the first may succeed.
async fn only_a_trusted_certificate_with_the_right_name_is_accepted(
    front: &Front,
    environment_of: impl Fn(&str, Option<&Path>) -> Vec<(String, String)>,
) {
    let certificate = front.certificate();
    let port = front.port;
    let (code, said) = migrate(&environment_of(&format!("localhost:{port}"), Some(&certificate)));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("are up to date"), "{said}");
    let (code, said) = migrate(&environment_of(&format!("127.0.0.1:{port}"), Some(&certificate)));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("certificate not valid for name \"127.0.0.1\""), "{said}");
    let (code, said) = migrate(&environment_of(&format!("localhost:{port}"), None));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("UnknownIssuer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_needs_a_trusted_certificate_with_the_right_name() {
    let store = Store::fresh(Backend::DynamoDb).await.unwrap();
    let endpoint = std::env::var("TEST_DYNAMODB_ENDPOINT").unwrap();
    let upstream = endpoint.trim_start_matches("http://").to_owned();
    let front = Front::before(Backend::DynamoDb, upstream).await;
    only_a_trusted_certificate_with_the_right_name_is_accepted(&front, |host, trusted| {
        let mut environment = store.environment();
        environment.retain(|(name, _)| name != "AWS_ENDPOINT_URL_DYNAMODB");
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), format!("https://{host}")));
        let trusted = trusted.map(|path| ("SSL_CERT_FILE".to_owned(), path.display().to_string()));
        environment.into_iter().chain(trusted).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_needs_a_trusted_certificate_with_the_right_name() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let (credentials, rest) = store.database_url.split_once('@').unwrap();
    let (upstream, schema) = rest.split_once('/').unwrap();
    let front = Front::before(Backend::Postgres, upstream.to_owned()).await;
    only_a_trusted_certificate_with_the_right_name_is_accepted(&front, |host, trusted| {
        let trusted = trusted.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default();
        let url = format!("{credentials}@{host}/{schema}&sslmode=require{trusted}");
        vec![("DATABASE_URL".to_owned(), url)]
    })
    .await;
}
