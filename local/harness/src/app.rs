//! Runs one or all route groups in the test's own process. Requests go through every layer that a server has.
//! The clock stands still until the test advances it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, Method, Request, header};
use serde_json::Value;
use switchyard_ambient::{Ambient, ManualClock, SystemRandomness, Timestamp};
use switchyard_api::{Api, ApiSettings, NoObserver, PeerAddress, RateLimit, serve_api};
use switchyard_database::Db;
use switchyard_identity::{
    FirstAdmin, Identity, LoginOutcome, LoginRequest, Registration, Secret, SignIn, testing,
};
use switchyard_kernel::{Actor, MergePatch, UserId};
use switchyard_program::assemble;
use tower::ServiceExt as _;
use utoipa_axum::router::OpenApiRouter;

use crate::lost_reply::LosingReplies;
use crate::store::{Backend, Store};
use crate::watched::Watched;

pub use switchyard_identity::testing::PASSWORD;

/// The time at which every test begins. It is in the future, so that a database server with its own clock does
/// not treat the test's data as expired.
pub const START: Timestamp = Timestamp::from_seconds(2_000_000_000);

/// Routes with all layers, on their own store.
#[derive(Debug)]
pub struct App {
    /// The identity domain behind the routes.
    pub identity: Identity,
    /// The clock of the program and of the store.
    pub clock: ManualClock,
    db: Db,
    replies: Arc<LosingReplies>,
    calls: Arc<Watched>,
    service: axum::Router,
    _store: Store,
}

/// A user of the test, who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user's id.
    pub id: UserId,
    /// The e-mail address; the password is [`PASSWORD`].
    pub email: String,
    /// An access token, valid for 15 minutes.
    pub access_token: String,
    /// The refresh token of the same session.
    pub refresh_token: String,
}

impl App {
    /// Serves the routes that `router` returns, without rate limits.
    ///
    /// # Panics
    ///
    /// If the database cannot be set up.
    pub async fn start(backend: Backend, router: impl FnOnce(&Db, &Identity) -> OpenApiRouter) -> Self {
        let (rate_limit, rate_limit_user) = (RateLimit::Off, RateLimit::Off);
        let settings = ApiSettings { rate_limit, rate_limit_user, ..ApiSettings::default() };
        Self::start_with(backend, settings, router).await
    }

    /// Like [`start`](Self::start), with these settings of the conventions.
    ///
    /// # Panics
    ///
    /// If the database cannot be set up.
    pub async fn start_with(
        backend: Backend,
        settings: ApiSettings,
        router: impl FnOnce(&Db, &Identity) -> OpenApiRouter,
    ) -> Self {
        let clock = ManualClock::at(START);
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let store = Store::migrated(backend).await.expect("the store can be created");
        let database = store.open(ambient.clone()).await.expect("the store can be opened");
        let replies = Arc::new(LosingReplies::new(database));
        let calls = Arc::new(Watched::new(replies.clone()));
        let db = Db::new(calls.clone(), ambient.clone());
        let identity = assemble(db.clone(), testing::kernel_settings(), testing::settings());
        identity.install(ambient.now()).await.expect("the built-in roles can be stored");
        let api = Api::new(db.clone(), Arc::new(identity.clone()), settings, Arc::new(NoObserver));
        let service = serve_api(router(&db, &identity), Arc::new(api));
        Self { identity, clock, db, replies, calls, service, _store: store }
    }

    /// The database behind the routes.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Loses the reply to the next commit that writes to `collection`.
    pub fn lose_reply_to_write(&self, collection: &str) {
        self.replies.lose_next(collection);
    }

    /// Whether that reply has been lost. No reply is lost afterwards.
    pub fn has_lost_reply(&self) -> bool {
        self.replies.stop()
    }

    /// From now on, the database answers calls that name `collection` after this time.
    pub fn delay_calls(&self, collection: &str, time: Duration) {
        self.calls.delay(collection, time);
    }

