//! Runs a router as a Lambda function behind an API Gateway HTTP API.

mod event;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext, ApiGatewayV2httpResponse,
};
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use switchyard_api::Invocation;
use switchyard_settings::Environment;
use tower::service_fn;

use crate::BasePath;

/// Whether the environment is that of a Lambda function.
pub(crate) fn is_here(environment: &Environment) -> bool {
    environment.text("AWS_LAMBDA_RUNTIME_API").is_some()
}

/// Answers invocations, several at once if Lambda sends them.
///
/// Every request is answered: an `Err` would count as a failure of the function, and the gateway would send its
/// own error. An event of another kind fails in the Lambda runtime, which logs it.
pub(crate) async fn serve(router: Router, base_path: BasePath) -> Result<(), lambda_runtime::Error> {
    let is_warm = Arc::new(AtomicBool::new(false));
    let service = service_fn(move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        let (router, base_path) = (router.clone(), base_path.clone());
        let invocation = Invocation {
            xray_trace: event.context.xray_trace_id,
            is_cold_start: !is_warm.swap(true, Ordering::Relaxed),
        };
        async move { Ok::<_, lambda_runtime::Error>(answer(router, &base_path, event.payload, invocation).await) }
    });
    lambda_runtime::run_concurrent(service).await
}

/// Runs `run` for each event of a schedule, with the name in its field `run`.
///
/// A failure is one of the invocation: Lambda runs it again, twice at most, and counts it among the function's errors.
pub(crate) async fn serve_schedules<F, R>(run: F) -> Result<(), lambda_runtime::Error>
where
    F: Fn(String) -> R,
    R: Future<Output = Result<(), lambda_runtime::Error>>,
{
    let run = &run;
    let service = service_fn(move |event: LambdaEvent<Value>| async move {
        let name = event.payload["run"].as_str().unwrap_or_default().to_owned();
        let outcome = run(name.clone()).await;
        if let Err(fault) = &outcome {
            tracing::error!(cause = %fault, run = name, "what a schedule asks for has failed");
        }
        outcome
    });
    lambda_runtime::run(service).await
}

async fn answer(
    router: Router,
    base_path: &BasePath,
    event: ApiGatewayV2httpRequest,
    invocation: Invocation,
) -> ApiGatewayV2httpResponse {
    let base_path = base_path_of(&event.request_context, base_path);
    match event::to_request(event) {
        Ok(mut request) => {
            request.extensions_mut().insert(invocation);
            event::from_response(base_path.call(router, request).await).await
        }
        Err(fault) => {
            tracing::error!(cause = %fault, "the event is not an HTTP request");
            event::refusal()
        }
    }
}

/// The base path of an event's paths: that of the settings, or the path of a named stage. The domain of the gateway itself
/// has the stage in its paths, and a custom domain has not.
fn base_path_of(context: &ApiGatewayV2httpRequestContext, of_settings: &BasePath) -> BasePath {
    let domain = context.domain_name.as_deref().unwrap_or_default();
    match &context.stage {
        Some(stage) if stage != "$default" && domain.contains(".execute-api.") => BasePath::of_stage(stage),
        _ => of_settings.clone(),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "these tests are about the router below the API's conventions")]
mod tests {
    use axum::extract::{Path, RawQuery};
    use axum::http::{HeaderMap, header};
    use axum::routing::{get, post};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use lambda_http::aws_lambda_events::encodings::Body;
    use serde_json::json;

    use super::*;

    fn router() -> Router {
        Router::new()
            .route(
                "/items/{name}",
                get(|Path(name): Path<String>, RawQuery(query): RawQuery| async move {
                    format!("{name} {query:?}")
                }),
            )
            .route(
                "/echo",
                post(|headers: HeaderMap, body: axum::body::Bytes| async move {
                    ([(header::CONTENT_TYPE, headers[header::CONTENT_TYPE].clone())], body)
                }),
            )
            .route(
                "/cookies",
                get(|headers: HeaderMap| async move {
                    let cookies = [(header::SET_COOKIE, "a=1"), (header::SET_COOKIE, "b=2")];
                    (
                        axum::response::AppendHeaders(cookies),
                        headers[header::COOKIE].to_str().unwrap().to_owned(),
                    )
                }),
            )
    }

