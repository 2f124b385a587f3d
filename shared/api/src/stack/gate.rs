use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::Entry;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use switchyard_database::retry;
use switchyard_kernel::{Actor, Attack, Context, UserId};
use tokio::time::{Instant, timeout_at};

use super::Api;
use crate::ApiResult;
use crate::authentication::Authentication;
use crate::error::{panicked, render, timed_out};
use crate::idempotency::{Scope, is_keyed, run_once};
use crate::input::{require_no_parameters, require_nothing};
use crate::openapi::{Declared, DeclaredOperations};
use crate::rate_limit::{self, Limiters, Verdicts};
use crate::request::{Refusal, extension};

#[derive(Clone)]
pub(super) struct Gate {
    pub(super) api: Arc<Api>,
    pub(super) declared: Arc<DeclaredOperations>,
    pub(super) limiters: Arc<Limiters>,
}

/// The user who sent the request, for the request's log line.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentBy(pub(super) UserId);

/// The innermost layer. It turns panics and time-outs into answers.
pub(super) async fn pass_gate(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    if let Some(Refusal(error)) = request.extensions_mut().remove() {
        return error.into_response();
    }
    let context = match extension::<Arc<Context>>(request.extensions()) {
        Ok(context) => context,
        Err(error) => return error.into_response(),
    };
    let deadline = Instant::now() + gate.api.settings.request_timeout;
    let passing = retry::within(deadline, gate.pass(&context, deadline, request, next));
    let passing = AssertUnwindSafe(passing).catch_unwind();
    let response = match timeout_at(deadline, passing).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => panicked().into_response(),
        Err(_elapsed) => timed_out().into_response(),
    };
    render(response, &context.request_id)
}

/// Marks the values of these headers as ones that must not be logged.
fn hide(names: &[HeaderName], headers: &mut HeaderMap) {
    for name in names {
        if let Entry::Occupied(mut entry) = headers.entry(name) {
            entry.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

/// Requires that a request has no query parameters if its operation has none, and no body if its operation has none: what
/// a client sends must have a meaning. Parameters and fields of operations that have some are checked where they are read.
/// The body of a GET has no meaning for anyone (RFC 9110 §9.3.1), and is ignored.
async fn refuse_surplus(declared: &Declared, request: Request) -> ApiResult<Request> {
    if !declared.has_query {
        require_no_parameters(request.uri().query().unwrap_or_default())?;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || declared.has_body || request.body().is_end_stream() {
        return Ok(request);
    }
    require_nothing(request).await
}

impl Gate {
    async fn pass(&self, context: &Context, deadline: Instant, mut request: Request, next: Next) -> Response {
        let api = &*self.api;
        let caller = Authentication::of(request.headers(), &*api.authenticator, context).await;
        let user_id = caller.user().map(|user| user.user_id);
        let route = request.extensions().get::<MatchedPath>().cloned();
        let declared = self.declared(route.as_ref(), request.method());
        let counted_by = declared.map(|declared| &declared.counted_by);
        let mut verdicts = match counted_by {
            Some(by) => rate_limit::count(&api.db, &self.limiters, &caller, context.address, by).await,
            None => Verdicts::default(),
        };
        let counted = verdicts.check(api.ambient().now());
        let is_admitted = counted.is_ok();
        let sender = caller.user().map_or(Actor::Anonymous, |user| Actor::User(user.clone()));
        self.note_exceeded(&verdicts, context, &sender).await;
        let caller = match declared {
            Some(declared) if declared.before_password_change => caller,
            _ => caller.after_password_change(),
        };
        if let Some(declared) = declared {
            request.extensions_mut().insert(declared.body_limit);
            hide(&declared.headers, request.headers_mut());
        }

        // A caller who only gets a 401 learns nothing about the rest of the request.
        let admitting = declared.filter(|declared| declared.admits(&caller));
        let keyed = request.method() == Method::POST && is_keyed(&request);
        // A request that only gets a 401 or 404 must not leave a record in the store.
        let once = admitting.filter(|_| keyed);
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(Arc::clone(&self.api));
        let request = match (counted, admitting) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Some(declared)) => refuse_surplus(declared, request).await,
            (Ok(()), None) => Ok(request),
        };
        let answer: ApiResult<Response> = match (request, route, once) {
            (Err(refusal), ..) => Err(refusal),
            (Ok(request), Some(route), Some(declared)) => {
                let scope = Scope {
                    caller: user_id.map_or_else(|| "anonymous".to_owned(), |id| id.to_string()),
                    route: route.as_str(),
                    cookies: &declared.cookies,
                    headers: &declared.headers,
                    context,
                    timeout: api.settings.request_timeout,
                    deadline,
                };
                run_once(&api.db, &*api.authenticator, scope, request, next).await
            }
            (Ok(request), ..) => Ok(next.run(request).await),
        };
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        if let Some(by) = counted_by.filter(|_| is_admitted && response.status().is_client_error()) {
            rate_limit::count_failure(&api.db, &self.limiters, context.address, by, &mut verdicts).await;
            if let Err(refusal) = verdicts.check(api.ambient().now()) {
                self.note_exceeded(&verdicts, context, &sender).await;
                response = refusal.into_response();
            }
        }
        verdicts.add_headers(response.headers_mut(), api.ambient().now());
        if let Some(user_id) = user_id {
            response.extensions_mut().insert(SentBy(user_id));
        }
        response
    }

    /// Takes note of a request beyond a rate limit.
    async fn note_exceeded(&self, verdicts: &Verdicts, context: &Context, sender: &Actor) {
        if let Some(policy) = verdicts.exceeded() {
            let attack = Attack::RateLimited { policy: policy.to_owned() };
            self.api.authenticator.note(&context.clone().by(sender.clone()), &attack).await;
        }
    }

    /// What the operation declares; `None` if there is no such operation.
    fn declared(&self, route: Option<&MatchedPath>, method: &Method) -> Option<&Declared> {
        let methods = self.declared.get(route?.as_str())?;
        // The router answers HEAD with the handler of GET.
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        methods.get(method)
    }
}
