//! Secrets from AWS Secrets Manager: a start with them, a rotation while a server runs, and every fault.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use switchyard_harness::app::PASSWORD;
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, EMAIL, identity_environment, sign_in_admin};
use switchyard_harness::process::{self, Process};
use switchyard_harness::secrets_manager::SecretsManager;
use switchyard_harness::store::{Backend, Store};
use switchyard_identity::SigningKeys;

const NEW: &str = "a new key that is in no way secret";

type Keys = Vec<(String, String)>;

/// The secrets, and the other settings of identity.
fn secrets() -> (Keys, Keys) {
    identity_environment().into_iter().partition(|(name, _)| name != "BCRYPT_COST")
}

/// The secrets with others in their places.
fn with(secrets: &Keys, others: &[(&str, String)]) -> Keys {
    let other = |name: &str| others.iter().find(|(other, _)| *other == name).map(|(_, key)| key.clone());
    secrets.iter().map(|(name, key)| (name.clone(), other(name).unwrap_or_else(|| key.clone()))).collect()
}

fn key_of<'a>(secrets: &'a Keys, name: &str) -> &'a str {
    &secrets.iter().find(|(known, _)| known == name).unwrap().1
}

fn server(store: &Store, manager: &SecretsManager) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.env_clear().envs(store.environment()).envs(manager.environment()).envs(ADMIN_ENVIRONMENT);
    command.env("BCRYPT_COST", "4").env("SECRETS_TTL", "1s").env("DIAGNOSTICS", "private");
    command.current_dir(std::env::temp_dir());
    command
}

