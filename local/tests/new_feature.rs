//! `cargo run -- new feature …` on a copy of the workspace: what it writes builds without a warning, passes its
//! tests, and is served.
//!
//! The copy shares the build folder of this workspace, so that the dependencies are not built again. What it
//! builds for use, such as the server, is in a folder of its own.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use switchyard_harness::process::{self, Process};

/// A name of two words, with another article than the template's, and that no real feature will have.
const NAME: &str = "ostrich-eggs";
const FOLDERS: [&str; 2] = ["shared/ostrich-eggs/", "functions/ostrich-eggs/"];
const TRACE: &str = "local/tests/same_bytes/trace/ostrich_eggs.rs";
/// One selection of packages for every command, because another one may have other features, and so be built
/// again.
const TEST: &str = "test -p switchyard-local -p switchyard-ostrich-eggs -p switchyard-fn-ostrich-eggs \
                    --test openapi --test template";
/// The other tests of the feature, and those that go through all functions or operations of the workspace.
const OTHER_TESTS: &str = "--lib --test services --test routes --test function --test architecture --test http \
                           --test same_bytes";
/// Compiles the crates of the workspace with clippy instead of the compiler, so that they are built once and not twice.
/// It also keeps them apart from those of this workspace: cargo gives the crates of two copies of a workspace the same
/// file names in a shared build folder, and other names if there is a wrapper.
const WITH_CLIPPY: (&str, &str) = ("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");

/// A copy of the workspace, without what git ignores.
struct Copy {
    root: PathBuf,
    /// For what is built for use.
    target: PathBuf,
    /// For everything else that is built.
    build: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = temporary.join("new-feature");
        let (root, target) = (folder.join("workspace"), folder.join("target"));
        let copy = Self { root, target, build: temporary.parent().unwrap().to_owned() };
        if copy.root.exists() {
            fs::remove_dir_all(&copy.root).unwrap();
        }
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for path in files_of(&original) {
            let file = copy.root.join(&path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::copy(original.join(&path), &file).unwrap();
        }
        copy
    }

    /// Runs a program in the copy, and returns what it printed on standard output and on standard error.
    #[track_caller]
    fn run(&self, program: &Path, arguments: &str, variables: &[(&str, &str)]) -> (String, String) {
        let mut command = Command::new(program);
        command.args(arguments.split(' ')).envs(variables.iter().copied()).current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_BUILD_BUILD_DIR", &self.build);
        command.env("CARGO_INCREMENTAL", "0").env("RUST_BACKTRACE", "0");
        let (code, output, errors) = process::run(command).unwrap();
        assert_eq!(code, Some(0), "{} {arguments}:\n{output}\n{errors}", program.display());
        (output, errors)
    }

    /// Runs cargo in the copy, and returns what it printed about the build.
    #[track_caller]
    fn cargo(&self, arguments: &str, variables: &[(&str, &str)]) -> String {
        self.run(Path::new(env!("CARGO")), arguments, variables).1
    }

    /// The files, by path.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let new = FOLDERS.iter().flat_map(|folder| files_below(&self.root, folder.trim_end_matches('/')));
        let trace = Some(TRACE.to_owned()).filter(|path| self.root.join(path).exists());
        let paths = files_of(&original).into_iter().chain(new).chain(trace);
        paths
            .map(|path| (fs::read(self.root.join(&path)).unwrap(), path))
            .map(|(text, path)| (path, text))
            .collect()
    }
}

/// The files of a workspace that git does not ignore.
fn files_of(root: &Path) -> Vec<String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let (code, output, errors) = process::run(git).unwrap();
    assert_eq!(code, Some(0), "{errors}");
    let paths = output.split_terminator('\0').filter(|path| root.join(path).is_file());
    paths.map(str::to_owned).collect()
}

fn files_below(root: &Path, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let paths = entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().display()));
    paths
        .flat_map(|path| if root.join(&path).is_dir() { files_below(root, &path) } else { vec![path] })
        .collect()
}

#[tokio::test]
async fn a_new_feature_builds_passes_its_tests_and_is_served() {
    let copy = Copy::new();
    let generator = Path::new(env!("CARGO_BIN_EXE_switchyard"));
    let before = copy.files();
    let (report, _) = copy.run(generator, &format!("new feature {NAME}"), &[]);
    let after = copy.files();
    only_the_announced_lines_changed(&before, &after, &report);

    // A second time it is refused, and writes nothing.
    let mut again = Command::new(generator);
    again.args(["new", "feature", NAME]).current_dir(&copy.root);
    let (code, _, errors) = process::run(again).unwrap();
    assert_eq!(code, Some(1));
    assert!(errors.contains("- the folder shared/ostrich-eggs exists already"), "{errors}");
    assert!(copy.files() == after, "nothing was written");

    copy.cargo("fmt --all --check", &[]);
    let built = copy.cargo(&format!("{TEST} {OTHER_TESTS} --no-run"), &[WITH_CLIPPY]);
    // Cargo repeats the warnings about what was compiled before.
    assert!(!FOLDERS.iter().any(|folder| built.contains(folder)), "{built}");

    // The report says to write the generated files with this command.
    copy.cargo(TEST, &[WITH_CLIPPY, ("UPDATE_SNAPSHOTS", "1")]);
    copy.cargo(&format!("{TEST} {OTHER_TESTS}"), &[WITH_CLIPPY]);
    it_is_served(&copy).await;
}

