use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use switchyard_api::{Anyone, ApiResult, Json, codes, operation_errors};
use switchyard_identity::{Discovery, Identity};

use crate::jwks::PUBLIC_FOR_FIVE_MINUTES;

operation_errors!(DiscoveryErrors: codes::NOT_FOUND);

/// Gets how to check access tokens.
///
/// Gateways and libraries for OpenID Connect find the issuer and the public keys with it. It is there if the API knows its own
/// URL: from `PUBLIC_URL`, or from a `TOKEN_ISSUER` that is a URL.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "auth",
    responses((status = 200, description = "Issuer, keys and algorithms.", body = Discovery), DiscoveryErrors))]
pub(crate) async fn get_openid_configuration(
    Anyone(context): Anyone,
    State(identity): State<Identity>,
) -> ApiResult<impl IntoResponse> {
    let discovery = identity.discovery(context.now).await.ok_or(codes::NOT_FOUND)?;
    Ok(([(header::CACHE_CONTROL, PUBLIC_FOR_FIVE_MINUTES)], Json(discovery)))
}
