//! A small API on its own database, and a client for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use switchyard_ambient::{Ambient, ManualClock, SeededRandomness, Timestamp, Uuid};
use switchyard_api::{Api, ApiSettings, COLLECTIONS, NoObserver, PeerAddress, RateLimit, serve_api};
use switchyard_database::{Database, Db, Entity, Schema};
use switchyard_kernel::{
    AuthenticationError, Authenticator, KeyRing, Permission, Principal, RoleName, ServiceCode,
};
use switchyard_sqlite::Sqlite;
use tower::ServiceExt;

use crate::sample::{self, NOTES_WRITE, Note, Probe, USERS_READ};

/// The time at which every test begins: 2023-11-14T22:13:20Z.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_700_000_000);
pub(crate) const ADA: Uuid = Uuid::from_u128(0xada);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb0b);

pub(crate) struct TestApi {
    router: Router,
    database: Arc<dyn Database>,
    pub(crate) clock: ManualClock,
    pub(crate) db: Db,
    /// Counts what the handlers did, and delays them.
    pub(crate) probe: Arc<Probe>,
}

impl TestApi {
    pub(crate) async fn new() -> Self {
        Self::with(|settings| settings.rate_limit_user = RateLimit::Off).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ApiSettings)) -> Self {
        let clock = ManualClock::at(START);
        let ambient = Ambient::new(clock.clone(), SeededRandomness::new(1));
        let database: Arc<dyn Database> = Arc::new(Sqlite::in_memory(ambient.clone()).unwrap());
        let db = Db::new(Arc::clone(&database), ambient);
        let schema = Schema::new([Note::COLLECTION].into_iter().chain(COLLECTIONS)).unwrap();
        db.backend().migrate(&schema).await.unwrap();
        let probe = Arc::new(Probe::default());
        let mut settings = ApiSettings::default();
        change(&mut settings);
        let router = instance(&db, &probe, settings);
        Self { router, database, clock, db, probe }
    }

    /// With a database that has no tables, so that every call on it fails.
    pub(crate) async fn without_tables(change: impl FnOnce(&mut ApiSettings)) -> Self {
        let mut api = Self::with(|_| {}).await;
        let ambient = api.db.ambient().clone();
        api.database = Arc::new(Sqlite::in_memory(ambient.clone()).unwrap());
        api.db = Db::new(Arc::clone(&api.database), ambient);
        api.another(change)
    }

    /// Another instance on the same database, as on Lambda.
    pub(crate) fn another(&self, change: impl FnOnce(&mut ApiSettings)) -> Self {
        let mut settings = ApiSettings::default();
        change(&mut settings);
        self.of(instance(&self.db, &self.probe, settings))
    }

    /// Another instance on the same database, with these keys of the service.
    pub(crate) fn with_keys(&self, keys: &str) -> Self {
        let tokens = Tokens { keys: KeyRing::parse(keys).unwrap() };
        self.of(instance_of(tokens, &self.db, &self.probe, ApiSettings::default()))
    }

    fn of(&self, router: Router) -> Self {
        let (clock, db, probe) = (self.clock.clone(), self.db.clone(), Arc::clone(&self.probe));
        Self { router, database: Arc::clone(&self.database), clock, db, probe }
    }

    /// Another instance on the same database, whose clock is slow and stands still.
    pub(crate) fn with_clock_behind(&self, by: Duration, change: impl FnOnce(&mut ApiSettings)) -> Self {
        let clock = ManualClock::at(self.db.ambient().now() - by);
        let ambient = Ambient::new(clock.clone(), SeededRandomness::new(2));
        let db = Db::new(Arc::clone(&self.database), ambient);
        let mut settings = ApiSettings::default();
        change(&mut settings);
        let router = instance(&db, &self.probe, settings);
        Self { router, database: Arc::clone(&self.database), clock, db, probe: Arc::clone(&self.probe) }
    }

    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        let response = self.router.clone().oneshot(ask.0).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Stores a note. Returns its path and its ETag.
    pub(crate) async fn note(&self, text: &str) -> (String, String) {
        let answer = self.send(post("/notes").bearer("ada").json(json!({ "text": text }))).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        (answer.header("location").to_owned(), answer.header("etag").to_owned())
    }
}

fn instance(db: &Db, probe: &Arc<Probe>, settings: ApiSettings) -> Router {
    let keys = KeyRing::parse("a key of the service for tests of the api").unwrap();
    instance_of(Tokens { keys }, db, probe, settings)
}

fn instance_of(tokens: Tokens, db: &Db, probe: &Arc<Probe>, settings: ApiSettings) -> Router {
    let api = Api::new(db.clone(), Arc::new(tokens), settings, Arc::new(NoObserver));
    serve_api(sample::router(db.clone(), Arc::clone(probe)), Arc::new(api))
}

/// Knows three tokens: of Ada, who has all permissions and signed in just now; of Bob, who has none and signed
/// in an hour ago; and an expired one.
#[derive(Debug)]
struct Tokens {
    keys: KeyRing,
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, token: &str, _now: Timestamp) -> Result<Principal, AuthenticationError> {
        let user = |user_id: Uuid, permissions: &[Permission], auth_time| Principal {
            user_id: user_id.into(),
            session_id: Uuid::from_u128(1).into(),
            session_epoch: 0,
            roles: vec![RoleName::built_in("customer")],
            permissions: permissions.iter().copied().collect(),
            auth_time,
            password_change_required: false,
        };
        match token {
            "ada" => Ok(user(ADA, &[NOTES_WRITE, USERS_READ], START)),
            "bob" => Ok(user(BOB, &[], START - Duration::from_secs(3600))),
            "expired" => Err(AuthenticationError::Expired),
            _ => Err(AuthenticationError::Invalid),
        }
    }

    fn code(&self, key_id: Option<&str>, message: &[u8]) -> Option<ServiceCode> {
        let key_id = key_id.unwrap_or(self.keys.current_id()).to_owned();
        Some(ServiceCode { code: self.keys.code(&key_id, message)?.as_ref().to_vec(), key_id })
    }
}

/// A request that is being built.
pub(crate) struct Ask(Request<Body>);

pub(crate) fn ask(method: Method, path: &str) -> Ask {
    Ask(Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
}

pub(crate) fn get(path: &str) -> Ask {
    ask(Method::GET, path)
}

pub(crate) fn post(path: &str) -> Ask {
    ask(Method::POST, path)
}

pub(crate) fn patch(path: &str) -> Ask {
    ask(Method::PATCH, path)
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn extension(mut self, extension: impl Clone + Send + Sync + 'static) -> Self {
        self.0.extensions_mut().insert(extension);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        *self.0.body_mut() = body.into();
        self
    }

    pub(crate) fn at_address(mut self, address: &str) -> Self {
        self.0.extensions_mut().insert(PeerAddress(address.parse::<IpAddr>().unwrap()));
        self
    }
}

/// An answer with its whole body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON in {self:?}"))
    }

    /// The status and the code of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(body["error"]["request_id"], self.header("x-request-id"));
        (self.status.as_u16(), body["error"]["code"].as_str().unwrap().to_owned())
    }

    /// The details of a 400.
    #[track_caller]
    pub(crate) fn details(&self) -> Value {
        assert_eq!(self.error(), (400, "VALIDATION_ERROR".to_owned()));
        self.json()["error"]["details"].clone()
    }
}

#[track_caller]
pub(crate) fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.error(), (status, code.to_owned()));
}

/// The `Content-Length` of an answer.
pub(crate) fn content_length(answer: &Answer) -> usize {
    answer.header(header::CONTENT_LENGTH.as_str()).parse().unwrap()
}
