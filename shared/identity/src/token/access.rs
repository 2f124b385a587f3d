use std::time::Duration;
use switchyard_kernel::{RoleName, SessionId, UserId};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use switchyard_ambient::{Timestamp, Uuid};

use switchyard_database::{Db, Error as DatabaseError};
use switchyard_kernel::AuthenticationError;

use super::jwk::{ES256, RS256};
use super::{SigningKeys, TokenKeys};

/// The type of an access token (RFC 9068 §2.1). It ensures that another kind of token signed with these keys is
/// not accepted as an access token.
const TYPE: &str = "at+jwt";
/// Our tokens have about a thousand bytes. Much longer ones are refused without decoding them.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessClaims {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) session_epoch: i64,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) auth_time: Timestamp,
    pub(crate) password_change_required: bool,
}

/// Issues and checks access tokens: JWTs (RFC 7519) in the profile of RFC 9068.
///
/// They contain the names of the roles and not the permissions. The permissions are looked up when a token is
/// used, so that a change of a role takes effect within a minute and tokens stay small.
#[derive(Debug)]
pub(crate) struct TokenIssuer {
    pub(crate) keys: TokenKeys,
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
    /// Extensions that a recipient must understand (RFC 7515 §4.1.11). No token of ours has any, and we understand none.
    #[serde(default, skip_serializing)]
    crit: Option<IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The client that the token was issued to (RFC 9068 §2.2). There is one: that of this API.
    #[serde(default)]
    client_id: String,
    sub: UserId,
    sid: SessionId,
    /// The epoch of the session. It is not a registered claim.
    session_epoch: i64,
    roles: Vec<RoleName>,
    auth_time: i64,
    /// Whether the token permits only to change the password and to sign out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    password_change_required: bool,
    iat: i64,
    /// Before when it is not valid. Our tokens have no such claim; other issuers with the same keys may set it.
    #[serde(default, skip_serializing)]
    nbf: Option<i64>,
    exp: i64,
    jti: String,
}

impl TokenIssuer {
    /// Issues a token with these claims that is valid from `now` for `ttl`.
    ///
    /// # Errors
    ///
    /// If the program has no keys to sign with, if these cannot be published, and if signing fails.
    pub(crate) async fn issue(
        &self,
        db: &Db,
        claims: &AccessClaims,
        token_id: Uuid,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<String, DatabaseError> {
        let keys = self.keys.signer(db, now).await?;
        let unsigned = || DatabaseError::Internal("an access token could not be signed".to_owned());
        self.signed(&keys, claims, token_id, now, ttl).ok_or_else(unsigned)
    }

    fn signed(
        &self,
        keys: &SigningKeys,
        claims: &AccessClaims,
        token_id: Uuid,
        now: Timestamp,
        ttl: Duration,
    ) -> Option<String> {
        let (kid, alg) = keys.signer();
        let header = Header { alg, typ: TYPE, kid, crit: None };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            client_id: self.audience.clone(),
            sub: claims.user_id,
            sid: claims.session_id,
            session_epoch: claims.session_epoch,
            roles: claims.roles.clone(),
            auth_time: claims.auth_time.as_seconds(),
            password_change_required: claims.password_change_required,
            iat: now.as_seconds(),
            nbf: None,
            exp: (now + ttl).as_seconds(),
            jti: token_id.to_string(),
        };
        let mut token = encode(&header)?;
        token.push('.');
        token.push_str(&encode(&claims)?);
        let signature = keys.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    /// Returns the claims of a token that is valid at `now`.
    ///
    /// Algorithm, type, issuer and audience must be exactly ours (RFC 8725 §3). There is no leeway for the
    /// time, since our own clock set it: a token is valid while `now < exp`.
    pub(crate) async fn verify(
        &self,
        db: &Db,
        token: &str,
        now: Timestamp,
    ) -> Result<AccessClaims, AuthenticationError> {
        let token = Parts::of(token).ok_or(AuthenticationError::Invalid)?;
        // A client that makes up the id of a key has to make up the rest of a token as well.
        let Claims { iss, aud, .. } = &token.claims;
        if *iss != self.issuer || *aud != self.audience {
            return Err(AuthenticationError::Invalid);
        }
        let key = self.keys.find(db, &token.key_id, now).await?.ok_or(AuthenticationError::Invalid)?;
        let is_ours = token.algorithm == key.algorithm();
        if !is_ours || !key.verify(token.message.as_bytes(), &token.signature) {
            return Err(AuthenticationError::Invalid);
        }
        let claims = token.claims;
        if claims.nbf.is_some_and(|nbf| now.as_seconds() < nbf) {
            return Err(AuthenticationError::Invalid);
        }
        if now.as_seconds() >= claims.exp {
            return Err(AuthenticationError::Expired);
        }
        Ok(AccessClaims {
            user_id: claims.sub,
            session_id: claims.sid,
            session_epoch: claims.session_epoch,
            roles: claims.roles,
            auth_time: Timestamp::from_seconds(claims.auth_time),
            password_change_required: claims.password_change_required,
        })
    }
}

/// The parts of a token of the right form. Nothing of it is verified.
struct Parts<'a> {
    algorithm: String,
    key_id: String,
    message: &'a str,
    signature: Vec<u8>,
    claims: Claims,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let Header { alg, typ, kid, crit } = serde_json::from_slice(&header).ok()?;
        if typ != TYPE || crit.is_some() || ![RS256, ES256].contains(&alg) {
            return None;
        }
        Some(Self {
            algorithm: alg.to_owned(),
            key_id: kid.to_owned(),
            message,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            claims: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?,
        })
    }
}