    async fn ask(method: &str, path: &str, query: &str, rest: Value) -> ApiGatewayV2httpResponse {
        let mut event = json!({
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": { "host": "api.example.com", "content-type": "text/plain" },
            "requestContext": { "stage": "$default", "http": { "method": method, "path": path, "sourceIp": "203.0.113.9" } },
            "isBase64Encoded": false,
        });
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let base_path = "/shop".parse().unwrap();
        answer(router(), &base_path, serde_json::from_value(event).unwrap(), Invocation::default()).await
    }

    fn text(response: &ApiGatewayV2httpResponse) -> &str {
        match &response.body {
            Some(Body::Text(text)) if !response.is_base64_encoded => text,
            other => panic!("not text: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_decoded_path_is_read_as_the_client_wrote_it() {
        // The client wrote /items/a%3Fb%20c%23%C3%A4?x=1%202. The gateway decodes the path, not the query.
        let response = ask("GET", "/items/a?b c#ä", "x=1%202", json!({})).await;
        assert_eq!(text(&response), r#"a?b c#ä Some("x=1%202")"#);
    }

    #[tokio::test]
    async fn a_percent_sign_in_a_decoded_path_is_one() {
        // The client wrote /items/m%2565, which is not /items/me.
        let response = ask("GET", "/items/m%65", "", json!({})).await;
        assert_eq!(text(&response), "m%65 None");
    }

    fn context(stage: &str, domain: &str) -> Value {
        let http = json!({ "method": "GET", "sourceIp": "203.0.113.9" });
        json!({ "requestContext": { "stage": stage, "domainName": domain, "http": http } })
    }

    #[tokio::test]
    async fn a_function_url_leaves_paths_encoded() {
        let url = context("$default", "abc.lambda-url.eu-west-1.on.aws");
        let response = ask("GET", "/items/%61%20b%", "", url).await;
        assert_eq!(text(&response), "a b% None");
    }

    #[tokio::test]
    async fn a_named_stage_and_a_mapping_key_are_not_part_of_the_path() {
        let (gateway, custom) = ("abc.execute-api.eu-west-1.amazonaws.com", "api.example.com");
        for (stage, domain, path, status) in [
            ("$default", gateway, "/items/a", 200),
            ("prod", gateway, "/prod/items/a", 200),
            ("prod", custom, "/items/a", 200),
            ("prod", custom, "/prod/items/a", 404),
            ("prod", custom, "/shop/items/a", 200),
            // The stage has the name of the first segment, and is not in the path.
            ("items", custom, "/items/a", 200),
        ] {
            let response = ask("GET", path, "", context(stage, domain)).await;
            assert_eq!(response.status_code, status, "{stage} {domain} {path}");
        }
    }

    #[tokio::test]
    async fn a_binary_body_is_encoded_in_base64_both_ways() {
        let bytes = [0xff, 0, 1];
        let body = json!({
            "body": STANDARD.encode(bytes),
            "isBase64Encoded": true,
            "headers": { "content-type": "application/octet-stream" },
        });
        let response = ask("POST", "/echo", "", body).await;
        assert!(response.is_base64_encoded);
        assert_eq!(response.body, Some(Body::Binary(bytes.to_vec())));
    }

    #[tokio::test]
    async fn cookies_have_their_own_field_in_events() {
        let response = ask("GET", "/cookies", "", json!({ "cookies": ["x=1", "y=2"] })).await;
        assert_eq!(text(&response), "x=1; y=2");
        assert_eq!(response.cookies, ["a=1", "b=2"]);
        assert!(!response.headers.contains_key(header::SET_COOKIE));
    }

    #[tokio::test]
    async fn an_event_that_is_not_a_request_is_answered_too() {
        let response = ask("GET", "//", "a b", json!({})).await;
        assert_eq!(response.status_code, 404);
        let response = ask("GET", "no path", "\u{0}", json!({})).await;
        assert_eq!(response.status_code, 404);
        let body = json!({ "body": "no base64!", "isBase64Encoded": true });
        assert_eq!(ask("POST", "/echo", "", body).await.status_code, 400);
    }
}
