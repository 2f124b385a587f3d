use std::fmt;

use serde::{Deserialize, Serialize};

/// A stored password hash, after a tag that names its scheme.
///
/// | form | scheme |
/// |---|---|
/// | `opaque-hmac-bcrypt:<key id>:$2b$12$…` | bcrypt over the base64 of HMAC-SHA256 of the prepared password, keyed with the pepper of that id |
/// | `bcrypt:$2b$10$…` | bcrypt over the password as it is typed; for imported accounts until their first sign-in |
///
/// `opaque` says how the password is prepared: by the profile `OpaqueString` of RFC 8265, in which spaces and composed characters
/// have one form. Another preparation would be another tag. An imported hash was made elsewhere of what was typed there, which
/// few systems prepare. So it is compared with what is typed, as it was there, and with nothing else: a second comparison with
/// the prepared password would take as long as the first, and either tell by its time that an account was imported, or double
/// the cost of every guess. The first sign-in replaces the hash by one of the prepared password.
///
/// The keyed pre-hash has two reasons. Bcrypt reads at most 72 bytes, so two different long passwords could
/// match. And a stolen table of hashes is useless without the pepper. The pre-hash is encoded in base64 because
/// a zero byte would end bcrypt's input. See "password shucking" and the OWASP Password Storage Cheat Sheet,
/// "Pre-Hashing Passwords with bcrypt".
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

/// The text is not a hash that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a bcrypt hash as in $2b$12$…, of cost 4 to 14")]
pub struct InvalidPasswordHash;

const KEYED: &str = "opaque-hmac-bcrypt";
const PLAIN: &str = "bcrypt";
/// A hash takes 2^cost rounds. Verifying an imported hash of cost 31 would take a processor a day at each
/// login.
const COSTS: std::ops::RangeInclusive<u32> = 4..=14;

/// How a hash was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme<'a> {
    /// Over the keyed pre-hash of the prepared password, with the pepper of this id.
    Keyed { key_id: &'a str },
    /// Over the password as it is typed.
    Plain,
}

impl PasswordHash {
    /// Imports a bcrypt hash of another system: `$2a$`, `$2b$`, `$2x$` or `$2y$`.
    pub fn import(bcrypt: &str) -> Result<Self, InvalidPasswordHash> {
        let cost = cost_of(bcrypt).ok_or(InvalidPasswordHash)?;
        let digits = bcrypt.get(7..).unwrap_or_default();
        let well_formed =
            digits.len() == 53 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b));
        if well_formed && COSTS.contains(&cost) {
            Ok(Self(format!("{PLAIN}:{bcrypt}")))
        } else {
            Err(InvalidPasswordHash)
        }
    }

    /// A hash over the keyed pre-hash.
    pub(super) fn keyed(key_id: &str, bcrypt: &str) -> Self {
        Self(format!("{KEYED}:{key_id}:{bcrypt}"))
    }

    /// The scheme and the bcrypt hash; `None` if the tag is unknown to this version.
    pub(super) fn parts(&self) -> Option<(Scheme<'_>, &str)> {
        match self.0.split_once(':')? {
            (KEYED, rest) => rest.split_once(':').map(|(key_id, bcrypt)| (Scheme::Keyed { key_id }, bcrypt)),
            (PLAIN, bcrypt) => Some((Scheme::Plain, bcrypt)),
            _ => None,
        }
    }
}

/// The cost of a bcrypt hash: `$2b$12$…` has 12.
pub(super) fn cost_of(bcrypt: &str) -> Option<u32> {
    let (version, rest) = bcrypt.strip_prefix('$')?.split_once('$')?;
    let (cost, _) = rest.split_once('$')?;
    let known = matches!(version, "2a" | "2b" | "2x" | "2y");
    let is_number = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
    cost.parse().ok().filter(|_| known && is_number)
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password hash]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

    #[test]
    fn a_bcrypt_hash_is_imported_with_its_tag() {
        let hash = PasswordHash::import(BCRYPT).unwrap();
        assert_eq!(hash.parts(), Some((Scheme::Plain, BCRYPT)));
        let keyed = PasswordHash::keyed("0a1b2c3d", BCRYPT);
        assert_eq!(keyed.0, format!("opaque-hmac-bcrypt:0a1b2c3d:{BCRYPT}"));
        assert_eq!(keyed.parts(), Some((Scheme::Keyed { key_id: "0a1b2c3d" }, BCRYPT)));
    }

    #[test]
    fn text_that_is_not_a_hash_or_costs_too_much_is_refused() {
        let costly = BCRYPT.replace("$10$", "$31$");
        let short = &BCRYPT[..59];
        let odd = BCRYPT.replace('N', "é");
        let signed = BCRYPT.replace("$10$", "$+9$");
        let behind_others = format!("123456é{}", &BCRYPT[..52]);
        let other_version = BCRYPT.replace("$2b$", "$2c$");
        for text in
            ["", "password", "$1$10$abc", &costly, short, &odd, &signed, &behind_others, &other_version]
        {
            assert_eq!(PasswordHash::import(text), Err(InvalidPasswordHash), "{text}");
        }
    }

    #[test]
    fn a_tag_of_another_preparation_is_unknown() {
        assert_eq!(PasswordHash(format!("hmac-bcrypt:0a1b2c3d:{BCRYPT}")).parts(), None);
    }

    #[test]
    fn a_hash_is_never_shown() {
        assert_eq!(format!("{:?}", PasswordHash::import(BCRYPT).unwrap()), "[password hash]");
    }
}
