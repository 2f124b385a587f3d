//! Kills the server of `cargo run` while 64 clients write, and starts it again: every acknowledged write must
//! exist, and no write may be partial.
//!
//! `SWITCHYARD_TEST_KILLS` sets the number of kills on each database (3). Use `cargo test` for more kills, because
//! nextest terminates a test that takes minutes.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use reqwest::{Client, Method, header};
use serde_json::{Value, json};
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, sign_in_admin};
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};

const WRITERS: usize = 64;
/// The number of kills before a new store is used. Several kills of one store test repeated recovery; the limit
/// bounds the data to be checked.
const KILLS_OF_A_STORE: usize = 10;
/// The number of concurrent checks after a restart.
const READERS: usize = 8;

/// A client of one server process.
#[derive(Clone)]
struct Api {
    client: Client,
    base_url: String,
    token: String,
}

struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

impl Api {
    async fn sign_in(server: &Process) -> Self {
        let (client, base_url) = (Client::new(), format!("{}/api/v1", server.base_url));
        let token = sign_in_admin(&server.base_url).await.unwrap();
        Self { client, base_url, token }
    }

    /// Sends a request. An error means that no complete answer arrived; the request may still have been executed.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.base_url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            let kind = if if_match.is_some() { "application/merge-patch+json" } else { "application/json" };
            request = request.header(header::CONTENT_TYPE, kind).body(body.to_string());
        }
        if let Some(etag) = if_match {
            request = request.header(header::IF_MATCH, etag);
        }
        let answer = request.send().await?;
        let etag = answer.headers().get(header::ETAG).map(|etag| etag.to_str().unwrap().to_owned());
        Ok(Answer { status: answer.status().as_u16(), etag, body: answer.json().await? })
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, None, None).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    async fn create(&self, state: &State) -> reqwest::Result<Answer> {
        self.send(Method::POST, "/users", Some(&state.fields()), None).await
    }

    async fn change(&self, person: &Person, state: &State) -> reqwest::Result<Answer> {
        self.send(Method::PATCH, &person.path(), Some(&state.fields()), Some(&person.etag)).await
    }

    /// Reads all pages of a list.
    async fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}&limit=100{cursor}")).await;
            items.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

/// The name and e-mail address of a user, both made of one unique word.
#[derive(Clone, Debug, PartialEq)]
struct State(String);

impl State {
    fn email(&self) -> String {
        format!("{}@example.org", self.0)
    }

    fn fields(&self) -> Value {
        json!({"email": self.email(), "name": format!("Person {}", self.0)})
    }

    fn is_of(&self, user: &Value) -> bool {
        self.fields() == json!({"email": user["email"], "name": user["name"]})
    }
}

/// A user as in the last answer.
#[derive(Clone, Debug)]
struct Person {
    state: State,
    user: Value,
    etag: String,
    changes: usize,
}

impl Person {
    fn of(state: State, answer: Answer, changes: usize) -> Self {
        assert!(state.is_of(&answer.body), "the answer for {state:?} is {}", answer.body);
        Self { state, etag: answer.etag.unwrap(), user: answer.body, changes }
    }

    fn path(&self) -> String {
        format!("/users/{}", self.user["id"].as_str().unwrap())
    }
}

/// An unanswered request.
enum Lost {
    Creation(State),
    Change(Person, State),
}

/// Creates users and changes each of them until a request is not answered.
async fn write(api: Api, name: String, answered: Arc<AtomicUsize>) -> (Vec<Person>, Lost) {
    let mut people: Vec<Person> = Vec::new();
    for number in 0.. {
        let made = State(format!("{name}n{number}made"));
        let Ok(answer) = api.create(&made).await else { return (people, Lost::Creation(made)) };
        assert_eq!(answer.status, 201, "{}", answer.body);
        answered.fetch_add(1, Ordering::Relaxed);
        let person = Person::of(made, answer, 0);

        let changed = State(format!("{name}n{number}changed"));
        let Ok(answer) = api.change(&person, &changed).await else {
            return (people, Lost::Change(person, changed));
        };
        assert_eq!(answer.status, 200, "{}", answer.body);
        answered.fetch_add(1, Ordering::Relaxed);
        people.push(Person::of(changed, answer, 1));
    }
    unreachable!("the loop ends when the server is killed")
}

/// Determines whether an unanswered request was executed; it must have been executed completely or not at all.
/// Returns the user, if there is one, and the state whose address must be free.
async fn settle(api: &Api, lost: Lost) -> (Option<Person>, Option<State>) {
    let get = async |path: String| api.send(Method::GET, &path, None, None).await.unwrap();
    match lost {
        Lost::Creation(state) => {
            let found = api.list(&format!("/users?q={}", state.0)).await;
            assert!(found.len() <= 1, "{found:?}");
            let Some(user) = found.first() else { return (None, Some(state)) };
            let answer = get(format!("/users/{}", user["id"].as_str().unwrap())).await;
            (Some(Person::of(state, answer, 0)), None)
        }
        Lost::Change(before, state) => {
            let answer = get(before.path()).await;
            let is_done = state.is_of(&answer.body);
            let (present, free) = if is_done { (state, before.state) } else { (before.state, state) };
            (Some(Person::of(present, answer, usize::from(is_done))), Some(free))
        }
    }
}

