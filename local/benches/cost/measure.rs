//! Sends each operation of the API to a server on DynamoDB, and counts what it costs there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_ambient::{Ambient, ManualClock, SeededRandomness, SystemRandomness};
use switchyard_harness::app::{PASSWORD, START};
use switchyard_harness::identity::{ADMIN_ENVIRONMENT, EMAIL, identity_environment, sign_in_admin};
use switchyard_harness::meter::{Cost, Meter};
use switchyard_harness::process::free_port;
use switchyard_harness::store::{Backend, Store};
use switchyard_identity::Identity;
use switchyard_jobs::{NoJobObserver, Registry, Worker, WorkerSettings};
use switchyard_program::{ALL_SECRETS, Program};
use switchyard_runtime::Environment;
use tokio::time::Instant;

/// As long as those of browsers.
const USER_AGENT: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
                          Chrome/142.0.0.0 Safari/537.36";

/// What an operation costs.
#[derive(Debug)]
pub(crate) struct Row {
    /// The operation, and the case if it has several.
    pub(crate) label: String,
    /// Its cost.
    pub(crate) cost: Cost,
}

/// A server in this process, with a meter between it and the database.
struct Site {
    meter: Meter,
    clock: ManualClock,
    base_url: String,
    client: reqwest::Client,
    rows: Vec<Row>,
    identity: Identity,
    /// Its tables are dropped with it.
    _store: Store,
}

/// A request, and what it must be answered.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    token: Option<&'a str>,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    status: u16,
}

fn ask(method: Method, path: &str) -> Ask<'_> {
    Ask { method, path, token: None, body: None, headers: Vec::new(), status: 200 }
}

fn get(path: &str) -> Ask<'_> {
    ask(Method::GET, path)
}

fn post(path: &str) -> Ask<'_> {
    ask(Method::POST, path)
}

