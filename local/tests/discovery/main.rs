//! A foreign library verifies access tokens, and knows nothing but the URL of their issuer.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, identity_environment, sign_in_admin};
use switchyard_harness::process::{self, Process, free_port};
use switchyard_harness::required;
use switchyard_harness::store::{Backend, Store};
use switchyard_identity::SigningKeys;

/// Returns what the library read, or its complaint.
fn verify(issuer: &str, token: &str) -> Result<Value, String> {
    // The environment of moto has the library.
    let python = PathBuf::from(required("TEST_MOTO")).with_file_name("python3");
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discovery/verify.py"));
    command.args([issuer, "switchyard", token]);
    match process::run(command).unwrap() {
        (Some(0), output, _) => Ok(serde_json::from_str(&output).unwrap()),
        (_, _, errors) => Err(errors),
    }
}

#[tokio::test]
async fn a_foreign_library_verifies_tokens_from_the_discovery_document_alone() {
    let rsa = SigningKeys::generate_pem().unwrap();
    let p256 = SigningKeys::generate_p256_pem().unwrap();
    for (key, algorithm) in [(rsa.clone(), "RS256"), (p256 + &rsa, "ES256")] {
        let store = Store::fresh(Backend::Sqlite).await.unwrap();
        let port = free_port().unwrap();
        let origin = format!("http://127.0.0.1:{port}");
        let issuer = format!("{origin}/shop");
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
        command.envs(store.environment()).envs(identity_environment()).envs(ADMIN_ENVIRONMENT);
        command.env("JWT_PRIVATE_KEY", key).env("PORT", port.to_string());
        command.env("BASE_PATH", "/shop").env("PUBLIC_URL", &issuer);
        let mut server = Process::start(command, origin).unwrap();
        server.wait_until_it_answers("/healthz").await.unwrap();
        let token = sign_in_admin(&issuer).await.unwrap();

        let read = verify(&issuer, &token).unwrap();
        assert_eq!(read["header"]["alg"], algorithm);
        assert_eq!(read["header"]["typ"], "at+jwt");
        assert_eq!(read["claims"]["client_id"], "switchyard");
        let altered = token.replacen(&token[token.len() - 20..], "AAAAAAAAAAAAAAAAAAAA", 1);
        let refused = verify(&issuer, &altered).unwrap_err();
        assert!(refused.contains("BadSignatureError"), "{refused}");
    }
}
