//! Access and refresh tokens: only tokens exactly as they were issued are accepted.

#![no_main]

use std::sync::{Arc, LazyLock};

use futures::executor::block_on;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use switchyard_ambient::{Ambient, ManualClock, SeededRandomness, Timestamp};
use switchyard_database::{Db, Memory};
use switchyard_identity::{Identity, RoleAuthority, testing};
use switchyard_kernel::{
    AuthenticationError, Authenticator as _, Kernel, Principal, RoleName, SessionId, UserId,
};

const NOW: i64 = 1_700_000_000;
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The alphabet of base64url (RFC 4648 §5).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let clock = ManualClock::at(Timestamp::from_seconds(NOW));
    let ambient = Ambient::new(clock, SeededRandomness::new(1));
    let db = Db::new(Arc::new(Memory::new(ambient.clone())), ambient);
    let authority = RoleAuthority::new(db.clone(), &[]);
    let outbox = testing::outbox(db.ambient());
    let kernel = Kernel::new(db, testing::kernel_settings(), &[], Arc::new(authority.clone()));
    Identity::new(kernel, authority, testing::settings(), outbox)
});

static HEADER: LazyLock<Value> = LazyLock::new(|| {
    let kid = &IDENTITY.jwks().keys[0].kid;
    json!({"alg": "RS256", "typ": "at+jwt", "kid": kid})
});

/// Valid tokens for the fuzzer to alter and to mix.
static ISSUED: LazyLock<[String; 2]> = LazyLock::new(|| {
    let customer = claims();
    let mut other = claims();
    other["roles"] = json!(["customer", "support"]);
    other["sub"] = json!("00000000-0000-0000-0000-0000000000ff");
    [customer, other].map(|claims| testing::signed_token(&HEADER, &claims))
});

fn claims() -> Value {
    json!({
        "iss": "switchyard", "aud": "switchyard", "client_id": "switchyard",
        "sub": "00000000-0000-0000-0000-000000000001", "sid": "00000000-0000-0000-0000-000000000002",
        "session_epoch": 4, "roles": ["customer"], "auth_time": NOW - 60, "iat": NOW, "exp": NOW + 900,
        "jti": "00000000-0000-0000-0000-000000000003",
    })
}

#[derive(Arbitrary, Debug)]
enum Input {
    /// Any text.
    Text(String),
    /// An issued token, altered.
    Altered { which: bool, alterations: Vec<Alteration> },
    /// Parts of two tokens and of texts.
    Mixed([Part; 3]),
    /// A token that was never issued but is signed with our key.
    Signed { header: Vec<Change>, claims: Vec<Change>, seconds: i32, token_id_letters: Option<u16> },
    /// A refresh token of these bytes, altered.
    Refresh { bytes: [[u8; 32]; 2], alterations: Vec<Alteration> },
}

#[derive(Arbitrary, Debug)]
enum Alteration {
    Replace(u16, u8),
    Insert(u16, char),
    Remove(u16),
    Truncate(u16),
    Append(String),
    /// Replaces the last digit.
    End(u8),
}

#[derive(Arbitrary, Debug)]
enum Part {
    First,
    Second,
    Text(String),
}

/// Replaces the value of a member.
#[derive(Arbitrary, Debug)]
struct Change {
    member: u8,
    value: Replacement,
}

#[derive(Arbitrary, Debug)]
enum Replacement {
    Missing,
    Null,
    Boolean(bool),
    Number(i64),
    Fraction(f64),
    Near(i8),
    Text(String),
    Texts(Vec<String>),
    /// The value of the member with this number.
    Of(u8),
    Nested,
}

fuzz_target!(|input: Input| {
    match input {
        Input::Text(text) => access_token(&text),
        Input::Altered { which, alterations } => {
            access_token(&alter(&ISSUED[usize::from(which)], &alterations));
        }
        Input::Mixed(parts) => access_token(&mix(&parts)),
        Input::Signed { header, claims: changes, seconds, token_id_letters } => {
            let mut claims = changed(&claims(), &changes);
            if let Some(letters) = token_id_letters {
                claims["jti"] = json!("x".repeat(usize::from(letters) % MAX_TOKEN_BYTES));
            }
            signed_token(&changed(&HEADER, &header), &claims, seconds);
        }
        Input::Refresh { bytes, alterations } => {
            refresh_token(&alter(&base64url(bytes.as_flattened()), &alterations));
        }
    }
});

fn authenticate(token: &str, now: Timestamp) -> Result<Principal, AuthenticationError> {
    block_on(IDENTITY.authenticate(token, now))
}

fn access_token(token: &str) {
    let is_issued = ISSUED.iter().any(|issued| issued == token);
    assert_eq!(authenticate(token, Timestamp::from_seconds(NOW)).is_ok(), is_issued);
    refresh_token(token);
}

/// A refresh token is 64 bytes, and has exactly one valid encoding.
fn refresh_token(text: &str) {
    // Four bits of the last digit are unused, and must be zero.
    let is_one = text.len() == 86
        && text.bytes().all(|byte| DIGITS.contains(&byte))
        && text.ends_with(['A', 'Q', 'g', 'w']);
    let read = testing::rewritten_refresh_token(text);
    assert_eq!(read.is_some(), is_one);
    assert!(read.is_none_or(|read| read.expose() == text));
}

