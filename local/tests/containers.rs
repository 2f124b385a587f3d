//! The files for containers against the code. `local/containers` runs them on a Docker engine; these tests need none.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use switchyard_harness::process;

fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project_file(path)).unwrap()
}

/// The settings in the table of the README, which a test compares with those that the server reads.
fn documented_settings() -> BTreeSet<String> {
    let readme = read("README.md");
    let (_, table) = readme.split_once("settings --markdown` -->\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn compose_passes_every_setting_to_the_server() {
    let mut settings = documented_settings();
    // The image sets the address, and the port of the same name is the one on the host.
    assert!(settings.remove("HOST") && settings.remove("PORT"), "{settings:?}");

    let compose = read("local/docker-compose.yml");
    let (_, server) = compose.split_once("\n    environment:\n").unwrap();
    let lines = server.lines().take_while(|line| line.starts_with("      "));
    let variables = lines.map(str::trim).filter(|line| !line.starts_with('#'));
    let mut passed: BTreeSet<String> =
        variables.map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert!(passed.remove("PGPASSWORD"));
    assert_eq!(passed, settings);
}

#[test]
fn the_base_images_are_named_by_digest() {
    let files = [read("infra/Containerfile"), read("local/docker-compose.yml")];
    let images: Vec<_> = files
        .iter()
        .flat_map(|file| file.lines())
        .filter_map(|line| {
            line.strip_prefix("ARG ").or(line.trim().strip_prefix("image: ${POSTGRES_IMAGE:-"))
        })
        .filter(|line| !line.starts_with("PROFILE="))
        .collect();
    assert_eq!(images.len(), 3, "{images:?}");
    for image in images {
        let digest = image.trim_end_matches('}').split_once("@sha256:").unwrap().1;
        assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{image}");
    }
}

/// Creates a program `docker` in `folder` whose engine runs, but has no image and reaches no registry.
fn docker_without_a_registry(folder: &Path) {
    let script = "#!/bin/sh\n\
                  case $1 in\n\
                  info) exit 0 ;;\n\
                  pull) echo 'lookup registry.example: no such host' >&2 ;;\n\
                  esac\n\
                  exit 1\n";
    let program = folder.join("docker");
    fs::write(&program, script).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn without_images_the_test_servers_start_from_packages() {
    let programs = tempfile::tempdir().unwrap();
    docker_without_a_registry(programs.path());
    let state = tempfile::tempdir().unwrap();
    let servers = |verb: &str| {
        let mut command = Command::new(project_file("local/servers"));
        let path = std::env::var("PATH").unwrap();
        command.args([verb, "postgres"]).env("TEST_SERVERS_DIR", state.path());
        command.env("PATH", format!("{}:{path}", programs.path().display())).env_remove("TEST_POSTGRES_PORT");
        process::run(command).unwrap()
    };
    let (code, output, errors) = servers("start");
    let (stopped, ..) = servers("stop");
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.starts_with("postgres: listening on 127.0.0.1:"), "{output}");
    let image = "postgres:17@sha256:";
    let expected = format!("docker has no image {image}");
    assert!(errors.starts_with(&expected), "{errors}");
    let reason = "and cannot pull it (lookup registry.example: no such host)\n\
                  postgres: starting from packages instead\n";
    assert!(errors.contains(reason), "{errors}");
    assert_eq!(stopped, Some(0));
}
