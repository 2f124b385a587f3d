//! One run of a request with a key, and what becomes of the key afterwards.

use std::panic::AssertUnwindSafe;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use switchyard_database::{Db, Stored};
use switchyard_kernel::RequestKey;
use tokio::time::{Instant, sleep_until};

use super::IdempotencyRecord;
use super::in_progress;
use super::record::Answer;
use super::seal::Secret;
use crate::error::{panicked, render, timed_out};
use crate::{ApiError, ApiResult, codes};

/// The largest answer, in bytes, whose encoded form fits into one document.
const MAX_ANSWER_BYTES: usize = 240 * 1024;

pub(super) struct Run {
    pub(super) db: Db,
    pub(super) record: Stored<IdempotencyRecord>,
    pub(super) key: RequestKey,
    pub(super) secret: Secret,
    pub(super) request_id: String,
    pub(super) deadline: Instant,
}

/// What becomes of the key once the request has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The answer is stored, and given again.
    Answered,
    /// Nothing took effect, and the answer depends on more than the request: the key may be used for any request.
    Unused,
    /// The next request with the key runs at once. If this one took effect, the next one finds the effect.
    Repeatable,
    /// Something may still take effect, unnoticed: no other request with the key runs before the lease expires.
    Leased,
}

impl Run {
    pub(super) async fn complete(self, request: Request, next: Next) -> Response {
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
            // Writes that are on their way to the database may still take effect: the lease stays.
            None => return timed_out().into_response(),
        };
        let (response, fate) = match self.judge(response).await {
            Ok(judged) => judged,
            Err(error) => (error.into_response(), Fate::Leased),
        };
        let (parts, body) = render(response, &self.request_id).into_parts();
        let body = match to_bytes(body, usize::MAX).await {
            Ok(body) => body,
            Err(fault) => return ApiError::internal(fault).into_response(),
        };
        if let Err(fault) = self.finish(fate, parts.status, &parts.headers, &body).await {
            // The client still gets the answer. A repetition gets 409 until the lease expires, and then runs
            // again.
            tracing::warn!(cause = %fault, "the answer was not stored for its idempotency key");
        }
        Response::from_parts(parts, Body::from(body))
    }

    /// Decides what becomes of the key. A refusal is replaced if it only says that the request took effect before.
    async fn judge(&self, response: Response) -> ApiResult<(Response, Fate)> {
        let status = response.status();
        if is_stored(status) {
            if status.is_success() || !self.key.is_repeated() {
                return Ok((response, Fate::Answered));
            }
            if self.key.earlier_effect().is_some() {
                return Ok((ApiError::new(codes::IDEMPOTENCY_ANSWER_LOST).into_response(), Fate::Answered));
            }
            // The earlier run may have committed while this one ran, and this one may have been refused for that.
            return Ok(match self.key.effect_now(&self.db).await? {
                Some(_) => (in_progress().into_response(), Fate::Repeatable),
                None => (response, Fate::Answered),
            });
        }
        let is_unapplied = response.extensions().get().is_some_and(ApiError::is_unapplied);
        let fate = match status {
            _ if self.key.may_have_taken_effect() => Fate::Repeatable,
            status if status.is_server_error() && !is_unapplied => Fate::Leased,
            _ if self.key.is_repeated() => Fate::Repeatable,
            _ => Fate::Unused,
        };
        Ok((response, fate))
    }

    async fn finish(
        &self,
        fate: Fate,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> ApiResult<()> {
        let records = self.db.collection::<IdempotencyRecord>();
        let changed = match fate {
            Fate::Leased => return Ok(()),
            Fate::Unused => return Ok(records.delete(&self.record).await?),
            Fate::Repeatable => {
                IdempotencyRecord { leased_until: self.db.ambient().now(), ..(*self.record).clone() }
            }
            Fate::Answered if body.len() <= MAX_ANSWER_BYTES => self.answered(status, headers, body)?,
            // The effect is not repeated, although the answer cannot be.
            Fate::Answered => {
                let lost =
                    render(ApiError::new(codes::IDEMPOTENCY_ANSWER_LOST).into_response(), &self.request_id);
                let (parts, body) = lost.into_parts();
                let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(ApiError::internal)?;
                self.answered(parts.status, &parts.headers, &body)?
            }
        };
        records.replace(&self.record, &changed).await?;
        Ok(())
    }

    fn answered(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> ApiResult<IdempotencyRecord> {
        let answer = Answer { status, headers: headers.clone(), body: body.clone() };
        let bytes = answer.to_bytes().map_err(ApiError::internal)?;
        let sealed =
            self.secret.seal(&self.record.id, bytes, self.db.ambient()).map_err(ApiError::internal)?;
        Ok(IdempotencyRecord { answer: Some(sealed), ..(*self.record).clone() })
    }
}

/// Whether an answer depends on the request alone, so that it is stored.
fn is_stored(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
                | StatusCode::LOCKED
                | StatusCode::PRECONDITION_REQUIRED
                | StatusCode::TOO_MANY_REQUESTS
        )
}
