//! The settings of identity, read once at the start.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use switchyard_settings::{Environment, Lifetime, PublicUrl, number_in};

use crate::token::SigningKeys;
use crate::{EmailAddress, Password};
use switchyard_kernel::{KeyRing, ReplaceableSecret, Rotating};

/// The settings of identity.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// The keys of access tokens.
    pub signing_keys: Rotating<SigningKeys>,
    /// The keys of the passwords' pre-hash.
    pub password_pepper: Rotating<KeyRing>,
    /// The keys of what is derived to sign in: device tokens, refresh tokens, and what guesses are counted for.
    pub sign_in_keys: Rotating<KeyRing>,
    /// The URL under which clients reach the API, if it is known.
    pub public_url: Option<PublicUrl>,
    /// The issuer of access tokens.
    pub token_issuer: String,
    /// The audience of access tokens.
    pub token_audience: String,
    /// How long an access token is valid.
    pub access_token_ttl: Duration,
    /// How long a session lasts without a refresh.
    pub refresh_token_ttl: Duration,
    /// How long a session lasts, however often it is refreshed.
    pub session_max_ttl: Duration,
    /// How long a refresh token that was used yields the same successor again. Zero turns that off.
    pub refresh_grace: Duration,
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
    /// Reads the settings of a program under this URL, with the secrets that are `needed`. Returns `None` if one is missing or
    /// malformed; `environment` then has the fault.
    pub fn read(
        environment: &mut Environment,
        needed: &[&str],
        public_url: Option<PublicUrl>,
    ) -> Option<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let signing_keys = Rotating::read(
            environment,
            needed,
            "JWT_PRIVATE_KEY",
            "private keys of RSA or of the curve P-256 in PEM",
            "the keys of access tokens: the first signs, all verify",
        );
        let password_pepper = Rotating::read(
            environment,
            needed,
            "PASSWORD_PEPPER",
            KeyRing::FORM,
            "the keys of the passwords' pre-hash, the current one first",
        );
        let sign_in_keys = Rotating::read(
            environment,
            needed,
            "SIGN_IN_KEY",
            KeyRing::FORM,
            "the keys of device tokens, of the successors of refresh tokens, and of the ids of unknown addresses that are \
             guessed at, the current one first",
        );
        let token_issuer = environment
            .setting("TOKEN_ISSUER", TokenParty::FORM, "the issuer of access tokens: `iss`")
            .with_default_listed_as("PUBLIC_URL, or else switchyard")
            .optional::<TokenParty>();
        let issuer_of_url = public_url.as_ref().map(|url| TokenParty(url.as_str().to_owned()));
        let token_audience = environment
            .setting(
                "TOKEN_AUDIENCE",
                TokenParty::FORM,
                "the audience of access tokens, and their client: `aud` and `client_id`",
            )
            .or(TokenParty::default());
        let access_token_ttl = environment
            .setting("ACCESS_TOKEN_TTL", Lifetime::FORM, "how long an access token is valid")
            .or(Lifetime::minutes(15));
        let refresh_token_ttl = environment
            .setting("REFRESH_TOKEN_TTL", Lifetime::FORM, "how long a session lasts without a refresh")
            .or(Lifetime::days(30));
        let session_max_ttl = environment
            .setting(
                "SESSION_MAX_TTL",
                Lifetime::FORM,
                "how long a session lasts, however often it is refreshed",
            )
            .or(Lifetime::days(90));
        let refresh_grace = environment
            .setting(
                "REFRESH_GRACE",
                "a duration of up to 5m, as in 10s, or 0",
                "how long a refresh token that was used yields the same successor again",
            )
            .with_default_listed_as("10s")
            .optional_with(grace);
        let bcrypt_cost = environment
            .setting(
                "BCRYPT_COST",
                "a whole number from 4 to 14",
                "the cost of new password hashes; set it to at least the cost of every stored and imported hash, since a \
                 costlier hash takes longer to check than an unknown address, which reveals that the account exists",
            )
            .or_with(12, number_in(4..=14));
        let threads = environment
            .setting(
                "PASSWORD_HASH_THREADS",
                "a whole number from 1 to 1024",
                "how many passwords are hashed at once",
            )
            .with_default_listed_as("the number of cores")
            .or_with(cores, number_in(1..=1024));
        let first_admin = read_first_admin(environment);
        Some(Self {
            signing_keys: signing_keys?,
            password_pepper: password_pepper?,
            sign_in_keys: sign_in_keys?,
            public_url,
            token_issuer: token_issuer?.or(issuer_of_url).unwrap_or_default().0,
            token_audience: token_audience?.0,
            access_token_ttl: access_token_ttl?.into(),
            refresh_token_ttl: refresh_token_ttl?.into(),
            session_max_ttl: session_max_ttl?.into(),
            refresh_grace: refresh_grace?.unwrap_or(Duration::from_secs(10)),
            bcrypt_cost: bcrypt_cost?,
            password_hash_threads: threads?,
            first_admin: first_admin?,
        })
    }
}

