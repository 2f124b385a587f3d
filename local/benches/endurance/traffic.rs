//! A client that checks each answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::http::{Connection, header};
use crate::site::Site;

const PASSWORD: &str = "correct-horse-battery-staple-9";
/// Longer than any time-out of the server. A request that takes longer counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a client waits after a failed request.
const PAUSE: Duration = Duration::from_millis(100);

/// How many of a client's hundred turns each operation gets.
const MIX: &[(Operation, usize)] = &[
    (Operation::Read, 48),
    (Operation::ReadMe, 10),
    (Operation::Change, 15),
    (Operation::ChangeStale, 3),
    (Operation::Search, 7),
    (Operation::List, 5),
    (Operation::ReadAuditLog, 2),
    (Operation::LogIn, 2),
    (Operation::Refresh, 3),
    (Operation::Create, 3),
    (Operation::AskWrongly, 2),
];

#[derive(Clone, Copy, Debug)]
enum Operation {
    Read,
    ReadMe,
    Change,
    ChangeStale,
    Search,
    List,
    ReadAuditLog,
    LogIn,
    Refresh,
    Create,
    AskWrongly,
}

/// The outcome of a request.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// When the request was due, in seconds after the start.
    pub(crate) at: f64,
    pub(crate) latency: Duration,
    /// Whether the answer was a 5xx, or none came.
    pub(crate) failed: bool,
}

/// When requests are sent.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) start: Instant,
    pub(crate) length: Duration,
    /// The time between two requests of one client. If `None`, the client sends the next request after each answer.
    pub(crate) interval: Option<Duration>,
}

/// No answer, or a 5xx.
struct Failed;

struct Reply {
    status: u16,
    etag: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A client with a user of its own, which no other client changes.
pub(crate) struct Client {
    site: Arc<Site>,
    number: usize,
    turn: usize,
    connection: Option<Connection>,
    admin: String,
    token: String,
    refresh_token: Option<String>,
    id: String,
    /// The user as in the last answer.
    body: Vec<u8>,
    etag: String,
    /// The name that an unanswered change may have stored.
    unsure_name: Option<String>,
    /// Whether the user's `last_login_at` may have changed.
    has_logged_in: bool,
    /// Users created by this client: the id, and a word that only this user is found by.
    created: Vec<(String, String)>,
    /// The words of users whose creation was not answered.
    unsure_created: Vec<String>,
    /// Descriptions of wrong answers.
    pub(crate) wrong: Vec<String>,
}

impl Client {
    pub(crate) async fn register(site: Arc<Site>, number: usize, admin: &str) -> anyhow::Result<Self> {
        let mut client = Self {
            site,
            number,
            turn: 0,
            connection: None,
            admin: admin.to_owned(),
            token: String::new(),
            refresh_token: None,
            id: String::new(),
            body: Vec::new(),
            etag: String::new(),
            unsure_name: None,
            has_logged_in: false,
            created: Vec::new(),
            unsure_created: Vec::new(),
            wrong: Vec::new(),
        };
        let fields = json!({"email": client.email(), "password": PASSWORD, "name": client.name()});
        let reply = client.send("POST", "/auth/register", "", "", &fields.to_string()).await;
        let reply =
            reply.ok().filter(|reply| reply.status == 201).context("the client could not register")?;
        client.take_tokens(&reply);
        client.id = reply.json()["user"]["id"].as_str().context("the user has no id")?.to_owned();
        let reply = client.send("GET", &client.path(), &client.token.clone(), "", "").await;
        let reply = reply.ok().filter(|reply| reply.status == 200).context("the user could not be read")?;
        client.take_user(reply);
        Ok(client)
    }

    pub(crate) fn use_admin_token(&mut self, token: &str) {
        token.clone_into(&mut self.admin);
    }

