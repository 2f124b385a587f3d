//! Routes under `/auth` for the caller's own account: register, read and change it, change its password.
//!
//! They take new passwords, so the function has the code that judges these. It also creates the first admin.

mod me;
mod password;
mod register;
#[cfg(feature = "testing")]
pub mod samples;

use switchyard_api::{before_password_change, limited_body, limited_by_address};
use switchyard_identity::Identity;
use switchyard_runtime::Access::{Delete, Insert, Read, Replace};
use switchyard_runtime::Function;
use switchyard_sign_in::MAX_BODY_BYTES;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the function declares.
pub const FUNCTION: Function =
    Function::new("accounts", "Register, the caller's account, change the password")
        .routes(&["/api/v1/auth/register", "/api/v1/auth/me", "/api/v1/auth/password-change"])
        .uses(&[
            ("users", &[Read, Insert, Replace]),
            ("credentials", &[Read, Insert, Replace]),
            ("sessions", &[Read, Insert, Delete]),
            ("sign_in_attempts", &[Read, Insert, Replace, Delete]),
            ("user_counts", &[Read, Insert, Replace]),
            ("token_keys", &[Read, Insert, Replace]),
        ])
        .secrets(&["JWT_PRIVATE_KEY", "PASSWORD_PEPPER", "SIGN_IN_KEY", "AUDIT_KEY"])
        .memory(1_769); // a whole processor, to hash passwords: with 256 MB a hash takes 1.6 s

/// The routes.
pub fn router(identity: Identity) -> OpenApiRouter {
    let small = |routes| limited_body(MAX_BODY_BYTES, routes);
    let accounts = OpenApiRouter::new()
        .routes(small(limited_by_address(routes!(register::register))))
        .routes(small(routes!(me::get_me, me::update_me)))
        .routes(before_password_change(small(limited_by_address(routes!(password::change_password)))));
    OpenApiRouter::new().nest("/api/v1/auth", accounts).with_state(identity)
}
