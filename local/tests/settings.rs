//! Tests how the server lists its settings, and what it reports if it cannot start with them.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use switchyard_harness::identity::identity_environment;
use switchyard_harness::process::{self, Process, free_port};
use switchyard_harness::required;
use switchyard_harness::store::{Backend, Store};
use tokio::net::{TcpListener, TcpStream};

fn switchyard(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().args(arguments);
    command
}

/// Runs a command that succeeds, and returns its output.
fn output(command: Command) -> String {
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(0), "{output}{errors}");
    output
}

/// Runs a command that is refused, and returns the sentence and the log.
fn refusal(command: Command) -> (String, String) {
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(1), "{output}{errors}");
    (errors.trim_end().to_owned(), output)
}

#[test]
fn settings_are_listed_with_their_values_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path(), &["settings"]);
    command.envs([
        ("PORT", "80x"),
        ("AUDIT_KEY", "hunter2"),
        ("ENCRYPTION_KEY", "hunter2"),
        ("DATABASSE_URL", "hunter2"),
        ("RATE_LIMIT_NONE", "1/1m"),
    ]);
    let listed = output(command);
    for lines in [
        "PORT=80x\n    the port on which a server listens: a number from 0 to 65535; 0 for any free port\n",
        "HOST=127.0.0.1   (the default)\n",
        "DATABASE_URL=sqlite:data/switchyard.db   (the default)\n    the database: ",
        "SECRETS=file:data   (the default)\n",
        "ACCESS_TOKEN_TTL=15m   (the default)\n    how long an access token is valid: a duration",
        "PASSWORD_HASH_THREADS=the number of cores   (the default)\n",
        "AUDIT_KEY=…\n    the keys of the audit log's chains, the current one first: keys of at least 32 characters each, \
         separated by commas; secret\n",
        "ENCRYPTION_KEY=…\n    the keys that seal what the database must not reveal, the current one first: keys of at least 32 \
         characters each, separated by commas; secret\n",
        "ADMIN_EMAIL   (not set)\n",
        "warning: PORT must be a whole number from 0 to 65535\n",
        "warning: DATABASSE_URL is set, but is not a setting; is DATABASE_URL meant?\n",
        "warning: RATE_LIMIT_NONE is set, but is not a setting\n",
    ] {
        assert!(listed.contains(lines), "{lines}\n{listed}");
    }
    assert!(!listed.contains("hunter2"), "{listed}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let help = output(switchyard(folder.path(), &["--help"]));
    let entry = "  PORT [default: 3000]\n      the port on which a server listens: a number from 0 to 65535";
    assert!(help.contains(entry), "{help}");
}

/// The settings in the README are those that the server reads. With `UPDATE_SNAPSHOTS=1` the test writes them.
#[test]
fn the_readme_lists_every_setting() {
    const BEGIN: &str = "<!-- `cargo run -- settings --markdown` -->\n";
    let folder = tempfile::tempdir().unwrap();
    let table = output(switchyard(folder.path(), &["settings", "--markdown"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let current = format!("{before}{BEGIN}{table}\n{after}");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, current).unwrap();
    } else {
        let is_current = readme == current; // without the whole text in the message
        assert!(is_current, "run `UPDATE_SNAPSHOTS=1 cargo test -p switchyard-local --test settings`");
    }
}

#[test]
fn a_file_gives_variables_that_the_environment_does_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = "# For development\nPORT=3001\nHOST=0.0.0.0\nexport LOG='warn,access=info'\n";
    fs::write(folder.path().join(".env"), file).unwrap();
    let mut command = switchyard(folder.path(), &["settings"]);
    command.env("PORT", "3002");
    let listed = output(command);
    for line in ["PORT=3002\n", "HOST=0.0.0.0\n", "LOG=warn,access=info\n"] {
        assert!(listed.contains(line), "{line}\n{listed}");
    }
    fs::write(folder.path().join(".env"), "PORT=3001\nADMIN_PASSWORD=hunter2 hunter3\n").unwrap();
    let expected = "switchyard: the file .env has a malformed line after PORT: write NAME=value, and put a value with \
                    spaces or # in single quotes";
    assert_eq!(refusal(switchyard(folder.path(), &["settings"])).0, expected);
}

