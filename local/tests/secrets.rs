//! Tests the secrets of a start: which are made, which are refused, and what is left behind.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use switchyard_ambient::Ambient;
use switchyard_harness::identity::identity_environment;
use switchyard_harness::process;
use switchyard_harness::store::{Backend, Store};
use switchyard_program::{ALL_SECRETS, Program, StartError, Task};
use switchyard_runtime::Environment;
use switchyard_sealing::{SealError, Sealer, key_id_of};

const NEW: &str = "a new key that is no secret at all";
const OLD: &str = "an old key that is no secret at all";

/// `switchyard migrate` in its own folder, on a store, with an empty environment otherwise.
fn migrate(folder: &Path, store: &Store) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().arg("migrate").envs(store.environment());
    command
}

/// `switchyard secrets forget`.
fn forget(folder: &Path, store: &Store, setting: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().envs(store.environment()).args(["secrets", "forget", setting]);
    command
}

/// Runs a command that succeeds.
fn succeed(command: Command) {
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(0), "{output}{errors}");
}

/// Runs a command that is refused, and returns the sentence.
fn refusal(command: Command) -> String {
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(1), "{output}{errors}");
    errors.trim_end().to_owned()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.collect()
}

async fn a_secret_that_the_database_knows_is_not_replaced_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(backend).await.unwrap();
    let run = || {
        let mut command = migrate(folder.path(), &store);
        command.env("SECRETS", "file:secrets");
        command
    };
    succeed(run());
    let secrets = folder.path().join("secrets");
    let all = ["audit-key", "encryption-key", "jwt-private-key.pem", "password-pepper", "sign-in-key"];
    let all = all.map(str::to_owned);
    assert_eq!(files(&secrets), BTreeSet::from(all.clone()));
    let old = fs::read_to_string(secrets.join("password-pepper")).unwrap();

    // A lost file is not replaced.
    for (setting, file, hint) in [
        ("PASSWORD_PEPPER", "password-pepper", true),
        ("JWT_PRIVATE_KEY", "jwt-private-key.pem", true),
        ("SIGN_IN_KEY", "sign-in-key", true),
        ("AUDIT_KEY", "audit-key", false),
        ("ENCRYPTION_KEY", "encryption-key", true),
    ] {
        fs::rename(secrets.join(file), folder.path().join("lost")).unwrap();
        let hint = if hint {
            format!("; if it is lost for good, `switchyard secrets forget {setting}` permits a new one")
        } else {
            String::new()
        };
        let sentence = format!(
            "switchyard: secrets/{file} with the {setting} of this database is missing: restore it from its backup{hint}"
        );
        assert_eq!(refusal(run()), sentence);
        assert!(!secrets.join(file).exists(), "{file} was replaced");
        fs::rename(folder.path().join("lost"), secrets.join(file)).unwrap();
    }
    succeed(run());

    // Another one is refused, until it has been used beside the old one.
    let with = |pepper: &str| {
        let mut command = run();
        command.env("PASSWORD_PEPPER", pepper);
        command
    };
    let sentence = refusal(with(NEW));
    assert!(
        sentence.starts_with(
            "switchyard: the database was used with another PASSWORD_PEPPER (the id of its key is "
        ),
        "{sentence}"
    );
    assert!(!sentence.contains(NEW) && !sentence.contains(&old), "{sentence}");
    succeed(with(&format!("{old},{NEW}")));
    assert!(refusal(with(NEW)).contains("another PASSWORD_PEPPER"));
    succeed(with(&format!("{NEW},{old}")));
    succeed(with(NEW));
    assert!(refusal(with(&old)).contains("another PASSWORD_PEPPER"));

    // One that the database does not know is made beside the others.
    let key = fs::read_to_string(secrets.join("jwt-private-key.pem")).unwrap();
    fs::remove_file(secrets.join("jwt-private-key.pem")).unwrap();
    succeed(forget(folder.path(), &store, "JWT_PRIVATE_KEY"));
    succeed(with(NEW));
    assert_ne!(fs::read_to_string(secrets.join("jwt-private-key.pem")).unwrap(), key);
    assert_eq!(files(&secrets), BTreeSet::from(all));
}

