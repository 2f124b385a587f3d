//! Requests without a sign-in: health, documents, unknown paths, other origins.

use axum::http::{HeaderName, Method, header};

use super::{address_of, sign_in_admin};
use crate::everywhere::Everywhere;
use crate::place::ORIGIN;

pub(super) async fn replay(api: &Everywhere) {
    for path in [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs/",
        "/docs/swagger-ui.css",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ] {
        api.ask(200, api.call(Method::GET, path)).await;
        api.ask(200, api.call(Method::HEAD, path)).await;
        api.ask(200, api.call(Method::GET, path).header(header::ACCEPT_ENCODING, "gzip, br")).await;
        api.ask(405, api.call(Method::DELETE, path)).await;
    }
    api.ask(200, api.call(Method::GET, "/")).await;
    api.ask(307, api.call(Method::GET, "/").header(header::ACCEPT, "text/html")).await;
    api.ask(308, api.call(Method::GET, "/docs")).await;
    unknown_addresses(api).await;
    request_ids(api).await;
    other_origins(api).await;
}

async fn unknown_addresses(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(1)).await;
    let paths = [
        "//",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/users",
        "/api/v1/auth",
        "/api/v1/auth/",
        "/api/v1/auth/nothing",
        "/api/v1/auth/login/",
        "/api/v1/users/",
        "/api/v1//users",
        "/api/v1/users/a/b/c",
        "/api/v1/roles/",
        "/api/v1/permissions/x",
        "/api/v1/audit-logs/x",
        "/.well-known/nothing",
        "/.well-known/jwks.json/",
        "/docs/nothing.js",
        "/favicon.ico",
        "/%C3%A4%20%3F%23",
        "/api/v1/auth/m%2565",
        "/healthz%2f",
    ];
    for path in paths {
        let status = 404;
        api.ask(status, api.call(Method::GET, path)).await;
        // The same with a token, which makes no difference.
        api.ask(status, api.call(Method::GET, path).by(&admin)).await;
    }
    // Equivalent paths (RFC 3986 §6.2.2).
    for path in ["/api/v1/auth/m%65", "/%61pi/v1/%61uth/%6D%65", "/api/v1%2fauth/me", "/api/v1/roles/%61dmin"]
    {
        api.ask(401, api.call(Method::GET, path)).await;
        api.ask(200, api.call(Method::GET, path).by(&admin)).await;
    }
    api.ask(200, api.call(Method::GET, "/%68ealthz")).await;
    api.ask(400, api.call(Method::GET, "/healthz?x=1&x=%")).await;
    for path in ["/api/v1/roles/a%2Fb", "/api/v1/users/a%2fb"] {
        api.ask(404, api.call(Method::GET, path).by(&admin)).await;
    }
    for path in ["/api/v1/users", "/api/v1/auth/me", "/api/v1/roles/admin", "/nothing", "/readyz"] {
        for method in ["PURGE", "TRACE", "PUT", "POST"] {
            let method: Method = method.parse().unwrap();
            let status = match (path, method.as_str()) {
                ("/nothing", _) => 404,
                ("/api/v1/users", "POST") => 400,
                _ => 405,
            };
            api.ask(status, api.call(method, path).by(&admin)).await;
        }
    }
}

async fn request_ids(api: &Everywhere) {
    let long = "x".repeat(129);
    for id in ["abc-1", "", "with space", "\"quoted\"", &long, &long[1..]] {
        api.ask(404, api.get("/nothing").header(HeaderName::from_static("x-request-id"), id)).await;
    }
}

async fn other_origins(api: &Everywhere) {
    let method = HeaderName::from_static("access-control-request-method");
    let headers = HeaderName::from_static("access-control-request-headers");
    for origin in [ORIGIN, "https://evil.example"] {
        for path in ["/api/v1/users", "/api/v1/auth/login", "/nothing"] {
            let preflight = api.call(Method::OPTIONS, path).header(header::ORIGIN, origin);
            let preflight =
                preflight.header(method.clone(), "PATCH").header(headers.clone(), "if-match, x-other");
            api.ask(200, preflight).await;
        }
        api.ask(200, api.call(Method::GET, "/healthz").header(header::ORIGIN, origin)).await;
        api.ask(401, api.get("/users").header(header::ORIGIN, origin)).await;
    }
    api.ask(200, api.call(Method::OPTIONS, "/api/v1/users")).await;
}