fn encode(part: &impl Serialize) -> Option<String> {
    serde_json::to_vec(part).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use std::sync::Arc;

    use futures::executor::block_on;
    use serde_json::{Value, json};
    use switchyard_ambient::{Ambient, ManualClock, SeededRandomness};
    use switchyard_database::Memory;
    use switchyard_kernel::Rotating;

    use super::*;

    static KEYS: LazyLock<SigningKeys> =
        LazyLock::new(|| SigningKeys::from_pem(&SigningKeys::generate_pem().unwrap()).unwrap());
    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_900_000);

    /// An issuer on a store of its own.
    struct Issuer(TokenIssuer, Db);

    impl Issuer {
        fn issue(&self) -> String {
            let ttl = Duration::from_secs(900);
            block_on(self.0.issue(&self.1, &claims(), Uuid::from_u128(3), NOW, ttl)).unwrap()
        }

        fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, AuthenticationError> {
            block_on(self.0.verify(&self.1, token, now))
        }
    }

    fn issuer() -> Issuer {
        issuer_with(KEYS.clone())
    }

    fn issuer_with(keys: SigningKeys) -> Issuer {
        let ambient = Ambient::new(ManualClock::at(NOW), SeededRandomness::new(1));
        let db = Db::new(Arc::new(Memory::new(ambient.clone())), ambient);
        let issuer = TokenIssuer {
            keys: TokenKeys::new(Rotating::new("JWT_PRIVATE_KEY", keys)),
            issuer: "https://api.example.com".to_owned(),
            audience: "switchyard".to_owned(),
        };
        Issuer(issuer, db)
    }

    fn claims() -> AccessClaims {
        AccessClaims {
            user_id: Uuid::from_u128(1).into(),
            session_id: Uuid::from_u128(2).into(),
            session_epoch: 4,
            roles: vec!["customer".parse().unwrap()],
            auth_time: Timestamp::from_seconds(1_699_999_000),
            password_change_required: false,
        }
    }

    fn token() -> String {
        issuer().issue()
    }

    /// A token with a changed header and changed claims, signed with our own key.
    fn forged(change: impl Fn(&mut Value, &mut Value)) -> String {
        let token = token();
        let mut parts: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let (header, claims) = parts.split_at_mut(1);
        change(&mut header[0], &mut claims[0]);
        let message = format!("{}.{}", encode(&parts[0]).unwrap(), encode(&parts[1]).unwrap());
        let signature = URL_SAFE_NO_PAD.encode(KEYS.sign(message.as_bytes()).unwrap());
        format!("{message}.{signature}")
    }

    #[test]
    fn a_token_has_the_documented_claims_and_type() {
        let token = token();
        let part = |n| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap())
                .unwrap()
        };
        assert_eq!(part(0), json!({"alg": "RS256", "typ": "at+jwt", "kid": KEYS.signer().0}));
        assert_eq!(
            part(1),
            json!({
                "iss": "https://api.example.com", "aud": "switchyard", "client_id": "switchyard",
                "sub": "00000000-0000-0000-0000-000000000001", "sid": "00000000-0000-0000-0000-000000000002",
                "session_epoch": 4, "roles": ["customer"], "auth_time": 1_699_999_000, "iat": 1_700_000_000, "exp": 1_700_000_900,
                "jti": "00000000-0000-0000-0000-000000000003",
            })
        );
        assert_eq!(issuer().verify(&token, NOW), Ok(claims()));
    }

    #[test]
    fn a_token_expires_without_leeway() {
        let verify = |seconds| issuer().verify(&token(), Timestamp::from_seconds(seconds)).err();
        assert_eq!(verify(1_700_000_899), None);
        assert_eq!(verify(1_700_000_900), Some(AuthenticationError::Expired));
    }

    #[test]
    fn algorithm_type_issuer_audience_and_key_are_pinned() {
        assert_eq!(issuer().verify(&forged(|_, _| ()), NOW), Ok(claims()));
        let refused: [fn(&mut Value, &mut Value); 11] = [
            |header, _| header["crit"] = json!(["b64"]),
            |_, claims| claims["nbf"] = json!(1_700_000_001),
            |header, _| header["alg"] = json!("none"),
            |header, _| header["alg"] = json!("HS256"),
            |header, _| header["alg"] = json!("PS256"),
            |header, _| header["typ"] = json!("JWT"),
            |header, _| header["kid"] = json!("another"),
            |_, claims| claims["iss"] = json!("https://evil.example"),
            |_, claims| claims["aud"] = json!("another"),
            |_, claims| claims["aud"] = json!(["switchyard"]),
            |_, claims| drop(claims.as_object_mut().unwrap().remove("exp")),
        ];
        for change in refused {
            assert_eq!(issuer().verify(&forged(change), NOW), Err(AuthenticationError::Invalid));
        }
    }

    #[test]
    fn a_key_on_p_256_signs_with_es256_and_every_key_verifies_only_its_own_algorithm() {
        let p256 = SigningKeys::generate_p256_pem().unwrap();
        let keys = SigningKeys::from_pem(&(p256 + &SigningKeys::generate_pem().unwrap())).unwrap();
        let issuer = issuer_with(keys.clone());
        let token = issuer.issue();
        assert_eq!(issuer.verify(&token, NOW), Ok(claims()));
        let (_, rest) = token.split_once('.').unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        for (alg, kid) in [("RS256", &keys.ids()[0]), ("ES256", &keys.ids()[1])] {
            let message =
                format!("{}.{claims}", encode(&Header { alg, typ: TYPE, kid, crit: None }).unwrap());
            let signature = URL_SAFE_NO_PAD.encode(keys.sign(message.as_bytes()).unwrap());
            let forged = format!("{message}.{signature}");
            assert_eq!(issuer.verify(&forged, NOW), Err(AuthenticationError::Invalid), "{alg}");
        }
    }

    #[test]
    fn altered_and_malformed_tokens_are_refused() {
        let token = token();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let other_claims = forged(|_, claims| claims["roles"] = json!(["admin"]));
        let spliced = format!("{}.{signature}", other_claims.rsplit_once('.').unwrap().0);
        for bad in
            [spliced.as_str(), message, &format!("{message}."), "", ".", "..", "a.b.c", &"a".repeat(20_000)]
        {
            assert_eq!(issuer().verify(bad, NOW), Err(AuthenticationError::Invalid), "{bad}");
        }
    }
}
