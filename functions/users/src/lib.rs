//! Routes under `/users`, `/roles`, `/permissions` and `/audit-logs`: users and their profiles, roles and their
//! permissions, and the audit log.

mod audit;
mod filter;
mod profile;
mod roles;
#[cfg(feature = "testing")]
pub mod samples;
mod status;
mod user_roles;
mod users;

use switchyard_identity::Identity;
use switchyard_runtime::Access::{Delete, Increment, Insert, List, Read, Replace, Scan, Search};
use switchyard_runtime::Function;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the function declares.
pub const FUNCTION: Function = Function::new("users", "Users, roles and the audit log")
    .routes(&[
        "/api/v1/users",
        "/api/v1/users/{proxy+}",
        "/api/v1/roles",
        "/api/v1/roles/{proxy+}",
        "/api/v1/permissions",
        "/api/v1/audit-logs",
        "/api/v1/audit-logs/{proxy+}",
    ])
    .uses(&[
        ("users", &[Read, List("by_creation"), List("by_mark"), Search, Insert, Replace]),
        ("profiles", &[Read, Insert, Replace]),
        ("roles", &[Read, List("by_name"), Insert, Replace, Delete, Increment]),
        ("role_memberships", &[Read, List("by_role"), Insert, Delete]),
        ("sign_in_attempts", &[Read, List("by_mark"), List("by_lock"), Replace, Delete]),
        ("user_counts", &[Read, Insert, Replace]),
        ("audit_entries", &[Read, List("by_time"), List("by_subject"), List("by_actor"), Scan]),
    ])
    .secrets(&["AUDIT_KEY"]);

/// The routes.
pub fn router(identity: Identity) -> OpenApiRouter {
    let routes = OpenApiRouter::new()
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::get_user_stats))
        .routes(routes!(users::get_user, users::replace_user, users::update_user, users::delete_user))
        .routes(routes!(status::restore_user))
        .routes(routes!(status::disable_user))
        .routes(routes!(status::enable_user))
        .routes(routes!(status::unlock_user))
        .routes(routes!(profile::get_profile, profile::replace_profile, profile::update_profile))
        .routes(routes!(user_roles::get_user_roles, user_roles::replace_user_roles))
        .routes(routes!(audit::list_audit_log_of_user))
        .routes(routes!(audit::list_audit_logs))
        .routes(routes!(audit::verify_audit_logs))
        .routes(routes!(roles::list_roles, roles::create_role))
        .routes(routes!(roles::get_role, roles::update_role, roles::delete_role))
        .routes(routes!(roles::list_permissions));
    OpenApiRouter::new().nest("/api/v1", routes).with_state(identity)
}
