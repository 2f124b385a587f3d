use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::json;
use switchyard_api::{ApiError, ApiResult, Json, OrNotFound as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::Config;

/// The OpenAPI document of the whole API. It is generated from the routers of all functions, and a test checks
/// that it is current.
pub const OPENAPI_JSON: &str = include_str!("../openapi.json");

/// Allows only the page's own scripts and styles, so that it works without internet. Swagger UI sets styles on
/// its elements and loads its icons from `data:` addresses.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Any cache may store the answer for an hour.
const PUBLIC_FOR_AN_HOUR: &str = "public, max-age=3600";

/// Gets the OpenAPI 3.1 document of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "system",
    responses((status = 200, body = serde_json::Value, example = json!({"openapi": "3.1.0", "paths": {}}))))]
pub(crate) async fn get_openapi() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, PUBLIC_FOR_AN_HOUR)];
    (headers, OPENAPI_JSON)
}

/// The start page, and the page that shows the document. They are for people, so the document itself does not list them.
#[expect(
    clippy::disallowed_types,
    reason = "the parameter is the name of a file, and the page is no operation of the API"
)]
pub(crate) fn pages<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    let pages = Router::new()
        .route("/", get(get_start))
        // All addresses are relative: a proxy or a custom domain may serve the API below a path.
        .route("/docs", get(|| async { Redirect::permanent("docs/") }))
        .route("/docs/", get(|| async { answer_file("index.html") }))
        .route(
            "/docs/{*file}",
            get(|axum::extract::Path(file): axum::extract::Path<String>| async move { answer_file(&file) }),
        );
    OpenApiRouter::from(pages)
}

/// Sends a browser to the page, and tells everyone else where to find the document.
async fn get_start(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    let mut answer = if accepts.contains("text/html") {
        Redirect::temporary("docs/").into_response()
    } else {
        Json(json!({ "name": "Switchyard", "docs": "docs/", "openapi": "openapi.json" })).into_response()
    };
    answer.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    answer
}

fn answer_file(path: &str) -> ApiResult<Response> {
    // The page's own initializer says how to start, so the configuration has no effect.
    let file = utoipa_swagger_ui::serve(path, Arc::new(Config::from("")))
        .map_err(|fault| ApiError::internal(fault.to_string()))?
        .or_not_found()?;
    let headers = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CACHE_CONTROL, PUBLIC_FOR_AN_HOUR.to_owned()),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned()),
    ];
    Ok((headers, file.bytes.into_owned()).into_response())
}