/// Checks that a user is found by id, by search, by the uniqueness of the address, and in the audit log.
async fn expect_whole(api: &Api, person: &Person) {
    let answer = api.send(Method::GET, &person.path(), None, None).await.unwrap();
    assert_eq!((answer.status, &answer.body, &answer.etag), (200, &person.user, &Some(person.etag.clone())));
    assert_eq!(api.list(&format!("/users?q={}", person.state.0)).await, std::slice::from_ref(&person.user));
    let twin = api.create(&person.state).await.unwrap();
    assert_eq!((twin.status, &twin.body["error"]["code"]), (409, &json!("EMAIL_TAKEN")));
    let entries = api.list(&format!("{}/audit-log?", person.path())).await;
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, [&["user.changed"][..person.changes], &["user.created"]].concat(), "{entries:?}");
}

/// Checks that the list, the counts and the audit log are consistent with the known users.
async fn expect_agreement(api: &Api, known: &BTreeSet<String>) {
    let users = api.list("/users?sort=created_at").await;
    let ids: BTreeSet<_> = users.iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), users.len(), "a user is listed twice");
    let (lost, strange): (Vec<_>, Vec<_>) =
        (known.difference(&ids).collect(), ids.difference(known).collect());
    assert_eq!((lost, strange), (vec![], vec![]));

    let stats = api.get("/users/stats").await;
    let has_role = |user: &&Value, role| user["roles"].as_array().unwrap().contains(&json!(role));
    let of_role = |role| users.iter().filter(|user| has_role(user, role)).count();
    let by_role = json!({"admin": of_role("admin"), "customer": of_role("customer")});
    assert_eq!(
        (&stats["total"], &stats["active"], &stats["registered_last_7_days"], &stats["by_role"]),
        (&json!(users.len()), &json!(users.len()), &json!(users.len()), &by_role)
    );
    let (mut verified, mut path) = (0, "/audit-logs/verify".to_owned());
    loop {
        let part = api.get(&path).await;
        assert_eq!((&part["valid"], &part["first_break"]), (&json!(true), &Value::Null));
        verified += part["entries"].as_u64().unwrap();
        let Some(next) = part["next_cursor"].as_str() else { break };
        path = format!("/audit-logs/verify?cursor={next}");
    }
    assert_eq!(verified, api.list("/audit-logs?").await.len() as u64);
}

async fn serve(folder: &Path, store: &Store) -> (Process, Api) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().envs(store.environment());
    command.envs([("BCRYPT_COST", "4"), ("RATE_LIMIT", "off"), ("RATE_LIMIT_USER", "off"), ("LOG", "error")]);
    command.envs(ADMIN_ENVIRONMENT).env("SECRETS", "file:secrets");
    let server = Process::serve(command).await.unwrap();
    let api = Api::sign_in(&server).await;
    (server, api)
}

async fn acknowledged_writes_survive_a_kill_on(backend: Backend) {
    let kills = std::env::var("SWITCHYARD_TEST_KILLS").map_or(3, |count| count.parse().unwrap());
    let (mut answers, mut done, mut undone) = (0, 0, 0);
    for first in (0..kills).step_by(KILLS_OF_A_STORE) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::fresh(backend).await.unwrap();
        let (mut server, mut api) = serve(folder.path(), &store).await;
        let mut known = BTreeSet::from([api.get("/auth/me").await["id"].as_str().unwrap().to_owned()]);

        for kill in first..kills.min(first + KILLS_OF_A_STORE) {
            let answered = Arc::new(AtomicUsize::new(0));
            let writers = (0..WRITERS).map(|writer| {
                tokio::spawn(write(api.clone(), format!("k{kill}w{writer}"), Arc::clone(&answered)))
            });
            let writers: Vec<_> = writers.collect();
            // Each kill happens at a different time: during the first answers, or after many.
            while answered.load(Ordering::Relaxed) < 1 + kill * 61 % 200 {
                assert!(
                    !writers.iter().any(tokio::task::JoinHandle::is_finished),
                    "a writer ended before the kill"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.kill().unwrap();
            let written = join_all(writers).await;
            answers += answered.load(Ordering::Relaxed);

            (server, api) = serve(folder.path(), &store).await;
            let mut everybody = Vec::new();
            for outcome in written {
                let (people, lost) = outcome.unwrap();
                everybody.extend(people);
                let is_change = matches!(lost, Lost::Change(..));
                let (person, free) = settle(&api, lost).await;
                let is_done = person.as_ref().is_some_and(|person| person.changes == usize::from(is_change));
                *(if is_done { &mut done } else { &mut undone }) += 1;
                everybody.extend(person);
                if let Some(free) = free {
                    let answer = api.create(&free).await.unwrap();
                    assert_eq!(
                        answer.status, 201,
                        "{free:?} does not exist but is not free: {}",
                        answer.body
                    );
                    everybody.push(Person::of(free, answer, 0));
                }
            }
            stream::iter(&everybody).for_each_concurrent(READERS, |person| expect_whole(&api, person)).await;
            known.extend(everybody.iter().map(|person| person.user["id"].as_str().unwrap().to_owned()));
            expect_agreement(&api, &known).await;
        }
    }
    println!(
        "{backend:?}: {kills} kills, {answers} acknowledged writes, {} unanswered ({done} done, {undone} not)",
        done + undone
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_a_kill_on_sqlite() {
    acknowledged_writes_survive_a_kill_on(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_a_kill_on_postgres() {
    acknowledged_writes_survive_a_kill_on(Backend::Postgres).await;
}
