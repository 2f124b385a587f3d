//! The real binary and a database behind TLS: it trusts only who can prove their name, and says why it does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use switchyard_harness::process;
use switchyard_harness::store::{Backend, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Speaks TLS as `localhost`, by a certificate that it has signed itself, and passes on what it hears.
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
                        // An SSLRequest, and the consent.
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

/// `switchyard migrate`, told nothing but this: its exit code, and what it prints on either output.
fn migrate(environment: &[(String, String)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.arg("migrate").current_dir(folder.path()).env_clear().envs(environment.iter().cloned());
    let (code, output, errors) = process::run(command).unwrap();
    (code, output + &errors)
}

/// Migrates `store` through `environment_of(host, trusted certificate)` under the name of the certificate, under
/// another one, and trusting the machine's authorities alone.
async fn only_who_proves_their_name_is_trusted(
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
async fn only_a_dynamodb_that_proves_its_name_is_trusted() {
    let store = Store::fresh(Backend::DynamoDb).await.unwrap();
    let endpoint = std::env::var("TEST_DYNAMODB_ENDPOINT").unwrap();
    let upstream = endpoint.trim_start_matches("http://").to_owned();
    let front = Front::before(Backend::DynamoDb, upstream).await;
    only_who_proves_their_name_is_trusted(&front, |host, trusted| {
        let mut environment = store.environment();
        environment.retain(|(name, _)| name != "AWS_ENDPOINT_URL_DYNAMODB");
        environment.push(("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), format!("https://{host}")));
        let trusted = trusted.map(|path| ("SSL_CERT_FILE".to_owned(), path.display().to_string()));
        environment.into_iter().chain(trusted).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_postgres_that_proves_its_name_is_trusted() {
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let (credentials, rest) = store.database_url.split_once('@').unwrap();
    let (upstream, schema) = rest.split_once('/').unwrap();
    let front = Front::before(Backend::Postgres, upstream.to_owned()).await;
    only_who_proves_their_name_is_trusted(&front, |host, trusted| {
        let trusted = trusted.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default();
        let url = format!("{credentials}@{host}/{schema}&sslmode=require{trusted}");
        vec![("DATABASE_URL".to_owned(), url)]
    })
    .await;
}