#[tokio::test]
async fn a_secret_that_the_database_knows_is_not_replaced_on_sqlite() {
    a_secret_that_the_database_knows_is_not_replaced_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_secret_that_the_database_knows_is_not_replaced_on_postgres() {
    a_secret_that_the_database_knows_is_not_replaced_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_secret_that_the_database_knows_is_not_replaced_on_dynamodb() {
    a_secret_that_the_database_knows_is_not_replaced_on(Backend::DynamoDb).await;
}

async fn a_key_that_has_sealed_is_needed_on(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(backend).await.unwrap();
    let with = |keys: &str| {
        let mut command = migrate(folder.path(), &store);
        command.env("SECRETS", "file:secrets").env("ENCRYPTION_KEY", keys);
        command
    };
    let (old, both, reversed) = (OLD, format!("{NEW},{OLD}"), format!("{OLD},{NEW}"));
    for keys in [&reversed, old, &both] {
        succeed(with(keys));
    }
    for key in [NEW, OLD] {
        let sentence = refusal(with(key));
        let begin = "switchyard: the database was used with another ENCRYPTION_KEY (the id of its key is ";
        assert!(sentence.starts_with(begin), "{sentence}");
        assert!(!sentence.contains(NEW) && !sentence.contains(OLD), "{sentence}");
    }
    succeed(with(&reversed));
    assert!(!files(&folder.path().join("secrets")).contains("encryption-key"));

    // Lost keys can be given up, with what they have sealed.
    succeed(forget(folder.path(), &store, "ENCRYPTION_KEY"));
    succeed(with(NEW));
    assert!(refusal(with(OLD)).contains("another ENCRYPTION_KEY"));
}

#[tokio::test]
async fn a_key_that_has_sealed_is_needed_on_sqlite() {
    a_key_that_has_sealed_is_needed_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_key_that_has_sealed_is_needed_on_postgres() {
    a_key_that_has_sealed_is_needed_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_key_that_has_sealed_is_needed_on_dynamodb() {
    a_key_that_has_sealed_is_needed_on(Backend::DynamoDb).await;
}

/// The settings of a program on a store with these keys.
fn environment_with(store: &Store, keys: &str, is_function: bool) -> Environment {
    let on_lambda = ("AWS_LAMBDA_RUNTIME_API".to_owned(), "127.0.0.1:1".to_owned());
    let keys = ("ENCRYPTION_KEY".to_owned(), keys.to_owned());
    let variables = store.environment().into_iter().chain(identity_environment());
    Environment::of(variables.chain([keys]).chain(Some(on_lambda).filter(|_| is_function)))
}

/// Starts a program as a function for users, or as a server, which is also the deployment.
async fn program_with(store: &Store, keys: &str, is_function: bool) -> Result<Program, StartError> {
    let environment = environment_with(store, keys, is_function);
    Box::pin(Program::start_with(environment, &ALL_SECRETS, Ambient::system(), |database| database)).await
}

/// Starts a function that schedules run.
async fn task_with(store: &Store, keys: &str) -> Result<Task, StartError> {
    let environment = environment_with(store, keys, true);
    Box::pin(Task::start_with(environment, &["ENCRYPTION_KEY"], Ambient::system(), |database| database)).await
}

/// The id of the key that seals.
fn seals_with(sealer: &Sealer) -> Result<String, SealError> {
    sealer.seal("notes/1/text", b"text").map(|sealed| key_id_of(&sealed).unwrap().to_owned())
}

async fn a_function_seals_with_recorded_keys_alone_on(backend: Backend) {
    let store = Store::fresh(backend).await.unwrap();
    let both = format!("{NEW},{OLD}");
    let request_comes = async |program: &Program| {
        program.secrets.keep_fresh(program.identity.kernel().db(), program.identity.secrets()).await;
    };
    let event_comes = async |task: &Task| {
        task.secrets.keep_fresh(task.kernel.db(), task.kernel.settings().secrets()).await;
    };
    // The database does not answer at the start, since it has no tables.
    let (program, task) =
        (program_with(&store, OLD, true).await.unwrap(), task_with(&store, OLD).await.unwrap());
    request_comes(&program).await;
    event_comes(&task).await;
    assert_eq!(seals_with(&program.sealer), Err(SealError::NotRecorded));
    assert_eq!(seals_with(&task.sealer), Err(SealError::NotRecorded));
    let old = seals_with(&program_with(&store, OLD, false).await.unwrap().sealer).unwrap();
    request_comes(&program).await;
    event_comes(&task).await;
    assert_eq!(seals_with(&program.sealer), Ok(old.clone()));
    assert_eq!(seals_with(&task.sealer), Ok(old.clone()));

    // Functions start with a new key before the deployment has recorded it.
    let (program, task) =
        (program_with(&store, &both, true).await.unwrap(), task_with(&store, &both).await.unwrap());
    request_comes(&program).await;
    event_comes(&task).await;
    assert_eq!(seals_with(&program.sealer), Ok(old.clone()));
    assert_eq!(seals_with(&task.sealer), Ok(old.clone()));
    let new = seals_with(&program_with(&store, &both, false).await.unwrap().sealer).unwrap();
    assert_ne!(new, old);
    request_comes(&program).await;
    event_comes(&task).await;
    assert_eq!(seals_with(&program.sealer), Ok(new.clone()));
    assert_eq!(seals_with(&task.sealer), Ok(new));

    let sentence =
        format!("the database was used with another ENCRYPTION_KEY (the id of its key is {old}): ");
    for fault in [
        program_with(&store, NEW, true).await.unwrap_err(),
        program_with(&store, NEW, false).await.unwrap_err(),
        task_with(&store, NEW).await.unwrap_err(),
    ] {
        assert!(fault.to_string().starts_with(&sentence), "{fault}");
    }
}

#[tokio::test]
async fn a_function_seals_with_recorded_keys_alone_on_sqlite() {
    a_function_seals_with_recorded_keys_alone_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_function_seals_with_recorded_keys_alone_on_postgres() {
    a_function_seals_with_recorded_keys_alone_on(Backend::Postgres).await;
}

#[tokio::test]
async fn a_function_seals_with_recorded_keys_alone_on_dynamodb() {
    a_function_seals_with_recorded_keys_alone_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn secrets_are_not_made_for_a_database_server_unless_told_to() {
    for backend in [Backend::Postgres, Backend::DynamoDb] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::fresh(backend).await.unwrap();
        let mut command = migrate(folder.path(), &store);
        command.env("AUDIT_KEY", NEW).env("PORT", "http");
        assert_eq!(
            refusal(command),
            "switchyard: these settings are missing or malformed:\n\
             - SECRETS does not say where this server finds its secrets: set the variables below, or SECRETS=file:data \
             to have it make secrets of its own in the folder data\n\
             - PORT must be a whole number from 0 to 65535\n\
             - ENCRYPTION_KEY is not set\n\
             - JWT_PRIVATE_KEY is not set\n\
             - PASSWORD_PEPPER is not set\n\
             - SIGN_IN_KEY is not set"
        );
        assert_eq!(files(folder.path()), BTreeSet::new());
    }
}

#[tokio::test]
async fn processes_that_start_at_once_have_the_same_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let start = || {
        let mut command = migrate(folder.path(), &store);
        command.env("SECRETS", "file:secrets");
        tokio::task::spawn_blocking(move || succeed(command))
    };
    for process in [start(), start(), start()] {
        process.await.unwrap();
    }
    assert_eq!(files(&folder.path().join("secrets")).len(), 5);
}

#[tokio::test]
async fn a_function_with_other_secrets_does_not_start() {
    for backend in Backend::ALL {
        let store = Store::fresh(backend).await.unwrap();
        let start = async |more: &[(&str, &str)]| {
            let variables = [store.environment(), identity_environment()].concat();
            let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let environment = Environment::of(variables.into_iter().chain(more));
            let started =
                Program::start_with(environment, &ALL_SECRETS, Ambient::system(), |database| database).await;
            started.map(drop).map_err(|fault| fault.to_string())
        };
        let on_lambda = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
        // Without tables there is nothing to compare with, and the first request answers for itself.
        assert_eq!(start(&[on_lambda]).await, Ok(()));
        assert_eq!(start(&[]).await, Ok(()));
        assert_eq!(start(&[on_lambda]).await, Ok(()));
        let fault = start(&[on_lambda, ("PASSWORD_PEPPER", NEW)]).await.unwrap_err();
        assert!(fault.starts_with("the database was used with another PASSWORD_PEPPER"), "{fault}");
    }
}
