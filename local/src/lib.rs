//! The whole API in one process. The server of `cargo run` serves it, the tests call it, and the OpenAPI
//! document describes it.

use futures::future::LocalBoxFuture;
use switchyard_database::Db;
use switchyard_identity::Identity;
use switchyard_program::Task;
use switchyard_runtime::{Function, Metrics};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// What the OpenAPI document says about the whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Switchyard",
        description = "Accounts, roles and an audit log. Requests and answers are JSON. All errors have the same \
                       form. Lists are returned in pages, with cursors. `If-Match` makes a change conditional on the \
                       version that you read, and an `Idempotency-Key` makes a POST safe to repeat."
    ),
    tags(
        (name = "auth", description = "Registration, sessions, and the caller's own account."),
        (name = "users", description = "Users and their profiles."),
        (name = "roles", description = "Roles, their permissions, and the roles of users."),
        (name = "audit", description = "The audit log."),
        (name = "jobs", description = "Work that is done later, and its administration."),
        (name = "system", description = "Health, metrics, this document."),
    )
)]
struct Document;

/// Creates the router of a function. One without users needs no identity.
pub type CreateRouter = fn(&Db, &Metrics, &Identity) -> OpenApiRouter;

/// The functions that answer requests, each with its router. A new function adds one line. The API, the deployment template and the tests follow
/// from this list.
pub const FUNCTIONS: &[(Function, CreateRouter)] = &[
    (switchyard_fn_auth::FUNCTION, |_, _, identity| switchyard_fn_auth::router(identity.clone())),
    (switchyard_fn_accounts::FUNCTION, |_, _, identity| switchyard_fn_accounts::router(identity.clone())),
    (switchyard_fn_users::FUNCTION, |_, _, identity| switchyard_fn_users::router(identity.clone())),
    (switchyard_fn_admin::FUNCTION, |_, _, identity| {
        switchyard_fn_admin::router(switchyard_program::jobs(identity))
    }),
    (switchyard_fn_system::FUNCTION, |db, metrics, _| {
        switchyard_fn_system::router(db.clone(), metrics.clone())
    }),
];

/// Runs a function until Lambda ends its process.
pub type ServeSchedules = fn(Task) -> LocalBoxFuture<'static, anyhow::Result<()>>;

/// The functions that are run by schedules, and not by requests.
pub const SCHEDULED: &[(Function, ServeSchedules)] = &[
    (switchyard_fn_audit::FUNCTION, |task| Box::pin(switchyard_fn_audit::serve(task))),
    (switchyard_fn_worker::FUNCTION, |task| Box::pin(switchyard_fn_worker::serve(task))),
];

/// Every function: those that answer requests, then those that are run by schedules.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    let served = FUNCTIONS.iter().map(|(function, _)| function);
    served.chain(SCHEDULED.iter().map(|(function, _)| function))
}

/// The settings that have no effect in a function on Lambda, each with the reason. The template has a parameter or a variable
/// for every other one; a test compares.
pub const NOT_ON_LAMBDA: &[(&str, &str)] = &[
    ("DATABASE_START_TIMEOUT", "a function answers for itself if the database does not answer yet"),
    ("HOST", "a function does not listen"),
    ("PORT", "a function does not listen"),
    ("CLIENT_TIMEOUT", "API Gateway serves the connections of clients"),
    ("KEEP_ALIVE_TIMEOUT", "API Gateway serves the connections of clients"),
    ("MAX_CONNECTIONS", "API Gateway serves the connections of clients"),
    ("SHUTDOWN_DELAY", "Lambda ends a function between two requests"),
    ("SHUTDOWN_TIMEOUT", "Lambda ends a function between two requests"),
    ("AUDIT_ANCHOR_FILE", "a function has no file that remains"),
    ("AUDIT_ANCHOR_EVERY", "the template has a schedule for the function `audit`"),
    ("WORKER", "Lambda runs a function for each event"),
    ("JOBS_CONCURRENCY", "a function has its own bounds"),
    ("JOBS_POLL", "Lambda runs a function for each event"),
    ("JOBS_BATCH", "a function writes single documents on DynamoDB"),
    ("JOBS_KEEP", "a function keeps jobs for a week"),
    ("ADMIN_EMAIL", "`switchyard migrate` creates the first admin"),
    ("ADMIN_PASSWORD", "`switchyard migrate` creates the first admin"),
];

/// Every route of the API.
pub fn router(db: &Db, metrics: &Metrics, identity: &Identity) -> OpenApiRouter {
    let empty = OpenApiRouter::with_openapi(Document::openapi());
    FUNCTIONS.iter().fold(empty, |router, (_, create)| router.merge(create(db, metrics, identity)))
}
