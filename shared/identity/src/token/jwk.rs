use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// RSA PKCS#1 v1.5 with SHA-256 (RFC 7518 §3.3).
pub(super) const RS256: &str = "RS256";
/// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
pub(super) const ES256: &str = "ES256";

/// A set of public keys (RFC 7517 §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwks {
    /// The keys; the first one signs new tokens.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4): of RSA with `n` and `e` (RFC 7518 §6.3.1), or of the curve P-256 with `crv`, `x` and `y`
/// (§6.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// The family: `RSA` or `EC`.
    #[schema(example = "RSA")]
    pub kty: String,
    /// The use: `sig`.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    pub public_key_use: String,
    /// The algorithm of every token that is signed with the key: `RS256` or `ES256`.
    #[schema(example = "RS256")]
    pub alg: String,
    /// The id, as in a token's header: the key's thumbprint (RFC 7638).
    pub kid: String,
    /// The modulus of an RSA key, big-endian, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub n: Option<String>,
    /// The exponent of an RSA key, big-endian, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "AQAB")]
    pub e: Option<String>,
    /// The curve of an EC key: `P-256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub crv: Option<String>,
    /// The first coordinate of an EC key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub x: Option<String>,
    /// The second coordinate of an EC key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub y: Option<String>,
}

impl Jwk {
    /// An RSA key. Neither number has leading zeros.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        Self { n: Some(n), e: Some(e), ..Self::new("RSA", RS256, &members) }
    }

    /// A point of P-256 by its coordinates.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Self {
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Self { crv: Some("P-256".to_owned()), x: Some(x), y: Some(y), ..Self::new("EC", ES256, &members) }
    }

    /// The id is the thumbprint of the required members (RFC 7638), so that a key has the same id everywhere without being
    /// assigned one.
    fn new(kty: &str, alg: &str, members: &str) -> Self {
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        let (kty, public_key_use, alg) = (kty.to_owned(), "sig".to_owned(), alg.to_owned());
        Self { kty, public_key_use, alg, kid, n: None, e: None, crv: None, x: None, y: None }
    }
}
