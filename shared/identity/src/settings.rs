//! What can be set about identity, read once at the start.

use std::fmt;
use std::time::Duration;

use crate::secret::KeyRing;
use crate::token::SigningKeys;
use crate::{EmailAddress, Password};

/// What can be set about identity.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | `JWT_PRIVATE_KEY` | RSA keys in PEM: the first signs access tokens, all verify them | required |
/// | `PASSWORD_PEPPER` | keys of the passwords' pre-hash, the current one first, separated by commas | required |
/// | `AUDIT_KEY` | keys of the audit log's chains, likewise | required |
/// | `TOKEN_ISSUER` | who issues access tokens: `iss` | `switchyard` |
/// | `TOKEN_AUDIENCE` | whom they are for: `aud` | `switchyard` |
/// | `ACCESS_TOKEN_TTL` | how long they are good, as in `15m` | `15m` |
/// | `REFRESH_TOKEN_TTL` | how long a session lasts without a refresh | `30d` |
/// | `BCRYPT_COST` | 4 to 14 | `12` |
/// | `PASSWORD_HASH_THREADS` | how many passwords are hashed at once | one a core |
/// | `ADMIN_EMAIL`, `ADMIN_PASSWORD` | the first admin, made while there is none | none |
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// The keys of access tokens.
    pub signing_keys: SigningKeys,
    /// The keys of the passwords' pre-hash.
    pub password_pepper: KeyRing,
    /// The keys of the audit log's chains.
    pub audit_key: KeyRing,
    /// Who issues access tokens.
    pub token_issuer: String,
    /// Whom access tokens are for.
    pub token_audience: String,
    /// How long an access token is good.
    pub access_token_ttl: Duration,
    /// How long a session lasts without a refresh.
    pub refresh_token_ttl: Duration,
    /// The cost of new password hashes.
    pub bcrypt_cost: u32,
    /// How many passwords are hashed at once.
    pub password_hash_threads: usize,
    /// The first admin, made while there is none.
    pub first_admin: Option<FirstAdmin>,
}

/// The address and password of the first admin.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    /// The address.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
}

/// A setting that is missing or malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFault {
    /// The setting.
    pub name: &'static str,
    /// What is wrong with it, as in `must be set`.
    pub message: String,
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.message)
    }
}

/// The settings that are missing or malformed, all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SettingFaults(pub Vec<SettingFault>);

impl IdentitySettings {
    /// Reads the settings from wherever `get` finds the value of a name. An empty value is none.
    pub fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingFaults> {
        let mut reader = Reader { get, faults: Vec::new() };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let signing_keys = reader.required("JWT_PRIVATE_KEY", SigningKeys::from_pem);
        let password_pepper = reader.required("PASSWORD_PEPPER", KeyRing::parse);
        let audit_key = reader.required("AUDIT_KEY", KeyRing::parse);
        let token_issuer = reader.or("TOKEN_ISSUER", "switchyard".to_owned(), text);
        let token_audience = reader.or("TOKEN_AUDIENCE", "switchyard".to_owned(), text);
        let access_token_ttl = reader.or("ACCESS_TOKEN_TTL", Duration::from_secs(15 * 60), duration);
        let refresh_token_ttl =
            reader.or("REFRESH_TOKEN_TTL", Duration::from_secs(30 * 24 * 60 * 60), duration);
        let bcrypt_cost = reader.or("BCRYPT_COST", 12, |value| whole_number(value, 4, 14));
        let threads = reader.or("PASSWORD_HASH_THREADS", cores as u32, |value| whole_number(value, 1, 1024));
        let first_admin = reader.first_admin();
        match (signing_keys, password_pepper, audit_key) {
            (Some(signing_keys), Some(password_pepper), Some(audit_key)) if reader.faults.is_empty() => {
                Ok(Self {
                    signing_keys,
                    password_pepper,
                    audit_key,
                    token_issuer,
                    token_audience,
                    access_token_ttl,
                    refresh_token_ttl,
                    bcrypt_cost,
                    password_hash_threads: threads as usize,
                    first_admin,
                })
            }
            _ => Err(SettingFaults(reader.faults)),
        }
    }
}

