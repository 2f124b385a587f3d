//! Routes under `/auth`: log in, refresh, log out. Also the public keys of access tokens, and how others check these.
//!
//! No route takes a new password, so the function is without the code that judges passwords, a fifth of its size.

mod discovery;
mod jwks;
mod login;
#[cfg(feature = "testing")]
pub mod samples;
mod session;

use switchyard_api::{before_password_change, limited_body, limited_by_address, limited_by_failures};
use switchyard_identity::Identity;
use switchyard_runtime::Access::{Delete, Insert, List, Read, Replace};
use switchyard_runtime::Function;
use switchyard_sign_in::MAX_BODY_BYTES;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the function declares.
pub const FUNCTION: Function = Function::new("auth", "Log in, refresh, log out")
    .routes(&["/api/v1/auth/{proxy+}", "/.well-known/jwks.json", "/.well-known/openid-configuration"])
    .uses(&[
        ("users", &[Read, Replace]),
        ("credentials", &[Read, Replace]),
        ("sessions", &[Read, List("by_user"), Insert, Replace, Delete]),
        ("sign_in_attempts", &[Read, Insert, Replace, Delete]),
        ("token_keys", &[Read, Insert, Replace]),
    ])
    .secrets(&["JWT_PRIVATE_KEY", "PASSWORD_PEPPER", "SIGN_IN_KEY", "AUDIT_KEY"])
    .memory(1_769); // a whole processor, to hash passwords: with 256 MB a log-in takes 1.6 s

/// The routes.
pub fn router(identity: Identity) -> OpenApiRouter {
    let small = |routes| limited_body(MAX_BODY_BYTES, routes);
    let auth = OpenApiRouter::new()
        .routes(small(limited_by_address(routes!(login::login))))
        .routes(small(limited_by_failures(routes!(session::refresh))))
        .routes(before_password_change(routes!(session::logout)))
        .routes(before_password_change(routes!(session::logout_all)));
    OpenApiRouter::new()
        .nest("/api/v1/auth", auth)
        .routes(routes!(jwks::get_jwks))
        .routes(routes!(discovery::get_openid_configuration))
        .with_state(identity)
}