fn alter(text: &str, alterations: &[Alteration]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for alteration in alterations {
        let place = |number: &u16, places: usize| usize::from(*number) % places.max(1);
        match alteration {
            Alteration::Insert(at, char) => chars.insert(place(at, chars.len() + 1), *char),
            Alteration::Append(text) => chars.extend(text.chars()),
            _ if chars.is_empty() => {}
            Alteration::Replace(at, byte) => {
                let at = place(at, chars.len());
                chars[at] = char::from(*byte);
            }
            Alteration::Remove(at) => {
                chars.remove(place(at, chars.len()));
            }
            Alteration::Truncate(at) => chars.truncate(place(at, chars.len())),
            Alteration::End(digit) => {
                chars.pop();
                chars.push(char::from(DIGITS[usize::from(*digit) % DIGITS.len()]));
            }
        }
    }
    chars.into_iter().collect()
}

fn mix(parts: &[Part; 3]) -> String {
    let part = |(place, part): (usize, &Part)| match part {
        Part::First => ISSUED[0].split('.').nth(place).unwrap_or_default().to_owned(),
        Part::Second => ISSUED[1].split('.').nth(place).unwrap_or_default().to_owned(),
        Part::Text(text) => text.clone(),
    };
    parts.iter().enumerate().map(part).collect::<Vec<_>>().join(".")
}

fn signed_token(header: &Value, claims: &Value, seconds: i32) {
    let token = testing::signed_token(header, claims);
    let read = Read::of(header, claims).filter(|_| token.len() <= MAX_TOKEN_BYTES);
    let end = read.as_ref().map_or(NOW, |read| read.ends);
    // At an arbitrary time, in the last second in which the token is valid, and in the second after that.
    for now in [NOW + i64::from(seconds), end.saturating_sub(1), end] {
        is_valid_until_it_expires(&token, read.as_ref(), Timestamp::from_seconds(now));
    }
}

fn is_valid_until_it_expires(token: &str, read: Option<&Read>, now: Timestamp) {
    match (authenticate(token, now), read) {
        (Ok(principal), Some(read)) => {
            assert!(now.as_seconds() < read.ends);
            assert_eq!((principal.user_id, principal.session_id), (read.user_id, read.session_id));
            assert_eq!(principal.session_epoch, read.session_epoch);
            assert_eq!(principal.roles.iter().map(RoleName::as_str).collect::<Vec<_>>(), read.roles);
            assert_eq!(principal.auth_time, Timestamp::from_seconds(read.auth_time));
            assert_eq!(principal.password_change_required, read.password_change_required);
        }
        (Err(AuthenticationError::Expired), Some(read)) => assert!(now.as_seconds() >= read.ends),
        // A role with an invalid name cannot be looked up.
        (Err(AuthenticationError::Database(_)), Some(read)) => {
            assert!(read.roles.iter().any(|role| role.parse::<RoleName>().is_err()));
        }
        (Err(AuthenticationError::Invalid), None) => {}
        (outcome, read) => panic!("{outcome:?}, but the token contains {read:?}"),
    }
}

fn changed(value: &Value, changes: &[Change]) -> Value {
    let original = value.as_object().expect("an object");
    let names: Vec<&String> = original.keys().collect();
    let mut members: Map<String, Value> = original.clone();
    for Change { member, value } in changes {
        let name = names[usize::from(*member) % names.len()];
        let value = match value {
            Replacement::Missing => {
                members.remove(name);
                continue;
            }
            Replacement::Null => Value::Null,
            Replacement::Boolean(value) => json!(value),
            Replacement::Number(value) => json!(value),
            Replacement::Fraction(value) => json!(value),
            Replacement::Near(by) => json!(NOW + i64::from(*by)),
            Replacement::Text(text) => json!(text),
            Replacement::Texts(texts) => json!(texts),
            Replacement::Of(other) => original[names[usize::from(*other) % names.len()]].clone(),
            Replacement::Nested => json!({ name.as_str(): original[name] }),
        };
        members.insert(name.clone(), value);
    }
    Value::Object(members)
}

/// The contents of a token that this service could have issued.
#[derive(Debug)]
struct Read {
    user_id: UserId,
    session_id: SessionId,
    session_epoch: i64,
    roles: Vec<String>,
    auth_time: i64,
    password_change_required: bool,
    ends: i64,
}

impl Read {
    /// Reads a token's header and claims. Returns `None` if this service could not have issued the token.
    fn of(header: &Value, claims: &Value) -> Option<Self> {
        let text = |name: &str| claims.get(name)?.as_str();
        let number = |name: &str| claims.get(name)?.as_i64();
        if *header != *HEADER || text("iss")? != "switchyard" || text("aud")? != "switchyard" {
            return None;
        }
        let (_token_id, _issued_at) = (text("jti")?, number("iat")?);
        claims.get("client_id").map_or(Some(""), Value::as_str)?;
        let roles = claims.get("roles")?.as_array()?.iter();
        Some(Self {
            user_id: text("sub")?.parse().ok()?,
            session_id: text("sid")?.parse().ok()?,
            session_epoch: number("session_epoch")?,
            roles: roles.map(|role| role.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            auth_time: number("auth_time")?,
            password_change_required: claims
                .get("password_change_required")
                .map_or(Some(false), Value::as_bool)?,
            ends: number("exp")?,
        })
    }
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