#[test]
fn a_misspelt_setting_is_a_warning_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = switchyard(folder.path(), &["migrate"]);
    command.env("DATABASSE_URL", "sqlite:hunter2.db");
    let log = output(command);
    assert!(log.contains("DATABASSE_URL is set, but is not a setting; is DATABASE_URL meant?"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

fn migrate(folder: &Path, database_url: &str) -> Command {
    let mut command = switchyard(folder, &["migrate"]);
    command.envs(identity_environment()).env("DATABASE_URL", database_url).env("AWS_REGION", "eu-west-1");
    command
}

#[test]
fn a_start_that_fails_says_what_was_tried_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = required("TEST_POSTGRES_URL");
    let (_, address) = server.split_once('@').unwrap();
    let (host, _) = address.split_once('/').unwrap();
    let cases = [
        (
            format!("{server}-of-nobody"),
            format!(
                "switchyard: PostgreSQL cannot be used: PostgreSQL at {host} refuses the connection: database \
                 \"switchyard-of-nobody\" does not exist (3D000); create the database, or name another one in the database URL"
            ),
        ),
        (
            format!("postgres://nobody:hunter2@{address}"),
            format!("switchyard: PostgreSQL cannot be used: PostgreSQL at {host} refuses the connection: "),
        ),
        (
            "dynamodb://shop".to_owned(),
            "switchyard: DynamoDB cannot be used: no AWS credentials were found for DynamoDB: ".to_owned(),
        ),
        (
            "sqlite:/proc/no/such.db".to_owned(),
            "switchyard: DATABASE_URL does not lead to a database: the database file \"/proc/no/such.db\" cannot be used: "
                .to_owned(),
        ),
    ];
    for (url, sentence) in cases {
        let (said, log) = refusal(migrate(folder.path(), &url));
        println!("{said}");
        assert!(said.starts_with(&sentence), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains("hunter2") && !said.contains("internal database error"), "{said}");
        assert!(!log.contains("waiting"), "waiting would not help: {log}");
    }
}

#[test]
fn a_database_that_never_answers_is_waited_for_and_then_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = migrate(folder.path(), "postgres://user:hunter2@127.0.0.1:1/none");
    command.env("DATABASE_START_TIMEOUT", "1s");
    let (said, log) = refusal(command);
    let sentence = "switchyard: PostgreSQL cannot be used: PostgreSQL at 127.0.0.1:1 cannot be reached: ";
    assert!(said.starts_with(sentence), "{said}");
    assert_eq!(log.matches("waiting up to 1 s for PostgreSQL").count(), 1, "{log}");
}

#[tokio::test]
async fn a_database_that_is_still_starting_is_waited_for() {
    for backend in [Backend::Postgres, Backend::DynamoDb] {
        let store = Store::fresh(backend).await.unwrap();
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
        let mut command = switchyard(folder.path(), &[]);
        command.envs(store.environment()).envs(identity_environment());
        let server = match backend {
            Backend::DynamoDb => {
                let endpoint = required("TEST_DYNAMODB_ENDPOINT");
                command.env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{port}"));
                endpoint.split_once("//").unwrap().1.to_owned()
            }
            _ => {
                let (before, rest) = store.database_url.split_once('@').unwrap();
                let (server, after) = rest.split_once('/').unwrap();
                command.env("DATABASE_URL", format!("{before}@127.0.0.1:{port}/{after}"));
                server.to_owned()
            }
        };
        let mut process = Process::start_server(command).unwrap();
        let mut output = String::new();
        while !output.contains("waiting up to 30 s for ") {
            output += &process.output();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut upstream = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut upstream).await });
            }
        });
        process.wait_until_it_answers("/readyz").await.unwrap();
    }
}
