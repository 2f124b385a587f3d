use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use switchyard_api::{Anyone, Json};
use switchyard_identity::{Identity, Jwks};

/// A new key must be published at least this long before it signs, so that no cache lacks it: see
/// [`SigningKeys`](switchyard_identity::SigningKeys).
pub(crate) const PUBLIC_FOR_FIVE_MINUTES: &str = "public, max-age=300";

/// Gets the public keys of access tokens.
///
/// Use them to verify a token: `kid` in its header names the key. Keys change, so fetch them again if a token
/// names a key that you do not have.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth",
    responses((status = 200, description = "The keys.", body = Jwks)))]
pub(crate) async fn get_jwks(Anyone(context): Anyone, State(identity): State<Identity>) -> impl IntoResponse {
    let keys = identity.latest_jwks(context.now).await;
    ([(header::CACHE_CONTROL, PUBLIC_FOR_FIVE_MINUTES)], Json(keys))
}