impl IdentitySettings {
    /// The URL under which others find the API, as far as it is known: an issuer that is a URL is one.
    pub(crate) fn known_url(&self) -> Option<PublicUrl> {
        self.public_url.clone().or_else(|| self.token_issuer.trim_end_matches('/').parse().ok())
    }

    /// The secrets among the settings.
    pub fn secrets(&self) -> [&dyn ReplaceableSecret; 3] {
        [&self.signing_keys, &self.password_pepper, &self.sign_in_keys]
    }
}

fn read_first_admin(environment: &mut Environment) -> Option<Option<FirstAdmin>> {
    let email = environment
        .setting("ADMIN_EMAIL", "an e-mail address", "the first admin, created if there is no admin")
        .optional();
    let password = environment
        .setting(
            "ADMIN_PASSWORD",
            "a password",
            "the password of the first admin, which must be changed first",
        )
        .secret()
        .verbatim()
        .optional();
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

/// The issuer or the audience of tokens: a `StringOrURI` (RFC 7519 §2) of visible characters, so that no space or line break
/// makes two that look alike.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TokenParty(String);

impl TokenParty {
    const FORM: &'static str = "a name or a URL, as in switchyard or https://api.example.com";
}

impl Default for TokenParty {
    fn default() -> Self {
        Self("switchyard".to_owned())
    }
}

impl FromStr for TokenParty {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_url = |text: &str| {
            text.split_once(':').is_none_or(|(scheme, _)| {
                scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
                    && !scheme.is_empty()
            })
        };
        if text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic()) && is_url(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "must be a name or a URL of visible ASCII characters, as in switchyard or https://api.example.com",
            )
        }
    }
}

impl fmt::Display for TokenParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A longer time would hide a thief for no client's sake.
const LONGEST_GRACE: Duration = Duration::from_secs(5 * 60);

fn grace(text: &str) -> Result<Duration, &'static str> {
    let grace = match text {
        "0" | "0s" => Some(Duration::ZERO),
        text => text.parse::<Lifetime>().ok().map(Duration::from),
    };
    grace.filter(|grace| *grace <= LONGEST_GRACE).ok_or("must be a duration of up to 5m such as 10s, or 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const SECRETS: [&str; 3] = ["JWT_PRIVATE_KEY", "PASSWORD_PEPPER", "SIGN_IN_KEY"];

    fn read(variables: &[(&str, &str)]) -> Result<IdentitySettings, String> {
        let environment = Environment::of(variables.iter().copied());
        environment
            .read(|environment| IdentitySettings::read(environment, &SECRETS, None))
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let faults = read(&[
            ("PASSWORD_PEPPER", "short"),
            ("ACCESS_TOKEN_TTL", "soon"),
            ("SESSION_MAX_TTL", "0d"),
            ("REFRESH_GRACE", "6m"),
            ("BCRYPT_COST", "31"),
            ("TOKEN_ISSUER", "two words"),
            ("ADMIN_EMAIL", "nobody"),
        ]);
        let expected = "these settings are missing or malformed:\n\
            - JWT_PRIVATE_KEY is not set\n\
            - PASSWORD_PEPPER must hold keys of at least 32 characters each, separated by commas\n\
            - SIGN_IN_KEY is not set\n\
            - TOKEN_ISSUER must be a name or a URL of visible ASCII characters, as in switchyard or https://api.example.com\n\
            - ACCESS_TOKEN_TTL must be a duration such as 90s, 15m, 24h or 30d\n\
            - SESSION_MAX_TTL must be a duration such as 90s, 15m, 24h or 30d\n\
            - REFRESH_GRACE must be a duration of up to 5m such as 10s, or 0\n\
            - BCRYPT_COST must be a whole number from 4 to 14\n\
            - ADMIN_EMAIL must be an e-mail address";
        assert_eq!(faults.unwrap_err(), expected);
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let pem = SigningKeys::generate_pem().unwrap();
        let required = [("JWT_PRIVATE_KEY", pem.as_str()), ("PASSWORD_PEPPER", KEY), ("SIGN_IN_KEY", KEY)];
        let settings = read(&required).unwrap();
        assert_eq!(settings.access_token_ttl, Duration::from_secs(900));
        assert_eq!(settings.refresh_token_ttl, Duration::from_secs(2_592_000));
        assert_eq!(settings.session_max_ttl, Duration::from_secs(7_776_000));
        assert_eq!(settings.refresh_grace, Duration::from_secs(10));
        assert_eq!(settings.bcrypt_cost, 12);
        assert!(settings.first_admin.is_none());
        for off in ["0", "0s"] {
            let settings = read(&[&required[..], &[("REFRESH_GRACE", off)]].concat()).unwrap();
            assert_eq!(settings.refresh_grace, Duration::ZERO);
        }
        let half = read(&[&required[..], &[("ADMIN_EMAIL", "root@localhost")]].concat());
        assert!(half.unwrap_err().ends_with("- ADMIN_PASSWORD must be set, since ADMIN_EMAIL is"));
    }
}