    /// Takes turns at the given pace. If a request is due before the previous one is answered, its latency counts
    /// from when it was due.
    pub(crate) async fn run(&mut self, pace: Pace) -> Vec<Sample> {
        let mut samples = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "the number is below 64")]
        let phase = |interval: Duration| interval.mul_f64((self.number * 37 % 64) as f64 / 64.0);
        let mut due = pace.start + pace.interval.map_or(Duration::ZERO, phase);
        loop {
            let mut started = Instant::now();
            if let Some(interval) = pace.interval {
                if due > started {
                    tokio::time::sleep_until(due.into()).await;
                    started = Instant::now();
                } else {
                    started = due;
                }
                due += interval;
            }
            if started >= pace.start + pace.length {
                return samples;
            }
            let failed = self.take_turn().await.is_err();
            let at = started.duration_since(pace.start).as_secs_f64();
            samples.push(Sample { at, latency: started.elapsed(), failed });
            if failed {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn take_turn(&mut self) -> Result<(), Failed> {
        self.turn += 1;
        if self.refresh_token.is_none() {
            return self.log_in().await;
        }
        let mut place = (self.turn * 61 + self.number * 17) % 100;
        let mut mix = MIX.iter();
        let operation = loop {
            let (operation, share) = mix.next().expect("the shares add up to a hundred");
            match place.checked_sub(*share) {
                Some(rest) => place = rest,
                None => break *operation,
            }
        };
        if self.unsure_name.is_some() || self.has_logged_in {
            self.read().await?; // other answers cannot be checked before
        }
        match operation {
            Operation::Read => self.read().await,
            Operation::ReadMe => self.read_me().await,
            Operation::Change => self.change().await,
            Operation::ChangeStale => self.change_stale().await,
            Operation::Search => self.search().await,
            Operation::List => self.list().await,
            Operation::ReadAuditLog => self.read_audit_log().await,
            Operation::LogIn => self.log_in().await,
            Operation::Refresh => self.refresh().await,
            Operation::Create => self.create().await,
            Operation::AskWrongly => self.ask_wrongly().await,
        }
    }

    async fn read(&mut self) -> Result<(), Failed> {
        let reply = self.send("GET", &self.path(), &self.token.clone(), "", "").await?;
        let (unsure_name, has_logged_in) = (self.unsure_name.take(), std::mem::take(&mut self.has_logged_in));
        let is_right = if unsure_name.is_none() && !has_logged_in {
            reply.body == self.body && reply.etag == self.etag
        } else {
            let known: Value = serde_json::from_slice(&self.body).unwrap_or_default();
            let user = reply.json();
            let is_known = |name: &str| user[name] == known[name];
            let is_named_so = is_known("name") || unsure_name.is_some_and(|name| user["name"] == name);
            is_named_so && is_known("id") && is_known("email") && (has_logged_in || is_known("last_login_at"))
        };
        self.expect(reply.status == 200 && is_right, "reading returns the last write", &reply);
        self.take_user(reply);
        Ok(())
    }

    async fn read_me(&mut self) -> Result<(), Failed> {
        let reply = self.send("GET", "/auth/me", &self.token.clone(), "", "").await?;
        let is_right = reply.status == 200 && reply.json()["id"] == self.id.as_str();
        self.expect(is_right, "`/auth/me` returns the user", &reply);
        Ok(())
    }

    async fn change(&mut self) -> Result<(), Failed> {
        let name = self.name();
        let change = json!({"name": name}).to_string();
        let sent = self.send("PATCH", &self.path(), &self.token.clone(), &self.etag.clone(), &change).await;
        let Ok(reply) = sent else {
            self.unsure_name = Some(name);
            return Err(Failed);
        };
        let is_right = reply.status == 200 && reply.json()["name"] == name && reply.etag != self.etag;
        self.expect(is_right, "the name is changed", &reply);
        self.take_user(reply);
        Ok(())
    }

    async fn change_stale(&mut self) -> Result<(), Failed> {
        let change = json!({"name": "Nobody"}).to_string();
        let reply = self.send("PATCH", &self.path(), &self.token.clone(), "\"stale\"", &change).await?;
        self.expect(reply.status == 412, "a stale `If-Match` is refused", &reply);
        Ok(())
    }

    async fn search(&mut self) -> Result<(), Failed> {
        let user: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let word = user["name"].as_str().unwrap_or_default().rsplit(' ').next().unwrap_or_default();
        let reply = self.send("GET", &format!("/users?q={word}"), &self.admin.clone(), "", "").await?;
        let is_right = reply.status == 200 && reply.json()["data"] == json!([user]);
        self.expect(is_right, "a search finds the user by the current name", &reply);
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Failed> {
        let reply = self.send("GET", "/users?limit=20", &self.admin.clone(), "", "").await?;
        let page = reply.json();
        let times: Vec<_> =
            page["data"].as_array().into_iter().flatten().map(|user| &user["created_at"]).collect();
        let is_right = times.len() == 20 && times.is_sorted_by(|one, next| one.as_str() >= next.as_str());
        self.expect(reply.status == 200 && is_right, "the list contains the newest users", &reply);
        Ok(())
    }

    async fn read_audit_log(&mut self) -> Result<(), Failed> {
        let path = format!("{}/audit-log?limit=5", self.path());
        let reply = self.send("GET", &path, &self.token.clone(), "", "").await?;
        let page = reply.json();
        let mut entries = page["data"].as_array().into_iter().flatten();
        let is_right = reply.status == 200 && entries.next().is_some();
        self.expect(is_right, "the audit log contains the user's actions", &reply);
        Ok(())
    }

    async fn log_in(&mut self) -> Result<(), Failed> {
        let credentials = json!({"email": self.email(), "password": PASSWORD}).to_string();
        self.has_logged_in = true;
        let reply = self.send("POST", "/auth/login", "", "", &credentials).await?;
        self.expect(reply.status == 200, "the right password signs in", &reply);
        self.take_tokens(&reply);
        Ok(())
    }

    async fn refresh(&mut self) -> Result<(), Failed> {
        // The token is removed first, because after an unanswered refresh it may be used up.
        let Some(token) = self.refresh_token.take() else { return Ok(()) };
        let body = json!({"refresh_token": token}).to_string();
        let reply = self.send("POST", "/auth/refresh", "", "", &body).await?;
        self.expect(reply.status == 200, "the latest refresh token is accepted", &reply);
        self.take_tokens(&reply);
        Ok(())
    }

    async fn create(&mut self) -> Result<(), Failed> {
        let word = format!("c{}n{}", self.number, self.turn);
        let fields =
            json!({"email": format!("{word}@example.org"), "name": format!("Made {word}")}).to_string();
        let Ok(reply) = self.send("POST", "/users", &self.admin.clone(), "", &fields).await else {
            self.unsure_created.push(word);
            return Err(Failed);
        };
        self.expect(reply.status == 201, "a user is created", &reply);
        if let Some(id) = reply.json()["id"].as_str() {
            self.created.push((id.to_owned(), word));
        }
        Ok(())
    }

    async fn ask_wrongly(&mut self) -> Result<(), Failed> {
        let (admin, token) = (self.admin.clone(), self.token.clone());
        let (expected, sent) = match self.turn % 4 {
            0 => (400, self.send("POST", "/users", &admin, "", "{\"email\": ").await),
            1 => (404, self.send("GET", "/users/00000000-0000-7000-8000-000000000000", &token, "", "").await),
            2 => (401, self.send("GET", &self.path(), "", "", "").await),
            _ => (400, self.send("GET", "/users?cursor=none", &admin, "", "").await),
        };
        let reply = sent?;
        self.expect(reply.status == expected, &format!("a wrong request is refused with {expected}"), &reply);
        Ok(())
    }

    /// Checks that every acknowledged write exists, and that every unanswered one was done completely or not at all.
    /// Returns how many users this client has created, including its own, and how many requests were unanswered.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<(usize, usize)> {
        self.connection = None; // the server may have closed it while other clients were settling
        let settled = self.unsure_created.len() + usize::from(self.unsure_name.is_some());
        let lost = || anyhow::anyhow!("the server does not answer");
        self.read().await.map_err(|_| lost())?;
        self.search().await.map_err(|_| lost())?;
        for word in std::mem::take(&mut self.unsure_created) {
            let path = format!("/users?q={word}");
            let reply = self.send("GET", &path, &self.admin.clone(), "", "").await.map_err(|_| lost())?;
            let page = reply.json();
            let found = page["data"].as_array().context("the page has no data")?;
            self.expect(found.len() <= 1, "no user is created twice", &reply);
            let ids = found.iter().filter_map(|user| user["id"].as_str());
            self.created.extend(ids.map(|id| (id.to_owned(), word.clone())));
        }
        for (id, word) in self.created.clone() {
            let path = format!("/users/{id}");
            let reply = self.send("GET", &path, &self.admin.clone(), "", "").await.map_err(|_| lost())?;
            let email = format!("{word}@example.org");
            self.expect(
                reply.status == 200 && reply.json()["email"] == email,
                "a created user exists",
                &reply,
            );
        }
        Ok((1 + self.created.len(), settled))
    }

    /// Sends a request. After an error the request may or may not have been executed. A body is sent as a merge
    /// patch if there is an `If-Match`.
    async fn send(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        if_match: &str,
        body: &str,
    ) -> Result<Reply, Failed> {
        let address = self.site.address();
        let mut request = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: {address}\r\n");
        if !token.is_empty() {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        if !if_match.is_empty() {
            request += &format!("If-Match: {if_match}\r\n");
        }
        if !body.is_empty() {
            let kind = if if_match.is_empty() { "application/json" } else { "application/merge-patch+json" };
            request += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        }
        request += &format!("\r\n{body}");

        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(address).await.map_err(|_| Failed)?,
        };
        let answer = tokio::time::timeout(PATIENCE, connection.exchange(request.as_bytes()));
        let Ok(Ok(answer)) = answer.await else { return Err(Failed) };
        let etag = header(answer.head, "etag").unwrap_or_default().to_owned();
        let closes =
            header(answer.head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let reply = Reply { status: answer.status, etag, body: answer.body.to_vec() };
        if !closes {
            self.connection = Some(connection);
        }
        if reply.status >= 500 { Err(Failed) } else { Ok(reply) }
    }

    fn expect(&mut self, is_so: bool, what: &str, reply: &Reply) {
        if !is_so {
            let body = String::from_utf8_lossy(&reply.body);
            self.wrong.push(format!("violated: {what} (client {}): {} {body}", self.number, reply.status));
        }
    }

    fn take_user(&mut self, reply: Reply) {
        (self.body, self.etag) = (reply.body, reply.etag);
    }

    fn take_tokens(&mut self, reply: &Reply) {
        let tokens = reply.json();
        let text = |name: &str| tokens[name].as_str().map(str::to_owned);
        (self.token, self.refresh_token) = (text("access_token").unwrap_or_default(), text("refresh_token"));
    }

    fn path(&self) -> String {
        format!("/users/{}", self.id)
    }

    fn email(&self) -> String {
        format!("client{}@example.org", self.number)
    }

    /// Returns a name whose last word no other name contains.
    fn name(&self) -> String {
        format!("Client w{}n{}", self.number, self.turn)
    }
}
