//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a repeated POST takes effect once.
//!
//! The first request with a key inserts a record and runs under a lease. Its answer is stored in the record for
//! 24 hours. The request continues even if its client disconnects, so that the client finds the answer when it
//! repeats the request. It is stopped at the time-out of every request, so that it no longer runs when the
//! lease expires. After that, as after a crash, the next request with the key runs.
//!
//! Answers that depend on circumstances other than the request are not stored, so that the request can be
//! repeated later: 5xx, 401, 403, 408, 423 and 429.

mod key;
mod record;
mod seal;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use switchyard_database::{Cause, Db, Error, Stored};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use crate::error::{panicked, render, timed_out};
use crate::input::read_body;
use crate::{ApiError, ApiResult, codes, cookie};

pub(crate) use key::IDEMPOTENCY_KEY;
pub use key::IdempotencyKey;
pub use record::IdempotencyRecord;

use record::{Answer, KEPT_FOR};
use seal::{Secret, record_id};

/// The header of an answer that was stored earlier.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The largest answer, in bytes, whose encoded form fits into one document.
const MAX_ANSWER_BYTES: usize = 240 * 1024;

/// How much longer a lease lasts than the time-out of a request.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// A request is stopped before its time-out, by the time-out divided by this. On Lambda, nothing may still run
/// when the answer is sent: the instance is frozen then, and would continue with it when it is resumed for
/// another request, maybe an hour later.
const STOPPED_BEFORE: u32 = 50;

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
    pub(crate) request_id: &'a str,
    /// The time-out of a request.
    pub(crate) timeout: Duration,
    /// When this request times out.
    pub(crate) deadline: Instant,
}

/// Runs a request that carries a key, or returns the stored answer if it ran before.
pub(crate) async fn run_once(db: &Db, scope: Scope<'_>, request: Request, next: Next) -> ApiResult<Response> {
    let Some(key) = IdempotencyKey::of(request.headers())? else { return Ok(next.run(request).await) };
    let (parts, body) = request.into_parts();
    let body = read_body(&parts, body).await?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let id = record_id(&[&scope.caller, parts.method.as_str(), scope.route, key.as_str()]);
    let cookies =
        scope.cookies.iter().map(|name| cookie(&parts.headers, name).unwrap_or_default().as_bytes());
    let headers: Vec<_> = scope.headers.iter().map(|name| values_of(&parts.headers, name)).collect();
    let headers = headers.iter().map(Vec::as_slice);
    let request: Vec<&[u8]> =
        std::iter::once(target.as_bytes()).chain(cookies).chain(headers).chain([&*body]).collect();
    let secret = Secret::of(&id, key.as_str(), &request);
    let lease = scope.timeout + LEASE_MARGIN;
    let deadline = scope.deadline - scope.timeout / STOPPED_BEFORE;
    let run = match begin(db, id, &secret, lease).await? {
        Begun::Answered(answer) => return Ok(replay(answer)),
        Begun::Running(record) => {
            Run { db: db.clone(), record, secret, request_id: scope.request_id.to_owned(), deadline }
        }
    };
    let request = Request::from_parts(parts, Body::from(body));
    let running = tokio::spawn(run.complete(request, next).in_current_span());
    running.await.map_err(ApiError::internal)
}

/// All values of a header.
fn values_of(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b'\n')
}

enum Begun {
    Running(Stored<IdempotencyRecord>),
    Answered(Answer),
}

/// Reserves the key for this request, or returns the stored answer.
///
/// # Errors
///
/// 409 while the first request runs; 422 if the key was used for another request.
async fn begin(db: &Db, id: String, secret: &Secret, lease: Duration) -> ApiResult<Begun> {
    let records = db.collection::<IdempotencyRecord>();
    let fingerprint = secret.fingerprint().map_err(ApiError::internal)?;
    let now = db.ambient().now();
    let fresh = IdempotencyRecord {
        id,
        fingerprint,
        leased_until: now + lease,
        answer: None,
        forgotten_at: now + KEPT_FOR,
    };
    // The second round is for a record that expired or was deleted between the insert and the read.
    for _ in 0..2 {
        match records.insert(&fresh).await {
            Ok(record) => return Ok(Begun::Running(record)),
            Err(fault) if fault.is_rejection_for(Cause::AlreadyExists) => {}
            Err(fault) => return Err(fault.into()),
        }
        let Some(record) = records.get(&fresh.id).await? else { continue };
        if record.fingerprint != fresh.fingerprint {
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
        return match records.replace(&record, &fresh).await {
            Ok(record) => Ok(Begun::Running(record)),
            Err(Error::Rejected(_)) => break, // another took over first
            Err(fault) => Err(fault.into()),
        };
    }
    Err(ApiError::new(codes::IDEMPOTENCY_IN_PROGRESS).retry_after(Duration::from_secs(1)))
}

fn replay(answer: Answer) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

struct Run {
    db: Db,
    record: Stored<IdempotencyRecord>,
    secret: Secret,
    request_id: String,
    deadline: Instant,
}

impl Run {
    async fn complete(self, request: Request, next: Next) -> Response {
        let running = AssertUnwindSafe(next.run(request)).catch_unwind();
        let finished = tokio::select! {
            // The deadline is checked first: `timeout_at` would poll a request that was frozen once more.
            biased;
            () = sleep_until(self.deadline) => None,
            finished = running => Some(finished),
        };
        let response = match finished {
            Some(Ok(response)) => response,
            Some(Err(_panic)) => panicked().into_response(),
            // The lease is kept: writes that are on their way to the database may still take effect.
            None => return timed_out().into_response(),
        };
        let (parts, body) = render(response, &self.request_id).into_parts();
        let body = match to_bytes(body, usize::MAX).await {
            Ok(body) => body,
            Err(fault) => return ApiError::internal(fault).into_response(),
        };
        if let Err(fault) = self.finish(parts.status, &parts.headers, &body).await {
            // The client still gets the answer. A repetition gets 409 until the lease expires, and then runs
            // again.
            tracing::warn!(cause = %fault, "the answer was not stored for its idempotency key");
        }
        Response::from_parts(parts, Body::from(body))
    }

    /// Keeps the answer, or gives the key back.
    async fn finish(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> ApiResult<()> {
        let records = self.db.collection::<IdempotencyRecord>();
        if !is_stored(status) || body.len() > MAX_ANSWER_BYTES {
            return Ok(records.delete(&self.record).await?);
        }
        let answer = Answer { status, headers: headers.clone(), body: body.clone() };
        let bytes = answer.to_bytes().map_err(ApiError::internal)?;
        let sealed =
            self.secret.seal(&self.record.id, bytes, self.db.ambient()).map_err(ApiError::internal)?;
        let answered = IdempotencyRecord { answer: Some(sealed), ..(*self.record).clone() };
        records.replace(&self.record, &answered).await?;
        Ok(())
    }
}

fn is_stored(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::LOCKED
                | StatusCode::TOO_MANY_REQUESTS
        )
}
