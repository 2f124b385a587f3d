//! All places at once.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use futures::future::{join_all, try_join_all};
use serde_json::Value;
use switchyard_api::PeerAddress;
use switchyard_harness::app::{Answer, Call};
use switchyard_harness::store::Backend;

use crate::place::{Compared, Place};
use crate::recording;
use crate::steering::Steering;

/// The address of clients whose request names no other.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

/// The operations of the document that the trace leaves out, because they report measurements: how long the database
/// took, and the counters of one process, which a function writes to its log.
const MEASUREMENTS: [&str; 2] = ["GET /health", "GET /metrics"];

/// All places: a request is made in every one, and the answers are compared.
#[derive(Debug)]
pub(crate) struct Everywhere {
    service: Router,
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    steering: Steering,
    /// The trace continues with the answer of the first.
    places: Vec<Place>,
    account: Mutex<Account>,
    /// Where the steering file is, and what the functions record.
    folder: tempfile::TempDir,
}

/// The requests and the outcome of the comparison.
#[derive(Debug, Default)]
struct Account {
    asked: Vec<(Method, String)>,
    differences: usize,
    surprises: usize,
}

impl Everywhere {
    /// Starts all of them.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let steering = Steering::new(folder.path());
        let path = steering.path();
        let servers = try_join_all(Backend::ALL.map(|backend| Place::server(backend, path))).await?;
        let functions = [Backend::DynamoDb, Backend::Postgres];
        let functions =
            try_join_all(functions.map(|backend| Place::functions(backend, path, folder.path()))).await?;
        let places = servers.into_iter().chain(functions).collect();
        let places = Arc::new(Places { steering, places, account: Mutex::default(), folder });
        let service = Router::new().fallback(answer).with_state(Arc::clone(&places));
        Ok(Self { service, places })
    }

    /// A request of any method to any path.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.service.clone(), method, path)
    }

    /// A GET of a path under `/api/v1`.
    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, &format!("/api/v1{path}"))
    }

    /// A POST to a path under `/api/v1`.
    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, &format!("/api/v1{path}"))
    }

    /// A PUT to a path under `/api/v1`.
    pub(crate) fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, &format!("/api/v1{path}"))
    }

    /// A PATCH of a path under `/api/v1`.
    pub(crate) fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, &format!("/api/v1{path}"))
    }

    /// A DELETE of a path under `/api/v1`.
    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, &format!("/api/v1{path}"))
    }

    /// Makes a request that must be answered with this status. Another status fails the test at its end, so that one run
    /// shows everything that differs.
    pub(crate) async fn ask(&self, status: u16, call: Call) -> Answer {
        let answer = call.await;
        if answer.status != status {
            let mut account = self.places.account.lock().unwrap_or_else(PoisonError::into_inner);
            account.surprises += 1;
            let number = account.asked.len();
            let (method, path) = &account.asked[number - 1];
            eprintln!("request {number}: {method} {path} should have the status {status}: {answer:?}");
        }
        answer
    }

    /// Lets time pass, more than does with each request.
    pub(crate) fn wait(&self, time: Duration) {
        self.places.steering.wait(time);
    }

    /// Sets the time that passes between two requests from now on.
    pub(crate) fn set_pace(&self, pace: Duration) {
        self.places.steering.set_pace(pace);
    }

    /// Runs what schedules run, on what the trace has left.
    pub(crate) async fn run_schedules(&self) {
        for place in &self.places.places {
            place.run_schedules().await.unwrap();
        }
    }

    /// Prints what was compared. Fails if answers differed, if no request asked for an operation, or if a function used a
    /// collection in a way that it does not declare, or did not use one that it declares.
    pub(crate) fn conclude(&self) {
        let Account { asked, differences, surprises } =
            &*self.places.account.lock().unwrap_or_else(PoisonError::into_inner);
        let places = self.places.places.len();
        println!(
            "{} requests, {} answers compared, {differences} requests answered differently",
            asked.len(),
            asked.len() * places
        );
        assert_eq!(
            (*differences, *surprises),
            (0, 0),
            "requests were not answered as they should be: see above"
        );
        let left_out: BTreeSet<_> = operations()
            .into_iter()
            .filter(|operation| !asked.iter().any(|asked| operation.is(asked)))
            .collect();
        let left_out: Vec<_> = left_out.iter().map(Operation::name).collect();
        assert_eq!(left_out, MEASUREMENTS, "the trace leaves operations out");
        let refused: BTreeSet<_> = self.places.places.iter().flat_map(Place::refused).collect();
        assert!(refused.is_empty(), "the template does not permit what functions do: {refused:#?}");
        recording::check(self.places.folder.path());
    }
}

/// Asks everywhere. The trace waits for each answer, so one request is under way at a time.
async fn answer(State(everywhere): State<Arc<Places>>, request: Request<Body>) -> Response<Body> {
    let Places { steering, places, account, .. } = &*everywhere;
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let from = parts.extensions.get().map_or(HERE, |PeerAddress(address)| *address);
    parts.headers.insert("x-forwarded-for", HeaderValue::try_from(from.to_string()).unwrap());
    let request = Request::from_parts(parts, body);

    let number = steering.next().request;
    let title = format!("request {number}: {} {}", request.method(), request.uri());
    let answers = join_all(places.iter().map(|place| place.answer(&request))).await;
    let answers: Vec<_> = answers
        .into_iter()
        .zip(places)
        .map(|(answer, place)| answer.unwrap_or_else(|fault| panic!("{title}: {}: {fault:#}", place.name)))
        .collect();
    let compared: Vec<_> = answers.iter().map(Compared::from).collect();
    let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
    account.asked.push((request.method().clone(), request.uri().path().to_owned()));
    let different: Vec<_> = (1..places.len()).filter(|&place| compared[place] != compared[0]).collect();
    if !different.is_empty() {
        account.differences += 1;
        eprintln!("{title}\n--- {}: {}\n", places[0].name, compared[0]);
        for place in different {
            eprintln!("--- {}: {}\n", places[place].name, compared[place]);
        }
    }
    for (answer, place) in answers.iter().zip(places).filter(|(answer, _)| answer.status >= 500) {
        eprintln!("{title}: {answer:?}: {} printed:\n{}", place.name, place.output());
    }
    let mut response = Response::new(Body::from(answers[0].body.clone()));
    *response.status_mut() = StatusCode::from_u16(answers[0].status).unwrap();
    *response.headers_mut() = answers[0].headers.clone();
    response
}

/// An operation of the OpenAPI document.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    method: String,
    path: String,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether a request asks for it. `{…}` stands for one segment, except for segments that other operations have there.
    fn is(&self, (method, path): &(Method, String)) -> bool {
        let (mine, theirs) = (self.path.split('/'), path.split('/'));
        method.as_str() == self.method
            && mine.clone().count() == theirs.clone().count()
            && mine.zip(theirs).all(|(mine, theirs)| mine == theirs || mine.starts_with('{'))
    }
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(switchyard_fn_system::OPENAPI_JSON).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|method| Operation { method: method.to_uppercase(), path: path.clone() })
    });
    operations.collect()
}
