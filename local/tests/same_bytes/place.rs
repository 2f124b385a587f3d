//! A place where requests are answered: the server on a database, or the functions on one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;
use reqwest::redirect;
use serde_json::{Value, json};
use switchyard_harness::app::Answer;
use switchyard_harness::emulator::{Emulator, SOURCE_IP};
use switchyard_harness::identity::identity_environment;
use switchyard_harness::process::Process;
use switchyard_harness::store::{Backend, Store};
use switchyard_harness::template::Routes;
use switchyard_local::SCHEDULED;
use switchyard_runtime::{Function, Schedule};

use crate::policy::{Guard, Policy};
use crate::program::{RECORDED_IN, ROLE, SERVER, STEERED_BY};

/// The headers that say how an answer was transported, the only ones that are not compared. HTTP/1.1 needs them (RFC 9110
/// §6.6.1, §7.6.1, §8.6; RFC 9112 §6.1); to the clients of functions the gateway speaks it.
///
/// Nor is it compared how many lines the values of a header take, and in which order headers come: neither has a meaning
/// (RFC 9110 §5.3).
pub(crate) const OF_THE_TRANSPORT: [HeaderName; 4] =
    [header::CONNECTION, header::CONTENT_LENGTH, header::DATE, header::TRANSFER_ENCODING];

