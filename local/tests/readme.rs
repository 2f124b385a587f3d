//! The session in the README runs as it stands, and has the output that the README shows.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use switchyard_harness::process::Process;

/// What a command prints in addition to the output of the blocks.
const MARK: &str = "--- next block ---";

/// A block of commands, and the output that the README shows for it.
struct Block<'a> {
    commands: &'a str,
    shown: &'a str,
}

/// The blocks of a section of the README. Blocks of commands are `sh`; the one behind it is its output, unless it is `sh` too.
fn blocks<'a>(readme: &'a str, section: &str) -> Vec<Block<'a>> {
    let section = readme.split_once(&format!("\n## {section}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for block in section.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        match (language, blocks.last_mut()) {
            ("sh", _) => blocks.push(Block { commands: text, shown: "" }),
            (_, Some(last)) => last.shown = text,
            (_, None) => panic!("the section begins with output"),
        }
    }
    blocks
}

/// Whether the output is what is shown, where `…` stands for anything.
fn is_as_shown(output: &str, shown: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let Some(mut rest) = output.trim_end().strip_prefix(parts.next().unwrap()) else { return false };
    for part in parts {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.is_empty() || shown.trim_end().ends_with('…')
}

#[tokio::test]
async fn the_session_of_the_readme_has_the_output_that_it_shows() {
    let readme = include_str!("../../README.md");
    let blocks = blocks(readme, "A session");
    assert!(blocks.len() > 5, "the section has blocks");

    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder.path()).env_clear().env("BCRYPT_COST", "4");
    let server = Process::serve(command).await.unwrap();
    let password = std::fs::read_to_string(folder.path().join("data/admin-password")).unwrap();

    let mut script = "set -euo pipefail\n".to_owned();
    for block in &blocks {
        script.push_str(block.commands);
        script.push_str(&format!("\necho; echo '{MARK}'\n"));
    }
    let script = script.replace("http://localhost:3000", &server.base_url);
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(format!("{}\n", password.trim()).as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");

    let outputs: Vec<_> = printed.split(&format!("{MARK}\n")).collect();
    assert_eq!(outputs.len(), blocks.len() + 1);
    // The ids and times of the README are those of another day.
    let dated = |text: &str| text.replace("01a1fdad-…", "…").replace("2026-…", "…");
    for (block, output) in blocks.iter().zip(outputs) {
        let Block { commands, shown } = block;
        assert!(is_as_shown(output, &dated(shown)), "{commands}\nprinted\n{output}\ninstead of\n{shown}");
    }
}

#[test]
fn output_is_compared_around_the_gaps() {
    assert!(is_as_shown("{\"id\":\"1\",\"name\":\"Ada\"}\n", "{\"id\":\"…\",\"name\":\"Ada\"}"));
    assert!(!is_as_shown("{\"id\":\"1\",\"name\":\"Eve\"}", "{\"id\":\"…\",\"name\":\"Ada\"}"));
    assert!(!is_as_shown("{\"id\":\"1\"} and more", "{\"id\":\"…\"}"));
    assert!(!is_as_shown("", "{}"));
}