struct Reader<G> {
    get: G,
    faults: Vec<SettingFault>,
}

impl<G: Fn(&str) -> Option<String>> Reader<G> {
    fn value(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.is_empty())
    }

    fn fault(&mut self, name: &'static str, message: impl fmt::Display) {
        self.faults.push(SettingFault { name, message: message.to_string() });
    }

    fn optional<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.value(name)?;
        parse(&value).map_err(|fault| self.fault(name, fault)).ok()
    }

    fn required<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.fault(name, "must be set");
            return None;
        }
        self.optional(name, parse)
    }

    fn or<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    fn first_admin(&mut self) -> Option<FirstAdmin> {
        match (self.value("ADMIN_EMAIL").is_some(), self.value("ADMIN_PASSWORD").is_some()) {
            (true, false) => self.fault("ADMIN_PASSWORD", "must be set, since ADMIN_EMAIL is"),
            (false, true) => self.fault("ADMIN_EMAIL", "must be set, since ADMIN_PASSWORD is"),
            _ => {}
        }
        let email = self.optional("ADMIN_EMAIL", str::parse::<EmailAddress>);
        let password = self.optional("ADMIN_PASSWORD", str::parse::<Password>);
        Some(FirstAdmin { email: email?, password: password? })
    }
}

fn text(value: &str) -> Result<String, std::convert::Infallible> {
    Ok(value.to_owned())
}

fn whole_number(value: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// A number of seconds, or a number with a unit: `s`, `m`, `h` or `d`.
fn duration(value: &str) -> Result<Duration, &'static str> {
    const FAULT: &str = "must be a time as in 900, 15m, 12h or 30d, at most 3650d";
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &value[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(FAULT),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| (1..=3650 * 24 * 60 * 60).contains(seconds)).ok_or(FAULT)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[(&str, &str)]) -> Result<IdentitySettings, Vec<String>> {
        let get =
            |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        IdentitySettings::parse(get).map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = parse(&[
            ("PASSWORD_PEPPER", "short"),
            ("ACCESS_TOKEN_TTL", "soon"),
            ("BCRYPT_COST", "31"),
            ("ADMIN_EMAIL", "nobody"),
        ])
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "JWT_PRIVATE_KEY must be set",
                "PASSWORD_PEPPER must hold keys of at least 32 characters each, separated by commas",
                "AUDIT_KEY must be set",
                "ACCESS_TOKEN_TTL must be a time as in 900, 15m, 12h or 30d, at most 3650d",
                "BCRYPT_COST must be a whole number from 4 to 14",
                "ADMIN_PASSWORD must be set, since ADMIN_EMAIL is",
                "ADMIN_EMAIL must be an e-mail address",
            ]
        );
    }

    #[test]
    fn what_is_not_set_has_the_documented_default() {
        let pem = SigningKeys::generate_pem().unwrap();
        let key = "0123456789abcdef0123456789abcdef";
        let settings =
            parse(&[("JWT_PRIVATE_KEY", &pem), ("PASSWORD_PEPPER", key), ("AUDIT_KEY", key)]).unwrap();
        assert_eq!(settings.access_token_ttl, Duration::from_secs(900));
        assert_eq!(settings.refresh_token_ttl, Duration::from_secs(2_592_000));
        assert_eq!(settings.bcrypt_cost, 12);
        assert!(settings.first_admin.is_none());
    }

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        let read = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(
            [read("900"), read("15m"), read("12h"), read("30d")],
            [Ok(900), Ok(900), Ok(43_200), Ok(2_592_000)]
        );
        for bad in ["", "0", "-1", "1.5m", "5w", "m", "99999999999999999999d", "é"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