impl<'a> Ask<'a> {
    fn by(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn answered(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// An answer.
struct Answer {
    etag: String,
    body: Value,
}

impl Answer {
    fn text(&self, name: &str) -> anyhow::Result<String> {
        self.body[name]
            .as_str()
            .map(ToOwned::to_owned)
            .with_context(|| format!("{} has no {name}", self.body))
    }
}

impl Site {
    /// Starts a server whose clock stands still and whose randomness is that of a seed, so that ids and sizes are the
    /// same in each run.
    async fn start() -> anyhow::Result<Self> {
        let (meter, store) = (Meter::start().await?, Store::fresh(Backend::DynamoDb).await?);
        let prefix = store.database_url.strip_prefix("dynamodb://").context("the store is on DynamoDB")?;
        let clock = ManualClock::at(START);
        let ambient = Ambient::new(clock.clone(), SeededRandomness::new(1));
        // DynamoDB would take the transactions of two runs for one if they had the same tokens.
        let database = meter.connect(prefix, ambient.with_randomness(SystemRandomness))?;
        let port = free_port()?.to_string();
        let settings = identity_environment().into_iter().chain(
            [
                ("DATABASE_URL", store.database_url.as_str()),
                ("PORT", &port),
                ("PUBLIC_URL", "https://api.example.com"),
                ("LOG", "warn"),
                ("RATE_LIMIT", "off"),
                ("RATE_LIMIT_USER", "off"),
            ]
            .into_iter()
            .chain(ADMIN_ENVIRONMENT)
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let program =
            Program::start_with(Environment::of(settings), &ALL_SECRETS, ambient, |_| Arc::new(database))
                .await?;
        let program = program.with_first_admin().await?;
        let router =
            switchyard_local::router(program.runtime.db(), program.runtime.metrics(), &program.identity);
        let identity = program.identity.clone();
        // On a thread of its own, since its future cannot be sent to another.
        std::thread::spawn(|| {
            switchyard_runtime::block_on(async { anyhow::Ok(program.serve(router).await?) })
        });
        let client = reqwest::Client::builder().user_agent(USER_AGENT).build()?;
        let site = Self {
            clock,
            meter,
            base_url: format!("http://127.0.0.1:{port}"),
            client,
            rows: Vec::new(),
            identity,
            _store: store,
        };
        while site.send(get("/healthz")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(site)
    }

    /// A worker that runs the jobs of the administration, on the same metered database.
    fn worker(&self) -> Worker {
        let (db, outbox) = (self.identity.kernel().db().clone(), self.identity.outbox().clone());
        let mut registry = Registry::new();
        switchyard_jobs::register(&mut registry, &db, &outbox);
        let settings = WorkerSettings { batch: 1, ..WorkerSettings::default() };
        Worker::new(db, outbox, registry, settings, "cost", Arc::new(NoJobObserver))
    }

    /// Sends a request, and notes what it costs.
    async fn row(&mut self, label: &str, ask: Ask<'_>) -> anyhow::Result<Answer> {
        self.meter.take();
        let answer = self.send(ask).await.with_context(|| label.to_owned())?;
        self.rows.push(Row { label: label.to_owned(), cost: self.meter.take() });
        Ok(answer)
    }

    async fn send(&self, ask: Ask<'_>) -> anyhow::Result<Answer> {
        let url = format!("{}{}", self.base_url, ask.path);
        let is_patch = ask.method == Method::PATCH;
        let mut request = self.client.request(ask.method, url);
        if let Some(token) = ask.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = ask.body {
            let kind = if is_patch { "application/merge-patch+json" } else { "application/json" };
            request = request.header("Content-Type", kind).body(body.to_string());
        }
        let request =
            ask.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default();
        let (etag, text) = (etag.to_owned(), answer.text().await?);
        ensure!(status == ask.status, "answered {status} instead of {}: {text}", ask.status);
        Ok(Answer { etag, body: serde_json::from_str(&text).unwrap_or_default() })
    }
}

/// Measures every operation, with the rate limits off.
pub(crate) async fn measure() -> anyhow::Result<Vec<Row>> {
    let mut site = Site::start().await?;
    let admin = sign_in_admin(&site.base_url).await?;
    accounts(&mut site).await?;
    administration(&mut site, &admin).await?;
    roles(&mut site, &admin).await?;
    reports(&mut site, &admin).await?;
    jobs(&mut site, &admin).await?;
    Ok(site.rows)
}

fn person(name: &str) -> Value {
    json!({"email": format!("{name}@example.org"), "name": "Grace Hopper"})
}

fn account(name: &str) -> Value {
    json!({"email": format!("{name}@example.org"), "password": PASSWORD, "name": "Grace Hopper"})
}

fn credentials(name: &str, password: &str) -> Value {
    json!({"email": format!("{name}@example.org"), "password": password})
}

async fn accounts(site: &mut Site) -> anyhow::Result<()> {
    let registered =
        site.row("register", post("/api/v1/auth/register").with(account("grace")).answered(201)).await?;
    let id = registered.body["user"]["id"].as_str().context("a user has an id")?.to_owned();
    let keyed =
        post("/api/v1/auth/register").with(account("ada")).answered(201).header("Idempotency-Key", "k-1");
    site.row("register, with an idempotency key", keyed).await?;
    let login = || post("/api/v1/auth/login");
    site.row("login, the first", login().with(credentials("grace", PASSWORD))).await?;
    let session = site.row("login", login().with(credentials("grace", PASSWORD))).await?;
    let wrong = credentials("grace", "another passphrase 12");
    site.row("login, wrong password", login().with(wrong).answered(401)).await?;
    let nobody = credentials("nobody", PASSWORD);
    site.row("login, unknown address", login().with(nobody).answered(401)).await?;
    site.row("login, after a wrong one", login().with(credentials("grace", PASSWORD))).await?;
    let token = session.text("access_token")?;
    let refresh = json!({"refresh_token": session.text("refresh_token")?});
    let refreshed = site.row("refresh", post("/api/v1/auth/refresh").with(refresh)).await?;
    let me = site.row("get_me", get("/api/v1/auth/me").by(&token)).await?;
    let patch = || ask(Method::PATCH, "/api/v1/auth/me").by(&token);
    let patched = patch().with(json!({"name": "Grace Brewster Hopper"})).header("If-Match", &me.etag);
    site.row("update_me, the name", patched).await?;
    let path = format!("/api/v1/users/{id}/profile");
    let profile = site.row("get_profile", get(&path).by(&token)).await?;
    let put = ask(Method::PUT, &path).by(&token).with(json!({"bio": "Compilers."}));
    let profile = site.row("replace_profile", put.header("If-Match", &profile.etag)).await?;
    let patch = ask(Method::PATCH, &path).by(&token).with(json!({"bio": null}));
    site.row("update_profile", patch.header("If-Match", &profile.etag)).await?;
    let own = format!("/api/v1/users/{id}");
    site.row("get_user, oneself", get(&own).by(&token)).await?;
    site.row("get_user_roles", get(&format!("{own}/roles")).by(&token)).await?;
    site.row("list_audit_log_of_user", get(&format!("{own}/audit-log")).by(&token)).await?;
    let other = "/api/v1/users/0190a1b2-0000-7000-8000-000000000001";
    site.row("get_user, refused", get(other).by(&token).answered(404)).await?;
    site.row("get_user, refused again", get(other).by(&token).answered(404)).await?;
    let change = json!({"current_password": PASSWORD, "new_password": "seven violet kettles 9"});
    let change = post("/api/v1/auth/password-change").by(&token).with(change).answered(204);
    site.row("change_password", change).await?;
    let logout = json!({"refresh_token": refreshed.text("refresh_token")?});
    site.row("logout, of an ended session", post("/api/v1/auth/logout").with(logout).answered(204)).await?;
    let session = site.send(login().with(credentials("grace", "seven violet kettles 9"))).await?;
    let logout = json!({"refresh_token": session.text("refresh_token")?});
    site.row("logout", post("/api/v1/auth/logout").with(logout).answered(204)).await?;
    let session = site.send(login().with(credentials("grace", "seven violet kettles 9"))).await?;
    let token = session.text("access_token")?;
    site.row("logout_all", post("/api/v1/auth/logout-all").by(&token).answered(204)).await?;
    Ok(())
}

async fn administration(site: &mut Site, admin: &str) -> anyhow::Result<()> {
    let created =
        site.row("create_user", post("/api/v1/users").by(admin).with(person("jean")).answered(201)).await?;
    let path = format!("/api/v1/users/{}", created.text("id")?);
    let user = site.row("get_user, another's", get(&path).by(admin)).await?;
    let patch = ask(Method::PATCH, &path).by(admin).with(json!({"name": "Jean Bartik"}));
    let user = site.row("update_user, the name", patch.header("If-Match", &user.etag)).await?;
    let patch = ask(Method::PATCH, &path).by(admin).with(json!({"email": "bartik@example.org"}));
    let user = site.row("update_user, the address", patch.header("If-Match", &user.etag)).await?;
    let put = json!({"email": "bartik@example.org", "name": "Jean Jennings"});
    let put = ask(Method::PUT, &path).by(admin).with(put).header("If-Match", &user.etag);
    site.row("replace_user", put).await?;
    let roles = format!("{path}/roles");
    let present = site.send(get(&roles).by(admin)).await?;
    let put = ask(Method::PUT, &roles).by(admin).with(json!({"roles": ["customer", "merchant"]}));
    site.row("replace_user_roles", put.header("If-Match", &present.etag)).await?;
    for action in ["disable", "enable", "unlock"] {
        let path = format!("{path}/{action}");
        site.row(&format!("{action}_user"), post(&path).by(admin)).await?;
    }
    let user = site.send(get(&path).by(admin)).await?;
    let delete = ask(Method::DELETE, &path).by(admin).header("If-Match", &user.etag).answered(204);
    site.row("delete_user", delete).await?;
    let path = format!("{path}/restore");
    site.row("restore_user", post(&path).by(admin)).await?;
    Ok(())
}

/// The administration of jobs, and what a worker pays for a job that does nothing.
async fn jobs(site: &mut Site, admin: &str) -> anyhow::Result<()> {
    let none = json!({"kind": "none"});
    let dead = post("/api/v1/admin/jobs/dead/retry").by(admin).with(none).answered(202);
    let accepted = site.row("retry_dead_jobs", dead).await?;
    let id = accepted.text("job_id")?;
    site.row("get_job_status", get(&accepted.text("status_url")?).by(admin)).await?;
    let path = format!("/api/v1/admin/jobs/{id}");
    site.row("get_job", get(&path).by(admin)).await?;
    site.row("list_jobs, 1", get("/api/v1/admin/jobs").by(admin)).await?;
    site.row("cancel_job", post(&format!("{path}/cancel")).by(admin)).await?;
    site.row("retry_job", post(&format!("{path}/retry")).by(admin)).await?;
    let worker = site.worker();
    site.meter.take();
    worker.work_on(&id, Instant::now() + Duration::from_secs(60)).await?;
    site.rows.push(Row {
        label: "(a job: claimed, run, its end stored and counted)".to_owned(),
        cost: site.meter.take(),
    });
    worker.work_until(Instant::now() + Duration::from_secs(60)).await?;
    site.rows.push(Row { label: "(a look for jobs, and there is none)".to_owned(), cost: site.meter.take() });
    site.row("list_crons, none", get("/api/v1/admin/crons").by(admin)).await?;
    site.row("get_job_stats", get("/api/v1/admin/jobs/stats").by(admin)).await?;
    Ok(())
}

async fn roles(site: &mut Site, admin: &str) -> anyhow::Result<()> {
    site.row("list_permissions", get("/api/v1/permissions").by(admin)).await?;
    site.row("list_roles", get("/api/v1/roles").by(admin)).await?;
    let role = json!({"name": "auditor", "description": "Reads the log.", "permissions": ["audit:read"]});
    site.row("create_role", ask(Method::POST, "/api/v1/roles").by(admin).with(role).answered(201)).await?;
    let path = "/api/v1/roles/auditor";
    let role = site.row("get_role", get(path).by(admin)).await?;
    let patch = ask(Method::PATCH, path).by(admin).with(json!({"description": "Reads."}));
    let role = site.row("update_role", patch.header("If-Match", &role.etag)).await?;
    let delete = ask(Method::DELETE, path).by(admin).header("If-Match", &role.etag).answered(204);
    site.row("delete_role", delete).await?;
    Ok(())
}

async fn reports(site: &mut Site, admin: &str) -> anyhow::Result<()> {
    for number in 0..20 {
        let create = ask(Method::POST, "/api/v1/users").by(admin).with(person(&format!("user-{number:02}")));
        site.send(create.answered(201)).await?;
    }
    site.row("list_users, 20", get("/api/v1/users?limit=20").by(admin)).await?;
    site.row("list_users, 20 with a role", get("/api/v1/users?limit=20&role=customer").by(admin)).await?;
    site.row("list_users, 20 by a word", get("/api/v1/users?limit=20&q=hopper").by(admin)).await?;
    site.row("list_users, by an address", get("/api/v1/users?q=user-07%40example.org").by(admin)).await?;
    site.row("get_user_stats", get("/api/v1/users/stats").by(admin)).await?;
    site.row("list_audit_logs, 20", get("/api/v1/audit-logs?limit=20").by(admin)).await?;
    site.row(
        "list_audit_logs, 20 of an action",
        get("/api/v1/audit-logs?limit=20&action=user.created").by(admin),
    )
    .await?;
    let path = format!("/api/v1/audit-logs?limit=20&actor={}", actor_of(site, admin).await?);
    site.row("list_audit_logs, 20 by an actor", get(&path).by(admin)).await?;
    site.row("verify_audit_logs", get("/api/v1/audit-logs/verify").by(admin)).await?;
    for (label, path) in [
        ("get_jwks", "/.well-known/jwks.json"),
        ("get_openid_configuration", "/.well-known/openid-configuration"),
    ] {
        site.clock.advance(Duration::from_secs(1)); // within a second, only the first one reads the keys
        site.row(label, ask(Method::GET, path)).await?;
    }
    for (label, path) in [
        ("get_openapi", "/openapi.json"),
        ("get_liveness", "/healthz"),
        ("get_readiness", "/readyz"),
        ("get_health", "/health"),
        ("get_metrics", "/metrics"),
    ] {
        site.row(label, ask(Method::GET, path)).await?;
    }
    Ok(())
}

async fn actor_of(site: &Site, token: &str) -> anyhow::Result<String> {
    let me = site.send(ask(Method::GET, "/api/v1/auth/me").by(token)).await?;
    ensure!(me.body["email"] == EMAIL, "the token is the admin's");
    me.text("id")
}

/// The rows as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from("| operation | calls | read | write | index |\n|---|---|---|---|---|\n");
    for Row { label, cost } in rows {
        let Cost { calls, reads, writes, index_writes } = cost;
        text.push_str(&format!("| {label} | {calls} | {reads} | {writes} | {index_writes} |\n"));
    }
    text
}
