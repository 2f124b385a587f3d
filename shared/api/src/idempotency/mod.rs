//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a repeated POST takes effect once.
//!
//! The first request with a key inserts a record and runs under a lease. Its answer is stored in the record for
//! 24 hours. The request continues even if its client disconnects, so that the client finds the answer when it
//! repeats the request. It is stopped at the time-out of every request, so that it no longer runs when the
//! lease expires. After that, as after a crash, the next request with the key runs.
//!
//! The record is written before and after the effect of the request, so it does not know the effect of a request whose
//! answer was lost. The transaction with the effect therefore records it too (see [`RequestKey`]), and a request that runs
//! again answers from it. If that is no longer possible, because what was made has changed since, the answer is 409
//! `IDEMPOTENCY_ANSWER_LOST`.
//!
//! Answers that depend on circumstances other than the request, or that the client can correct without another body, are
//! not stored, so that the request can be repeated: 401, 403, 408, 413, 415, 423, 428, 429 and 5xx. After a 5xx the key is
//! only given back if it is certain that nothing took effect.

mod key;
mod record;
mod run;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use switchyard_database::{Cause, Db, Error, Stored, retry};
use switchyard_kernel::{Authenticator, Context, RequestKey};
use tokio::time::Instant;
use tracing::Instrument;

use crate::input::read_body;
use crate::{ApiError, ApiResult, codes, cookie};

pub(crate) use key::IDEMPOTENCY_KEY;
pub use key::IdempotencyKey;
pub use record::IdempotencyRecord;

use record::{Answer, KEPT_FOR};
use run::Run;
use seal::{KeyedRequest, Secret, record_id};

/// The header of an answer that was stored earlier.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How much longer a lease lasts than the time-out of a request.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// A request is stopped before its time-out, by the time-out divided by this. On Lambda, nothing may still run
/// when the answer is sent: the instance is frozen then, and would continue with it when it is resumed for
/// another request, maybe an hour later.
const STOPPED_BEFORE: u32 = 50;

/// The headers that make any request conditional. They are part of the request, as its body is.
const CONDITIONS: [HeaderName; 2] = [header::IF_MATCH, header::IF_NONE_MATCH];

/// Whether a request carries a key.
pub(crate) fn is_keyed(request: &Request) -> bool {
    request.headers().contains_key(IDEMPOTENCY_KEY)
}

/// What a key applies to: one caller on one route.
pub(crate) struct Scope<'a> {
    pub(crate) caller: String,
    pub(crate) route: &'a str,
    /// The cookies that the route reads. They are part of the request, as its body is: they hold a browser's
    /// credentials, so no one else gets its answer.
    pub(crate) cookies: &'a [String],
    /// The headers that the operation declares, in the same way.
    pub(crate) headers: &'a [HeaderName],
    pub(crate) context: &'a Context,
    /// The time-out of a request.
    pub(crate) timeout: Duration,
    /// When this request times out.
    pub(crate) deadline: Instant,
}

/// Runs a request that carries a key, or returns the stored answer if it ran before.
pub(crate) async fn run_once(
    db: &Db,
    authenticator: &dyn Authenticator,
    scope: Scope<'_>,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    let Some(key) = IdempotencyKey::of(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let body = read_body(&parts, body).await?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let id = record_id(&[&scope.caller, parts.method.as_str(), scope.route, key.as_str()]);
    let cookies =
        scope.cookies.iter().map(|name| cookie(&parts.headers, name).unwrap_or_default().as_bytes());
    let headers = scope.headers.iter().chain(&CONDITIONS).map(|name| values_of(&parts.headers, name));
    let headers: Vec<_> = headers.collect();
    let headers = headers.iter().map(Vec::as_slice);
    let request: Vec<&[u8]> =
        std::iter::once(target.as_bytes()).chain(cookies).chain(headers).chain([&*body]).collect();
    let keyed =
        KeyedRequest { authenticator, record_id: &id, idempotency_key: key.as_str(), parts: &request };
    let lease = scope.timeout + LEASE_MARGIN;
    let deadline = scope.deadline - scope.timeout / STOPPED_BEFORE;
    let Reserved { record, key, secret } = match begin(db, &keyed, lease).await? {
        Begun::Answered(answer) => return Ok(replay(answer)),
        Begun::Running(reserved) => *reserved,
    };
    let context = Context { request_key: Some(key.clone()), ..scope.context.clone() };
    let request_id = context.request_id.clone();
    parts.extensions.insert(Arc::new(context));
    let run = Run { db: db.clone(), record, key, secret, request_id, deadline };
    let request = Request::from_parts(parts, Body::from(body));
    // A spawned task does not inherit the deadline.
    let running = retry::within(deadline, run.complete(request, next));
    let running = tokio::spawn(running.in_current_span());
    running.await.map_err(ApiError::internal)
}

