//! Tests the server on PostgreSQL with a role that may read and write rows and nothing else.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use switchyard_harness::app::PASSWORD;
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, identity_environment, sign_in_admin};
use switchyard_harness::process::{self, Process};
use switchyard_harness::required;
use switchyard_harness::store::{Backend, Store};
use tokio_postgres::NoTls;

async fn execute(statements: &str) {
    let (client, connection) = tokio_postgres::connect(&required("TEST_POSTGRES_URL"), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statements).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

fn switchyard(folder: &Path, database_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().args(arguments).envs(identity_environment());
    command.env("DATABASE_URL", database_url).envs(ADMIN_ENVIRONMENT).env("BCRYPT_COST", "4");
    command
}

/// The URL with another user, who logs in with a password.
fn as_role(url: &str, role: &str) -> String {
    let (_, address) = url.split_once('@').unwrap();
    format!("postgres://{role}:restricted@{address}")
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_serves_a_database_that_is_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::fresh(Backend::Postgres).await.unwrap();
    let (_, schema) = store.database_url.rsplit_once("%3D").unwrap();
    let role = format!("restricted_{schema}");
    execute(&format!(
        "drop role if exists {role}; create role {role} login password 'restricted'; grant usage on schema {schema} to {role}"
    ))
    .await;
    let restricted = as_role(&store.database_url, &role);

    // It cannot set the database up, and says what to do.
    let (code, _, errors) = process::run(switchyard(folder.path(), &restricted, &["migrate"])).unwrap();
    assert_eq!(code, Some(1));
    let sentence = format!(
        "switchyard: PostgreSQL cannot be used: PostgreSQL says: permission denied for schema {schema} (42501); grant the \
         right, or run the migration with a role that has it\n"
    );
    assert_eq!(errors, sentence);

    let (code, _, errors) =
        process::run(switchyard(folder.path(), &store.database_url, &["migrate"])).unwrap();
    assert_eq!(code, Some(0), "{errors}");
    execute(&format!("grant select, insert, update, delete on all tables in schema {schema} to {role}"))
        .await;
    let server = Process::serve(switchyard(folder.path(), &restricted, &[])).await.unwrap();
    let admin = sign_in_admin(&server.base_url).await.unwrap();
    let client = reqwest::Client::new();
    let account = json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada Lovelace"});
    let url = format!("{}/api/v1", server.base_url);
    let answer = client.post(format!("{url}/auth/register")).json(&account).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let found = client.get(format!("{url}/users?q=love")).bearer_auth(admin).send().await.unwrap();
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["data"][0]["email"], "ada@example.org");
    drop(server);
    execute(&format!("drop schema {schema} cascade; drop role {role}")).await;
}
