use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use switchyard_api::Json;
use switchyard_identity::{Identity, Jwks};

/// Whoever changes the key publishes the new one this long before it signs, or else caches would not know it: see
/// [`SigningKeys`](switchyard_identity::SigningKeys).
const PUBLIC_FOR_FIVE_MINUTES: &str = "public, max-age=300";

/// Tells the public keys of access tokens.
///
/// With them anybody can verify a token: `kid` in its header names the key. Keys change; fetch them again when a token
/// names one that you do not have.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth",
    responses((status = 200, description = "The keys.", body = Jwks)))]
pub(crate) async fn get_jwks(State(identity): State<Identity>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, PUBLIC_FOR_FIVE_MINUTES)], Json(identity.jwks()))
}