    /// The names of the calls of the database that have named `collection` since this was asked for the last time.
    pub fn take_calls(&self, collection: &str) -> Vec<&'static str> {
        self.calls.take_calls(collection)
    }

    /// Advances the clock.
    pub fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Registers an account with this name, and with the name at example.com as its address.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub async fn register(&self, name: &str) -> Person {
        let email = format!("{}@example.com", name.to_lowercase());
        let registration = Registration {
            email: email.parse().expect("the name can be part of an address"),
            password: PASSWORD.parse().expect("the password is long enough"),
            name: name.parse().expect("the name is valid"),
            device_name: None,
        };
        let context = self.identity.context("harness");
        let sign_in = self.identity.accounts().register(&context, &registration).await;
        Person::of(&sign_in.expect("the account can be created"))
    }

    /// Signs a user in again.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub async fn sign_in(&self, email: &str) -> Person {
        let email = email.parse().expect("the address is valid");
        let request =
            LoginRequest { email, password: Secret::new(PASSWORD), device_name: None, device_token: None };
        let outcome = self.identity.accounts().login(&self.identity.context("harness"), &request).await;
        let LoginOutcome::SignedIn(sign_in) = outcome.expect("the user can sign in");
        Person::of(&sign_in)
    }

    /// The first admin, who has all permissions.
    ///
    /// # Panics
    ///
    /// If another admin exists.
    pub async fn admin(&self) -> Person {
        let email = "admin@example.com";
        let admin = FirstAdmin {
            email: email.parse().expect("the address is valid"),
            password: PASSWORD.parse().expect("the password is long enough"),
            password_change_required: false,
        };
        let context = self.identity.context("harness").by(Actor::System);
        let made = self.identity.accounts().ensure_first_admin(&context, &admin).await;
        made.expect("the first admin can be created");
        self.sign_in(email).await
    }

    /// A GET of a path under `/api/v1`.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, &format!("/api/v1{path}"))
    }

    /// A POST to a path under `/api/v1`.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, &format!("/api/v1{path}"))
    }

    /// A PUT to a path under `/api/v1`.
    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, &format!("/api/v1{path}"))
    }

    /// A PATCH of a path under `/api/v1`.
    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, &format!("/api/v1{path}"))
    }

    /// A DELETE of a path under `/api/v1`.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, &format!("/api/v1{path}"))
    }

    /// A request of any method to any path.
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.service.clone(), method, path)
    }
}

impl Person {
    fn of(sign_in: &SignIn) -> Self {
        Self {
            id: sign_in.user.id,
            email: sign_in.user.email.to_string(),
            access_token: sign_in.tokens.access_token.expose().to_owned(),
            refresh_token: sign_in.tokens.refresh_token.expose().to_owned(),
        }
    }
}

/// A request. It is sent when it is awaited.
#[derive(Debug)]
pub struct Call {
    service: axum::Router,
    request: Request<Body>,
}

impl Call {
    /// A request to `service`.
    ///
    /// # Panics
    ///
    /// If `path` is malformed.
    pub fn new(service: axum::Router, method: Method, path: &str) -> Self {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("the path is valid");
        Self { service, request }
    }

    /// Sends a person's access token.
    #[must_use]
    pub fn by(self, person: &Person) -> Self {
        self.bearer(&person.access_token)
    }

    /// Sends an access token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Sends JSON, in a PATCH as a merge patch.
    #[must_use]
    pub fn json(self, body: Value) -> Self {
        let patches = self.request.method() == Method::PATCH;
        let media_type = if patches { MergePatch::MEDIA_TYPE } else { "application/json" };
        self.header(header::CONTENT_TYPE, media_type).body(body.to_string())
    }

    /// Sends this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends a header.
    ///
    /// # Panics
    ///
    /// If the value is not valid in a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: &str) -> Self {
        self.request.headers_mut().append(name.into(), value.parse().expect("the header's value is valid"));
        self
    }

    /// Sends `If-Match` with this tag.
    #[must_use]
    pub fn if_match(self, etag: &str) -> Self {
        self.header(header::IF_MATCH, etag)
    }

    /// Sends an `Idempotency-Key`.
    #[must_use]
    pub fn once(self, key: &str) -> Self {
        self.header(HeaderName::from_static("idempotency-key"), key)
    }

    /// Sends the request from this address.
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.request.extensions_mut().insert(PeerAddress(address));
        self
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Ok(response) = self.service.oneshot(self.request).await;
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("the body is whole");
            Answer { status: parts.status.as_u16(), headers: parts.headers, body }
        })
    }
}

/// The answer to a request.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Returns the body as JSON, after checking that the answer has this status.
    ///
    /// # Panics
    ///
    /// If it has another status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The status and the code of an error.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The faults of an error, by field.
    pub fn details(&self) -> Value {
        self.json()["error"]["details"].clone()
    }

    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value and the attributes of a cookie that is set.
    pub fn cookie(&self, name: &str) -> Option<(String, String)> {
        let mut lines = self.headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        line.split_once("; ").map(|(value, attributes)| (value.to_owned(), attributes.to_owned()))
    }

    /// The `ETag`.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("there is no ETag: {self:?}")).to_owned()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
