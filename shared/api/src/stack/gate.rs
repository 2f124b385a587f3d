use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::Api;
use crate::caller::Authentication;
use crate::context::{RequestContext, extension};
use crate::error::render;
use crate::idempotency::{Scope, is_keyed, run_once};
use crate::precondition::Known;
use crate::{ApiError, ApiResult, ErrorCode, rate_limit};

#[derive(Clone)]
pub(super) struct Gate {
    pub(super) api: Arc<Api>,
    /// Method and pattern of the operations whose callers are counted by address.
    pub(super) limited: Arc<HashSet<(String, String)>>,
}

/// The innermost layer: whatever happens in here becomes an answer.
pub(super) async fn pass_gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let id = match extension::<RequestContext>(request.extensions()) {
        Ok(context) => context.request_id,
        Err(error) => return error.into_response(),
    };
    let known = Known::of(request.method(), request.headers());
    let passing = AssertUnwindSafe(gate.pass(request, next)).catch_unwind();
    let response = match tokio::time::timeout(gate.api.settings.request_timeout, passing).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => answer_panic().into_response(),
        Err(_elapsed) => answer_timeout().into_response(),
    };
    known.spare(render(response, id.as_str()))
}

impl Gate {
    async fn pass(&self, mut request: Request, next: Next) -> Response {
        let api = &*self.api;
        let caller = Authentication::of(request.headers(), &*api.authenticator).await;
        if let Some(caller) = caller.caller() {
            tracing::Span::current().record("user_id", tracing::field::display(caller.user_id));
        }
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let by_address = route
            .as_ref()
            .is_some_and(|route| self.limited.contains(&(request.method().to_string(), route.clone())));
        let context = extension::<RequestContext>(request.extensions());
        let address = context.as_ref().ok().and_then(|context| context.client_address);
        let (verdicts, counted) = rate_limit::count(api, &caller, address, by_address).await;

        let keyed = request.method() == Method::POST && is_keyed(&request) && !caller.is_refused();
        let scope =
            caller.caller().map_or_else(|| "anonymous".to_owned(), |caller| caller.user_id.to_string());
        request.extensions_mut().insert(caller);
        let answer: ApiResult<Response> = match (counted, context, route) {
            (Err(refusal), ..) | (_, Err(refusal), _) => Err(refusal),
            (Ok(()), Ok(context), Some(route)) if keyed => {
                let timeout = api.settings.request_timeout;
                let scope = Scope { caller: scope, route: &route, request_id: &context.request_id, timeout };
                run_once(&api.db, scope, request, next).await
            }
            _ => Ok(next.run(request).await),
        };
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        rate_limit::tell(&verdicts, response.headers_mut());
        response
    }
}

/// The 500 of a handler that panicked. What it said and where, the program's panic hook has logged, inside the
/// request's span.
pub(crate) fn answer_panic() -> ApiError {
    ErrorCode::InternalError.into()
}

fn answer_timeout() -> ApiError {
    ApiError::new(ErrorCode::Unavailable)
        .message("The request took too long; it is not known whether it took effect.")
        .retry_after(Duration::from_secs(1))
}
