use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::Jwks;

/// How to check access tokens: the metadata of OpenID Connect Discovery 1.0 §3 and RFC 8414 §2.
///
/// Users sign in at `/api/v1/auth/login`, and not through an authorization endpoint. So there is none, nor an ID token: what is
/// said of ID tokens is true of access tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Discovery {
    /// The issuer: `iss` of the tokens.
    #[schema(example = "https://api.example.com")]
    pub issuer: String,
    /// Where the public keys are.
    #[schema(example = "https://api.example.com/.well-known/jwks.json")]
    pub jwks_uri: String,
    /// What an authorization endpoint would answer with: nothing.
    #[schema(example = json!(["none"]))]
    pub response_types_supported: [&'static str; 1],
    /// Every client sees the same `sub`.
    #[schema(example = json!(["public"]))]
    pub subject_types_supported: [&'static str; 1],
    /// The algorithms of the keys.
    #[schema(example = json!(["RS256"]))]
    pub id_token_signing_alg_values_supported: BTreeSet<String>,
    /// The claims of the tokens.
    #[schema(example = json!(["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "auth_time", "sid", "session_epoch", "roles"]))]
    pub claims_supported: &'static [&'static str],
}

impl Discovery {
    pub(crate) fn new(issuer: &str, jwks_uri: String, keys: &Jwks) -> Self {
        Self {
            issuer: issuer.to_owned(),
            jwks_uri,
            response_types_supported: ["none"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: keys.keys.iter().map(|key| key.alg.clone()).collect(),
            claims_supported: &[
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "jti",
                "client_id",
                "auth_time",
                "sid",
                "session_epoch",
                "roles",
            ],
        }
    }
}