/// Every file outside of the feature's folders is as it was, apart from the lines in the report and from
/// Cargo.lock.
fn only_the_announced_lines_changed(
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    report: &str,
) {
    let mut announced: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in report.lines().filter_map(|line| line.strip_prefix("  ")) {
        if let Some((file, line)) = line.split_once(": ").filter(|(file, _)| before.contains_key(*file)) {
            announced.entry(file).or_default().push(line);
        }
    }
    assert_eq!(announced.values().map(Vec::len).sum::<usize>(), 12, "{report}");
    for (path, text) in after {
        let Some(original) = before.get(path) else {
            let is_expected = path == TRACE || FOLDERS.iter().any(|folder| path.starts_with(folder));
            assert!(is_expected, "{path} is new");
            continue;
        };
        // An inserted line may change the line breaks, commas and braces around it.
        let compact = |text: &[u8]| String::from_utf8_lossy(text).replace([' ', '\n', ',', '{', '}'], "");
        let (original, mut text) = (compact(original), compact(text));
        for line in announced.remove(path.as_str()).unwrap_or_default() {
            let line = compact(line.as_bytes());
            assert_eq!(text.matches(&line).count(), 1, "{path}: {line}");
            text = text.replacen(&line, "", 1);
        }
        let is_same = text == original || path == "Cargo.lock" && has_lines_of(&after[path], &before[path]);
        assert!(is_same, "{path} has changes that were not announced");
    }
    assert!(announced.is_empty(), "not there: {announced:?}");
    assert!(before.keys().all(|path| after.contains_key(path)), "no file was removed");
}

/// Whether `text` is `original` with more lines in between.
fn has_lines_of(text: &[u8], original: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    original.split(|byte| *byte == b'\n').all(|line| lines.any(|other| other == line))
}

/// Starts the server and asks it for everything that the feature does.
async fn it_is_served(copy: &Copy) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(copy.target.join("debug/switchyard"));
    server.current_dir(folder.path()).env("BCRYPT_COST", "4").env("DATABASE_URL", "sqlite::memory:");
    let server = Process::serve(server).await.unwrap();
    let api = format!("{}/api/v1", server.base_url);
    let client = reqwest::Client::new();

    let account = json!({"email": "ada@example.org", "password": "twelve lazy engines", "name": "Ada"});
    let registered = client.post(format!("{api}/auth/register")).json(&account);
    let token = answer(registered, StatusCode::CREATED).await["access_token"].as_str().unwrap().to_owned();
    let request = |method, path: &str| client.request(method, format!("{api}{path}")).bearer_auth(&token);

    let path = "/ostrich-eggs";
    let item =
        answer(request(Method::POST, path).json(&json!({"title": "First"})), StatusCode::CREATED).await;
    let list = answer(request(Method::GET, &format!("{path}?q=first")), StatusCode::OK).await;
    assert_eq!(list["data"], json!([item]));
    let path = &format!("{path}/{}", item["id"].as_str().unwrap());
    assert_eq!(answer(request(Method::GET, path), StatusCode::OK).await, item);
    let replacement = json!({"title": "Second", "description": "x"});
    let replaced = answer(request(Method::PUT, path).json(&replacement), StatusCode::OK).await;
    assert_eq!((&replaced["title"], &replaced["description"]), (&json!("Second"), &json!("x")));
    let patch = request(Method::PATCH, path).body(r#"{"description":null}"#);
    let patch = patch.header(header::CONTENT_TYPE, "application/merge-patch+json");
    assert_eq!(answer(patch, StatusCode::OK).await["description"], Value::Null);
    answer(request(Method::DELETE, path), StatusCode::NO_CONTENT).await;
    answer(request(Method::GET, path), StatusCode::NOT_FOUND).await;

    let document = answer(client.get(format!("{}/openapi.json", server.base_url)), StatusCode::OK).await;
    let operation = &document["paths"]["/api/v1/ostrich-eggs"]["post"];
    assert_eq!(operation["operationId"], "create_ostrich_egg");
    assert_eq!(operation["summary"], "Creates an ostrich egg.");
}

/// Sends a request that must be answered with this status, and returns the body.
async fn answer(request: RequestBuilder, status: StatusCode) -> Value {
    let response = request.send().await.unwrap();
    let (actual, body) = (response.status(), response.bytes().await.unwrap());
    assert_eq!(actual, status, "{}", String::from_utf8_lossy(&body));
    if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() }
}
