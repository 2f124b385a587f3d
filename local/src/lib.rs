//! The whole API in one process: what the server of `cargo run` serves, tests ask and the OpenAPI document describes.

use switchyard_database::Db;
use switchyard_identity::Identity;
use switchyard_runtime::{Function, Metrics};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// What the OpenAPI document says of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Switchyard",
        description = "Accounts, their roles, and the record of who did what. JSON in, JSON out; errors always have the \
                       same shape, lists are paged by cursors, changes can be made conditional by `If-Match`, and a \
                       POST with an `Idempotency-Key` can be repeated."
    ),
    tags(
        (name = "auth", description = "Registering, signing in, staying signed in, one's own account."),
        (name = "users", description = "Users and their profiles."),
        (name = "roles", description = "Roles, what they permit, and who has them."),
        (name = "audit", description = "Who did what."),
        (name = "system", description = "Health, metrics, this document."),
    )
)]
struct Document;

/// Creates the router of a function. One without users needs no identity.
pub type CreateRouter = fn(&Db, &Metrics, &Identity) -> OpenApiRouter;

/// The functions, each with its router. A new function adds one line. The API, the deployment template and the tests follow
/// from this list.
pub const FUNCTIONS: &[(Function, CreateRouter)] = &[
    (switchyard_fn_auth::FUNCTION, |_, _, identity| switchyard_fn_auth::router(identity.clone())),
    (switchyard_fn_users::FUNCTION, |_, _, identity| switchyard_fn_users::router(identity.clone())),
    (switchyard_fn_system::FUNCTION, |db, metrics, _| {
        switchyard_fn_system::router(db.clone(), metrics.clone())
    }),
];

/// Every route of the API.
pub fn router(db: &Db, metrics: &Metrics, identity: &Identity) -> OpenApiRouter {
    let empty = OpenApiRouter::with_openapi(Document::openapi());
    FUNCTIONS.iter().fold(empty, |router, (_, create)| router.merge(create(db, metrics, identity)))
}