async fn key_ids(server: &Process) -> Vec<String> {
    let answer = reqwest::get(format!("{}/.well-known/jwks.json", server.base_url)).await.unwrap();
    let keys: Value = answer.json().await.unwrap();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The status of a request that needs a token.
async fn status_with(server: &Process, token: &str) -> u16 {
    let request =
        reqwest::Client::new().get(format!("{}/api/v1/auth/me", server.base_url)).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

async fn log_in(server: &Process) -> Option<String> {
    let request = reqwest::Client::new().post(format!("{}/api/v1/auth/login", server.base_url));
    let request = request.json(&json!({"email": EMAIL, "password": PASSWORD}));
    let answer = request.send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["access_token"].as_str().map(str::to_owned)
}

/// Long enough for the secrets to be read again with the next request.
async fn ttl_passes() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn rotated_secrets_arrive_in_a_running_server_on(backend: Backend) {
    let store = Store::fresh(backend).await.unwrap();
    let (old, _) = secrets();
    let manager = SecretsManager::start(&old).await.unwrap();
    let first = Process::serve(server(&store, &manager)).await.unwrap();
    let mut slow = server(&store, &manager);
    slow.env("SECRETS_TTL", "1h");
    let behind = Process::serve(slow).await.unwrap();
    let old_token = sign_in_admin(&first.base_url).await.unwrap();
    assert_eq!(status_with(&behind, &old_token).await, 200);

    let key = SigningKeys::generate_p256_pem().unwrap();
    let new = with(
        &old,
        &[
            ("JWT_PRIVATE_KEY", format!("{key}{}", key_of(&old, "JWT_PRIVATE_KEY"))),
            ("PASSWORD_PEPPER", format!("{NEW},{}", key_of(&old, "PASSWORD_PEPPER"))),
            ("AUDIT_KEY", format!("{NEW},{}", key_of(&old, "AUDIT_KEY"))),
            ("ENCRYPTION_KEY", format!("{NEW},{}", key_of(&old, "ENCRYPTION_KEY"))),
        ],
    );
    manager.put(&new).await.unwrap();
    ttl_passes().await;
    let new_token = log_in(&first).await.unwrap();
    let new_id = SigningKeys::from_pem(&key).unwrap().ids().remove(0);
    assert_eq!((kid(&new_token), &key_ids(&first).await[0]), (new_id.clone(), &new_id));
    assert_ne!(kid(&old_token), new_id);
    // The instance with the old secret verifies tokens of the new key, and shows it to others.
    ttl_passes().await;
    for server in [&first, &behind] {
        assert_eq!(status_with(server, &new_token).await, 200);
        assert_eq!(status_with(server, &old_token).await, 200);
        assert!(key_ids(server).await.contains(&new_id));
    }
    assert!(kid(&log_in(&first).await.unwrap()) == new_id);

    // The password was hashed again with the new pepper, so the old one may go, and the log is whole.
    let alone = with(&new, &[("PASSWORD_PEPPER", NEW.to_owned())]);
    manager.put(&alone).await.unwrap();
    ttl_passes().await;
    assert!(log_in(&first).await.is_some());
    let verify = reqwest::Client::new().get(format!("{}/api/v1/audit-logs/verify", first.base_url));
    let answer: Value = verify.bearer_auth(&new_token).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["valid"], true, "{answer}");

    // The old key may have sealed, so it is kept if the new secret lacks it.
    first.output();
    manager.put(&with(&alone, &[("ENCRYPTION_KEY", NEW.to_owned())])).await.unwrap();
    ttl_passes().await;
    assert!(log_in(&first).await.is_some());
    let output = first.output();
    assert!(output.contains("the new ENCRYPTION_KEY lacks the key with the id "), "{output}");
}

#[tokio::test]
async fn rotated_secrets_arrive_in_a_running_server_on_postgres() {
    rotated_secrets_arrive_in_a_running_server_on(Backend::Postgres).await;
}

#[tokio::test]
async fn rotated_secrets_arrive_in_a_running_server_on_dynamodb() {
    rotated_secrets_arrive_in_a_running_server_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn the_present_secrets_serve_on_whatever_happens_to_the_new_ones() {
    let store = Store::fresh(Backend::Sqlite).await.unwrap();
    let (old, _) = secrets();
    let manager = SecretsManager::start(&old).await.unwrap();
    let server = Process::serve(server(&store, &manager)).await.unwrap();
    sign_in_admin(&server.base_url).await.unwrap();
    server.output();
    let logged = async || {
        for _ in 0..2 {
            ttl_passes().await;
            assert!(log_in(&server).await.is_some());
        }
        let output = server.output();
        let errors: Vec<_> =
            output.lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect();
        assert_eq!(errors.len(), 1, "it is logged once: {output}");
        errors.into_iter().next().unwrap()
    };
    let name = "the secret `switchyard/identity`";

    manager.fail(100, 400, "AccessDeniedException");
    let denied = logged().await;
    assert!(
        denied.contains(&format!("{name} cannot be read from Secrets Manager: access is denied")),
        "{denied}"
    );
    assert!(denied.contains("the present secrets stay in use"), "{denied}");

    manager.fail(100, 500, "InternalServiceError");
    assert!(logged().await.contains("InternalServiceError"));
    manager.fail(0, 200, "");

    manager.put_text("no object").await.unwrap();
    assert!(logged().await.contains("it must be a JSON object of texts"));

    let lost: Keys = old.iter().filter(|(name, _)| name != "AUDIT_KEY").cloned().collect();
    manager.put(&lost).await.unwrap();
    assert!(logged().await.contains("there is no AUDIT_KEY any more"));

    manager.put(&with(&old, &[("SIGN_IN_KEY", "short".to_owned())])).await.unwrap();
    let malformed = logged().await;
    assert!(
        malformed.contains("the new SIGN_IN_KEY must hold keys of at least 32 characters each"),
        "{malformed}"
    );

    manager.put(&with(&old, &[("PASSWORD_PEPPER", NEW.to_owned())])).await.unwrap();
    let other = logged().await;
    assert!(other.contains("the new PASSWORD_PEPPER lacks the key with the id "), "{other}");
    assert!(!other.contains(NEW), "{other}");

    // A throttled call is repeated at once, and nothing is logged.
    manager.put(&old).await.unwrap();
    ttl_passes().await;
    log_in(&server).await.unwrap();
    server.output();
    manager.take_requests();
    manager.fail(2, 400, "ThrottlingException");
    ttl_passes().await;
    assert!(log_in(&server).await.is_some());
    assert_eq!(manager.take_requests(), 3);
    let output = server.output();
    assert!(!output.contains("ERROR") && !output.contains("WARN"), "{output}");
}

/// The sentence with which a start is refused.
fn refusal(mut command: Command) -> String {
    command.arg("migrate");
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(1), "{output}{errors}");
    errors.trim_end().to_owned()
}

// The service answers while the test waits for a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_the_secrets_is_refused_in_one_sentence() {
    let store = Store::fresh(Backend::Sqlite).await.unwrap();
    let (all, _) = secrets();
    let manager = SecretsManager::start(&all).await.unwrap();
    let begin = "switchyard: the secret `switchyard/identity` cannot be read from Secrets Manager: ";
    let refused = |status, code| {
        manager.fail(100, status, code);
        let sentence = refusal(server(&store, &manager));
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        sentence.strip_prefix(begin).map_or_else(|| panic!("{sentence}"), str::to_owned)
    };
    let denied = refused(400, "AccessDeniedException");
    assert!(
        denied.starts_with("access is denied; permit secretsmanager:GetSecretValue on it to the role"),
        "{denied}"
    );
    let missing = refused(400, "ResourceNotFoundException");
    assert_eq!(missing, "there is none of this name in this account and region");
    manager.take_requests();
    assert_eq!(refused(400, "ThrottlingException"), "Secrets Manager refuses more requests for now");
    assert_eq!(manager.take_requests(), 4);
    assert_eq!(refused(500, "InternalServiceError"), "InternalServiceError (as the test wants it)");
    manager.fail(0, 200, "");

    let mut elsewhere = server(&store, &manager);
    elsewhere.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1");
    let sentence = refusal(elsewhere);
    assert!(sentence.starts_with(&format!("{begin}it does not answer (")), "{sentence}");
    let mut nowhere = server(&store, &manager);
    nowhere.env_remove("AWS_REGION");
    let sentence = refusal(nowhere);
    assert_eq!(sentence, format!("{begin}no AWS region is set: set AWS_REGION to the region of the secret"));
    let mut nobody = server(&store, &manager);
    nobody.env_remove("AWS_ACCESS_KEY_ID");
    let sentence = refusal(nobody);
    assert!(
        sentence.starts_with(&format!("{begin}no AWS credentials were found: set AWS_ACCESS_KEY_ID")),
        "{sentence}"
    );

    let some: Keys = all.iter().filter(|(name, _)| name.starts_with("JWT")).cloned().collect();
    manager.put(&some).await.unwrap();
    let sentence = refusal(server(&store, &manager));
    let expected = "- SECRETS names the secret `switchyard/identity`, which has no PASSWORD_PEPPER and no SIGN_IN_KEY and no \
                    AUDIT_KEY and no ENCRYPTION_KEY\n";
    assert!(sentence.contains(expected), "{sentence}");
    manager.put_text(r#"{"AUDIT_KEY": {}}"#).await.unwrap();
    assert_eq!(refusal(server(&store, &manager)), format!("{begin}it must be a JSON object of texts"));
    // What the environment sets is not looked for there.
    let mut complete = server(&store, &manager);
    complete.envs(all).arg("migrate");
    manager.take_requests();
    assert_eq!(process::run(complete).unwrap().0, Some(0));
    assert_eq!(manager.take_requests(), 0);
}