/// All values of a header.
fn values_of(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b'\n')
}

/// A key that this request has reserved.
struct Reserved {
    record: Stored<IdempotencyRecord>,
    key: RequestKey,
    secret: Secret,
}

enum Begun {
    Running(Box<Reserved>),
    Answered(Answer),
}

/// Reserves the key for this request, or returns the stored answer.
///
/// # Errors
///
/// 409 while the first request runs, and if the record depends on a key that the service no longer has; 422 if the key was used
/// for another request.
async fn begin(db: &Db, request: &KeyedRequest<'_>, lease: Duration) -> ApiResult<Begun> {
    let records = db.collection::<IdempotencyRecord>();
    let secret = request.secret();
    let now = db.ambient().now();
    let fresh = IdempotencyRecord {
        id: request.record_id.to_owned(),
        key_id: secret.key_id.clone(),
        fingerprint: secret.fingerprint().map_err(ApiError::internal)?,
        leased_until: now + lease,
        answer: None,
        forgotten_at: now + KEPT_FOR,
    };
    // The second round is for a record that expired or was deleted between the insert and the read.
    for _ in 0..2 {
        match records.insert(&fresh).await {
            Ok(record) => {
                let seed = secret.seed().map_err(ApiError::internal)?;
                let key = RequestKey::new(&fresh.id, &seed, fresh.forgotten_at);
                return Ok(Begun::Running(Box::new(Reserved { record, key, secret })));
            }
            Err(fault) if fault.is_rejection_for(Cause::AlreadyExists) => {}
            Err(fault) => return Err(fault.into()),
        }
        let Some(record) = records.get(&fresh.id).await? else { continue };
        // What the first request with the key did stays known by what it was derived from then.
        let secret = request.secret_under(&record.key_id);
        let secret = secret.ok_or(ApiError::from(codes::IDEMPOTENCY_ANSWER_LOST))?;
        if record.fingerprint != secret.fingerprint().map_err(ApiError::internal)? {
            return Err(codes::IDEMPOTENCY_KEY_REUSED.into());
        }
        if let Some(sealed) = &record.answer {
            let bytes = secret.open(&record.id, sealed).map_err(ApiError::internal)?;
            let answer = Answer::from_bytes(&bytes)
                .ok_or_else(|| ApiError::internal("the stored answer is damaged"))?;
            return Ok(Begun::Answered(answer));
        }
        if record.leased_until > now {
            break;
        }
        let (key_id, fingerprint) = (record.key_id.clone(), record.fingerprint.clone());
        let fresh = IdempotencyRecord { key_id, fingerprint, ..fresh };
        return match records.replace(&record, &fresh).await {
            Ok(record) => {
                let seed = secret.seed().map_err(ApiError::internal)?;
                let key = RequestKey::repeated(db, &fresh.id, &seed, fresh.forgotten_at).await?;
                Ok(Begun::Running(Box::new(Reserved { record, key, secret })))
            }
            Err(Error::Rejected(_)) => break, // another took over first
            Err(fault) => Err(fault.into()),
        };
    }
    Err(in_progress())
}

fn in_progress() -> ApiError {
    ApiError::new(codes::IDEMPOTENCY_IN_PROGRESS).retry_after(Duration::from_secs(1))
}

fn replay(answer: Answer) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}
