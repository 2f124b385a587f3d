//! The settings of identity, read once at the start.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use switchyard_settings::{Environment, Lifetime};

use crate::token::SigningKeys;
use crate::{EmailAddress, Password};
use switchyard_kernel::{HeldSecret, KeyRing};

/// The settings of identity.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | `JWT_PRIVATE_KEY` | RSA keys in PEM: the first signs access tokens, all verify them | required |
/// | `PASSWORD_PEPPER` | keys of the passwords' pre-hash, the current one first, separated by commas | required
/// |
/// | `TOKEN_ISSUER` | the issuer of access tokens: `iss` | `switchyard` |
/// | `TOKEN_AUDIENCE` | the audience of access tokens: `aud` | `switchyard` |
/// | `ACCESS_TOKEN_TTL` | how long an access token is valid, as in `15m` | `15m` |
/// | `REFRESH_TOKEN_TTL` | how long a session lasts without a refresh | `30d` |
/// | `BCRYPT_COST` | the cost of new password hashes, 4 to 14; set it to at least the cost of every stored and
/// imported hash: a costlier hash takes longer to check than an unknown address, which reveals that the account
/// exists until its user signs in and the hash is upgraded | `12` |
/// | `PASSWORD_HASH_THREADS` | how many passwords are hashed at once | the number of cores |
/// | `ADMIN_EMAIL`, `ADMIN_PASSWORD` | the first admin, created if there is none; the password must be changed first | none |
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// The keys of access tokens.
    pub signing_keys: SigningKeys,
    /// The keys of the passwords' pre-hash.
    pub password_pepper: KeyRing,
    /// The issuer of access tokens.
    pub token_issuer: String,
    /// The audience of access tokens.
    pub token_audience: String,
    /// How long an access token is valid.
    pub access_token_ttl: Duration,
    /// How long a session lasts without a refresh.
    pub refresh_token_ttl: Duration,
    /// The cost of new password hashes.
    pub bcrypt_cost: u32,
    /// How many passwords are hashed at once.
    pub password_hash_threads: usize,
    /// The first admin, created if there is none.
    pub first_admin: Option<FirstAdmin>,
}

/// The address and password of the first admin.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    /// The address.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
    /// Whether the password must be changed before it is good for anything else. It must if others may have seen it, as in
    /// the settings of a deployment.
    pub password_change_required: bool,
}

impl IdentitySettings {
    /// Reads the settings. Returns `None` if one is missing or malformed; `environment` then has the fault.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let signing_keys = environment.required_with("JWT_PRIVATE_KEY", SigningKeys::from_pem);
        let password_pepper = environment.required_with("PASSWORD_PEPPER", KeyRing::parse);
        let token_issuer = environment.or("TOKEN_ISSUER", "switchyard".to_owned());
        let token_audience = environment.or("TOKEN_AUDIENCE", "switchyard".to_owned());
        let access_token_ttl = environment.or("ACCESS_TOKEN_TTL", Lifetime::minutes(15));
        let refresh_token_ttl = environment.or("REFRESH_TOKEN_TTL", Lifetime::days(30));
        let bcrypt_cost = environment.or_with("BCRYPT_COST", 12, |text| whole_number(text, 4, 14));
        let threads = environment.or_with("PASSWORD_HASH_THREADS", cores, |text| whole_number(text, 1, 1024));
        let first_admin = read_first_admin(environment);
        Some(Self {
            signing_keys: signing_keys?,
            password_pepper: password_pepper?,
            token_issuer: token_issuer?,
            token_audience: token_audience?,
            access_token_ttl: access_token_ttl?.into(),
            refresh_token_ttl: refresh_token_ttl?.into(),
            bcrypt_cost: bcrypt_cost?,
            password_hash_threads: threads?,
            first_admin: first_admin?,
        })
    }
}

impl IdentitySettings {
    /// The secrets among the settings.
    pub fn held_secrets(&self) -> [HeldSecret; 2] {
        [
            HeldSecret { setting: "JWT_PRIVATE_KEY", key_ids: self.signing_keys.ids() },
            HeldSecret { setting: "PASSWORD_PEPPER", key_ids: self.password_pepper.ids() },
        ]
    }
}

fn read_first_admin(environment: &mut Environment) -> Option<Option<FirstAdmin>> {
    let email = environment.optional("ADMIN_EMAIL");
    let password = environment.optional_verbatim("ADMIN_PASSWORD");
    match (email?, password?) {
        (Some(email), Some(password)) => {
            Some(Some(FirstAdmin { email, password, password_change_required: true }))
        }
        (None, None) => Some(None),
        (Some(_), None) => {
            environment.fault("ADMIN_PASSWORD", "must be set, since ADMIN_EMAIL is");
            None
        }
        (None, Some(_)) => {
            environment.fault("ADMIN_EMAIL", "must be set, since ADMIN_PASSWORD is");
            None
        }
    }
}

fn whole_number<T: FromStr + PartialOrd + Display>(text: &str, least: T, most: T) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn read(variables: &[(&str, &str)]) -> Result<IdentitySettings, String> {
        let environment = Environment::of(variables.iter().copied());
        environment.read(IdentitySettings::read).map_err(|faults| faults.to_string())
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let faults = read(&[
            ("PASSWORD_PEPPER", "short"),
            ("ACCESS_TOKEN_TTL", "soon"),
            ("BCRYPT_COST", "31"),
            ("ADMIN_EMAIL", "nobody"),
        ]);
        let expected = "these settings are missing or malformed:\n\
            - JWT_PRIVATE_KEY is not set\n\
            - PASSWORD_PEPPER must hold keys of at least 32 characters each, separated by commas\n\
            - ACCESS_TOKEN_TTL must be a duration such as 90s, 15m, 24h or 30d\n\
            - BCRYPT_COST must be a whole number from 4 to 14\n\
            - ADMIN_EMAIL must be an e-mail address";
        assert_eq!(faults.unwrap_err(), expected);
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let pem = SigningKeys::generate_pem().unwrap();
        let required = [("JWT_PRIVATE_KEY", pem.as_str()), ("PASSWORD_PEPPER", KEY)];
        let settings = read(&required).unwrap();
        assert_eq!(settings.access_token_ttl, Duration::from_secs(900));
        assert_eq!(settings.refresh_token_ttl, Duration::from_secs(2_592_000));
        assert_eq!(settings.bcrypt_cost, 12);
        assert!(settings.first_admin.is_none());
        let half = read(&[&required[..], &[("ADMIN_EMAIL", "root@localhost")]].concat());
        assert!(half.unwrap_err().ends_with("- ADMIN_PASSWORD must be set, since ADMIN_EMAIL is"));
    }
}