/// The first admin of every place.
pub(crate) const ADMIN: &str = "admin@example.com";
/// The password that the settings give the first admin, who must change it first.
pub(crate) const GIVEN_PASSWORD: &str = "the first of two passphrases 86";
/// The host that requests name, unless they name another: as that of the functions, it is not this machine.
const HOST: &str = "api.example.com";
/// The origin whose pages may call every place.
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// The environment of a place, without its database.
fn environment(role: &str, steered_by: &Path) -> Vec<(String, String)> {
    // Every request names its source address: the peer is the gateway in one place and a socket in another.
    let proxies = format!("127.0.0.1, {SOURCE_IP}");
    let settings = [
        (ROLE, role),
        (STEERED_BY, steered_by.to_str().unwrap()),
        ("ADMIN_EMAIL", ADMIN),
        ("ADMIN_PASSWORD", GIVEN_PASSWORD),
        ("CORS_ORIGINS", ORIGIN),
        ("PUBLIC_URL", "https://api.example.com"),
        ("LOG", "warn"),
        ("RATE_LIMIT", "30/15m"),
        // Of a quota under forty, an instance takes a user's requests out of the store one by one. Of a larger one it
        // takes several at once, and other instances cannot tell how many of those are left.
        ("RATE_LIMIT_USER", "39/1m"),
        // A machine that is busy must not make an instance count alone: its headers would differ.
        ("RATE_LIMIT_TIMEOUT_MS", "10000"),
        ("TRUSTED_PROXIES", &proxies),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    settings.into_iter().chain(identity_environment()).collect()
}

/// Where requests are answered.
#[derive(Debug)]
pub(crate) struct Place {
    /// What runs there and on which database.
    pub(crate) name: String,
    programs: Programs,
    _store: Store,
}

#[derive(Debug)]
enum Programs {
    Server {
        process: Process,
        client: reqwest::Client,
    },
    Functions {
        routes: Routes,
        functions: BTreeMap<String, Emulator>,
        scheduled: Vec<(Function, Emulator)>,
        /// Those on DynamoDB, each with the name of its function.
        guards: Vec<(String, Guard)>,
    },
}

impl Place {
    /// The server on a fresh database.
    pub(crate) async fn server(backend: Backend, steered_by: &Path) -> anyhow::Result<Self> {
        let store = Store::fresh(backend).await?;
        let process = start_server(&store, steered_by).await?;
        // As a client without habits: no other address is asked, nothing is decoded.
        let client = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build()?;
        let programs = Programs::Server { process, client };
        Ok(Self { name: format!("the server on {backend:?}"), programs, _store: store })
    }

    /// The functions on a fresh database, one process each, which requests reach as the template routes them. They record in
    /// the folder `recorded_in` how they use collections.
    pub(crate) async fn functions(
        backend: Backend,
        steered_by: &Path,
        recorded_in: &Path,
    ) -> anyhow::Result<Self> {
        let store = Store::fresh(backend).await?;
        // A deployment prepares the database once; no function does so when it starts.
        start_server(&store, steered_by).await?.terminate()?;
        let routes = Routes::read()?;
        let mut functions = BTreeMap::new();
        let recorded_in = [(RECORDED_IN.to_owned(), recorded_in.to_str().unwrap().to_owned())];
        let mut guards = Vec::new();
        let mut start = async |name: &str| {
            let mut of_store = store.environment();
            if let Some(guard) = guard(name, &mut of_store).await? {
                guards.push((name.to_owned(), guard));
            }
            let environment = [of_store, environment(name, steered_by), recorded_in.to_vec()].concat();
            Emulator::start(&executable()?, &environment).await
        };
        for name in routes.functions() {
            functions.insert(name.to_owned(), start(name).await?);
        }
        let mut scheduled = Vec::new();
        for (function, _) in SCHEDULED {
            scheduled.push((*function, start(function.name).await?));
        }
        let programs = Programs::Functions { routes, functions, scheduled, guards };
        Ok(Self { name: format!("the functions on {backend:?}"), programs, _store: store })
    }

    /// What is answered here.
    pub(crate) async fn answer(&self, request: &Request<Bytes>) -> anyhow::Result<Answer> {
        match &self.programs {
            Programs::Server { process, client } => ask_server(process, client, request).await,
            Programs::Functions { routes, functions, .. } => {
                // The gateway decodes a path before it selects the route.
                let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
                functions[routes.function_of(request.method(), &path)].send(request).await
            }
        }
    }

    /// Runs each function that schedules run, once for each of its schedules.
    pub(crate) async fn run_schedules(&self) -> anyhow::Result<()> {
        let Programs::Functions { scheduled, .. } = &self.programs else { return Ok(()) };
        for (function, emulator) in scheduled {
            for Schedule { name, .. } in function.schedules {
                let answer = emulator.invoke_event(&json!({"run": name})).await?;
                let printed = emulator.output();
                anyhow::ensure!(answer.is_null(), "{}: {name}: {answer}, and printed:\n{printed}", self.name);
            }
        }
        Ok(())
    }

    /// What functions tried to do on DynamoDB and the template does not permit them.
    pub(crate) fn refused(&self) -> Vec<String> {
        let Programs::Functions { guards, .. } = &self.programs else { return Vec::new() };
        let of_function = |(name, guard): &(String, Guard)| {
            let refused = guard.refused().into_iter();
            refused.map(|refused| format!("the function `{name}`: {refused}")).collect::<Vec<_>>()
        };
        guards.iter().flat_map(of_function).collect()
    }

    /// What the programs have printed since this was last asked.
    pub(crate) fn output(&self) -> String {
        match &self.programs {
            Programs::Server { process, .. } => process.output(),
            Programs::Functions { functions, .. } => {
                functions.values().map(Emulator::output).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// Starts a guard in front of DynamoDB for a function, and leads the function to it.
async fn guard(function: &str, environment: &mut [(String, String)]) -> anyhow::Result<Option<Guard>> {
    let prefix = environment.iter().find_map(|(_, value)| value.strip_prefix("dynamodb://"));
    let Some(prefix) = prefix.map(|prefix| format!("{prefix}-")) else { return Ok(None) };
    let mut endpoints = environment.iter_mut().filter(|(name, _)| name == "AWS_ENDPOINT_URL_DYNAMODB");
    let (_, endpoint) = endpoints.next().context("the address of DynamoDB Local is known")?;
    let guard = Guard::start(Policy::of(function)?, endpoint.clone(), prefix).await?;
    endpoint.clone_from(&guard.endpoint);
    Ok(Some(guard))
}

fn executable() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("a process knows its executable")
}

async fn start_server(store: &Store, steered_by: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(executable()?);
    command.envs(store.environment()).envs(environment(SERVER, steered_by));
    Process::serve(command).await
}

async fn ask_server(
    process: &Process,
    client: &reqwest::Client,
    request: &Request<Bytes>,
) -> anyhow::Result<Answer> {
    let target = request.uri().path_and_query().context("requests have a target")?;
    let (mut parts, body) = request.clone().into_parts();
    parts.headers.entry(header::HOST).or_insert(HeaderValue::from_static(HOST));
    parts.uri = format!("{}{target}", process.base_url).parse()?;
    let request = reqwest::Request::try_from(Request::from_parts(parts, body))?;
    let sent = request.url();
    let sent = [sent.path(), sent.query().map(|_| "?").unwrap_or_default(), sent.query().unwrap_or_default()];
    anyhow::ensure!(
        sent.concat() == target.as_str(),
        "the client would ask for {sent:?} instead of {target}"
    );
    let answer = client.execute(request).await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Ok(Answer { status, headers, body: answer.bytes().await? })
}

/// What is compared of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    status: u16,
    headers: BTreeMap<String, Vec<u8>>,
    body: Bytes,
}

impl From<&Answer> for Compared {
    fn from(answer: &Answer) -> Self {
        let names = answer.headers.keys().filter(|name| !OF_THE_TRANSPORT.contains(name));
        let lines =
            |name| answer.headers.get_all(name).iter().map(|line| line.as_bytes()).collect::<Vec<_>>();
        let headers = names.map(|name| (name.to_string(), lines(name).join(&b", "[..])));
        Self { status: answer.status, headers: headers.collect(), body: without_scan_position(&answer.body) }
    }
}

/// The body without the position of a scan. The order of a scan is each database's own, so a verification of the audit log
/// that stops among all entries continues at a position that is good on the same database alone.
fn without_scan_position(body: &Bytes) -> Bytes {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else { return body.clone() };
    let cursor = members.get_mut("next_cursor");
    match cursor.filter(|cursor| cursor.as_str().is_some_and(is_scan_position)) {
        Some(cursor) => {
            *cursor = "a position of this database".into();
            Value::Object(members).to_string().into()
        }
        None => body.clone(),
    }
}

/// Whether a verification continues at a position of a scan.
pub(crate) fn is_scan_position(cursor: &str) -> bool {
    let position = URL_SAFE_NO_PAD.decode(cursor).ok();
    let position = position.and_then(|position| serde_json::from_slice::<Value>(&position).ok());
    position.is_some_and(|position| position["Stray"]["after"].is_string())
}

/// As HTTP/1.1 writes it.
impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", value.escape_ascii())?;
        }
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "\n{}", body.chars().take(4_000).collect::<String>())
    }
}
