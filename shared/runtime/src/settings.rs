use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use switchyard_api::{ApiSettings, RateLimit};
use switchyard_kernel::AddressLimit;
use switchyard_settings::{Environment, Lifetime};

use crate::{BasePath, DatabaseUrl, LogSettings, Platform};

/// The settings of every program.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `DATABASE_URL` | the database, see [`DatabaseUrl`] | required |
/// | `HOST`, `PORT` | where a server listens | `127.0.0.1`, `3000` |
/// | `LOG` | what is logged, as in `info,switchyard=debug` | `info` |
/// | `LOG_FORMAT` | `json` or `text` | `json` on Lambda, else `text` |
/// | `DIAGNOSTICS` | whether strangers get `/metrics` and `/health`: `public` or `private` | `private` on Lambda, else `public` |
/// | `CORS_ORIGINS` | origins whose pages may call the API, separated by commas | none |
/// | `RATE_LIMIT` | requests of a client's address to anonymous auth routes, as in `100/15m`, or `off` | `100/15m` |
/// | `RATE_LIMIT_USER` | requests of a signed-in user, in the same form | `1000/15m` |
/// | `RATE_LIMIT_…` | requests of a client's address under a limit that a domain declares, in the same form | as declared |
/// | `TRUSTED_PROXIES` | addresses and networks whose `X-Forwarded-For` is trusted | none |
/// | `REQUEST_TIMEOUT` | how long a request may take | `25s` |
/// | `BASE_PATH` | the path below which the API is reached, as in `/shop`, see [`BasePath`] | none |
/// | `CLIENT_TIMEOUT` | how long a client of a server may take to send a request's head, and accept no data | `30s` |
/// | `KEEP_ALIVE_TIMEOUT` | how long a connection to a server may be idle between two requests | `75s` |
/// | `MAX_CONNECTIONS` | connections to a server at once; fewer if the limit of open files is lower | `10000` |
/// | `SHUTDOWN_DELAY` | how long a server still accepts clients after SIGTERM, while `/readyz` answers 503 | none |
/// | `SHUTDOWN_TIMEOUT` | how long running requests may continue after that | `20s` |
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the program runs as.
    pub platform: Platform,
    /// The database.
    pub database_url: DatabaseUrl,
    /// Where a server listens.
    pub address: SocketAddr,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Whether anyone may ask for the metrics and the version.
    pub diagnostics_are_public: bool,
    /// The settings of the API's conventions.
    pub api: ApiSettings,
    /// The path below which the API is reached.
    pub base_path: BasePath,
    /// How long a client may take to send the head of a request, and accept no data of an answer.
    pub client_timeout: Duration,
    /// How long a connection may be idle between two requests. A load balancer must close its idle connections first:
    /// otherwise it sends a request on one that is being closed, and answers 502. Those of AWS do so after 60 s.
    pub keep_alive_timeout: Duration,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// How long the server still accepts clients when it is told to stop. Its readiness check fails from the beginning, so
    /// that load balancers stop to send it requests.
    pub shutdown_delay: Duration,
    /// How long running requests may continue after that.
    pub shutdown_timeout: Duration,
}

impl Settings {
    /// Reads the settings. Returns `None` if one is missing or malformed; `environment` then has the fault.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Self::read_with(environment, [])
    }

    /// Like [`read`](Self::read), with the settings of the limits that the program's domains declare.
    pub fn read_with(
        environment: &mut Environment,
        limits: impl IntoIterator<Item = AddressLimit>,
    ) -> Option<Self> {
        let database_url = environment.required("DATABASE_URL");
        let host = environment.or_with("HOST", IpAddr::V4(Ipv4Addr::LOCALHOST), |text| {
            text.parse().map_err(|_| "must be an IP address, as in 127.0.0.1 or 0.0.0.0")
        });
        let port = environment
            .or_with("PORT", 3000, |text| text.parse().map_err(|_| "must be a number from 0 to 65535"));
        let log = LogSettings::read(environment);
        let platform = Platform::read(environment);
        let diagnostics =
            environment.or_with("DIAGNOSTICS", platform == Platform::Server, |text| match text {
                "public" => Ok(true),
                "private" => Ok(false),
                _ => Err("must be public or private"),
            });
        let api = read_api(environment, limits);
        let base_path = environment.or("BASE_PATH", BasePath::default());
        let client_timeout = environment.or("CLIENT_TIMEOUT", Lifetime::seconds(30));
        let keep_alive_timeout = environment.or("KEEP_ALIVE_TIMEOUT", Lifetime::seconds(75));
        let max_connections = environment.or_with("MAX_CONNECTIONS", 10_000, |text| {
            text.parse().ok().filter(|count| *count > 0).ok_or("must be a number, 1 or more")
        });
        let shutdown_delay = environment.optional::<Lifetime>("SHUTDOWN_DELAY");
        let shutdown_timeout = environment.or("SHUTDOWN_TIMEOUT", Lifetime::seconds(20));
        Some(Self {
            platform,
            database_url: database_url?,
            address: SocketAddr::new(host?, port?),
            log: log?,
            diagnostics_are_public: diagnostics?,
            api: api?,
            base_path: base_path?,
            client_timeout: client_timeout?.into(),
            keep_alive_timeout: keep_alive_timeout?.into(),
            max_connections: max_connections?,
            shutdown_delay: shutdown_delay?.map(Duration::from).unwrap_or_default(),
            shutdown_timeout: shutdown_timeout?.into(),
        })
    }
}

fn read_api(
    environment: &mut Environment,
    limits: impl IntoIterator<Item = AddressLimit>,
) -> Option<ApiSettings> {
    let defaults = ApiSettings::default();
    let cors_origins = environment.or("CORS_ORIGINS", defaults.cors_origins);
    let rate_limit = environment.or("RATE_LIMIT", defaults.rate_limit);
    let rate_limit_user = environment.or("RATE_LIMIT_USER", defaults.rate_limit_user);
    let mut address_limit = |limit: AddressLimit| {
        let default = RateLimit::per_minutes(limit.requests, limit.minutes);
        let setting = format!("RATE_LIMIT_{}", limit.name.to_ascii_uppercase());
        Some((limit.name.to_owned(), environment.or(&setting, default)?))
    };
    let address_limits: Vec<_> = limits.into_iter().map(&mut address_limit).collect();
    let trusted_proxies = environment.or("TRUSTED_PROXIES", defaults.trusted_proxies);
    let request_timeout = environment.optional::<Lifetime>("REQUEST_TIMEOUT");
    Some(ApiSettings {
        cors_origins: cors_origins?,
        rate_limit: rate_limit?,
        rate_limit_user: rate_limit_user?,
        address_limits: address_limits.into_iter().collect::<Option<_>>()?,
        trusted_proxies: trusted_proxies?,
        request_timeout: request_timeout?.map_or(defaults.request_timeout, Duration::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Environment::of(variables.iter().copied()).read(Settings::read).map_err(|faults| faults.to_string())
    }

    #[test]
    fn only_the_database_is_required() {
        let settings = read(&[("DATABASE_URL", "sqlite::memory:")]).unwrap();
        assert_eq!(settings.database_url, DatabaseUrl::SqliteMemory);
        assert_eq!(settings.address.to_string(), "127.0.0.1:3000");
        assert!(settings.diagnostics_are_public);
        assert_eq!(settings.api.rate_limit.to_string(), "100/900s");
        assert_eq!(settings.api.rate_limit_user.to_string(), "1000/900s");
        assert_eq!(settings.api.request_timeout, Duration::from_secs(25));
        assert_eq!(settings.base_path, BasePath::default());
        assert_eq!(settings.client_timeout, Duration::from_secs(30));
        assert_eq!(settings.keep_alive_timeout, Duration::from_secs(75));
        assert_eq!(settings.max_connections, 10_000);
        assert_eq!(settings.shutdown_delay, Duration::ZERO);
        assert_eq!(settings.shutdown_timeout, Duration::from_secs(20));
    }

    #[test]
    fn on_lambda_strangers_get_no_diagnostics_by_default() {
        let on_lambda = |setting: &str| {
            let settings = read(&[
                ("DATABASE_URL", "dynamodb://switchyard"),
                ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
                ("DIAGNOSTICS", setting),
            ]);
            settings.unwrap().diagnostics_are_public
        };
        assert_eq!([on_lambda(""), on_lambda("private"), on_lambda("public")], [false, false, true]);
    }

    #[test]
    fn all_faults_are_reported_in_one_message() {
        let faults = read(&[
            ("HOST", "localhost"),
            ("PORT", "http"),
            ("LOG", "loud=?"),
            ("LOG_FORMAT", "xml"),
            ("DIAGNOSTICS", "off"),
            ("CORS_ORIGINS", "example.com"),
            ("RATE_LIMIT", "many"),
            ("RATE_LIMIT_USER", "0/1m"),
            ("TRUSTED_PROXIES", "proxy"),
            ("REQUEST_TIMEOUT", "25"),
            ("BASE_PATH", "shop"),
            ("CLIENT_TIMEOUT", "0s"),
            ("KEEP_ALIVE_TIMEOUT", "75"),
            ("MAX_CONNECTIONS", "0"),
            ("SHUTDOWN_DELAY", "later"),
            ("SHUTDOWN_TIMEOUT", "soon"),
        ]);
        assert_eq!(
            faults.unwrap_err(),
            "these settings are missing or malformed:\n\
             - DATABASE_URL is not set\n\
             - HOST must be an IP address, as in 127.0.0.1 or 0.0.0.0\n\
             - PORT must be a number from 0 to 65535\n\
             - LOG must be a filter, as in info,switchyard_identity=debug\n\
             - LOG_FORMAT must be json or text\n\
             - DIAGNOSTICS must be public or private\n\
             - CORS_ORIGINS `example.com` is not an origin as in https://app.example.com\n\
             - RATE_LIMIT must be a number of requests and a time, as in 100/15m, or off\n\
             - RATE_LIMIT_USER must be a number of requests and a time, as in 100/15m, or off\n\
             - TRUSTED_PROXIES `proxy` is neither an address nor a network as in 10.0.0.0/8\n\
             - REQUEST_TIMEOUT must be a duration such as 90s, 15m, 24h or 30d\n\
             - BASE_PATH must be a path as in /shop, without a slash at its end\n\
             - CLIENT_TIMEOUT must be a duration such as 90s, 15m, 24h or 30d\n\
             - KEEP_ALIVE_TIMEOUT must be a duration such as 90s, 15m, 24h or 30d\n\
             - MAX_CONNECTIONS must be a number, 1 or more\n\
             - SHUTDOWN_DELAY must be a duration such as 90s, 15m, 24h or 30d\n\
             - SHUTDOWN_TIMEOUT must be a duration such as 90s, 15m, 24h or 30d"
        );
    }

    #[test]
    fn a_declared_limit_has_a_setting_of_its_own() {
        const SHOP: AddressLimit = AddressLimit { name: "shop", requests: 600, minutes: 15 };
        let read = |limit: &str| {
            let environment =
                Environment::of([("DATABASE_URL", "sqlite::memory:"), ("RATE_LIMIT_SHOP", limit)]);
            let settings = environment.read(|environment| Settings::read_with(environment, [SHOP]));
            settings.map(|settings| settings.api.address_limits["shop"].to_string())
        };
        assert_eq!(read("30/1m").unwrap(), "30/60s");
        assert_eq!(read("").unwrap(), "600/900s");
        let expected = "these settings are missing or malformed:\n- RATE_LIMIT_SHOP must be a number of requests and a time, \
                        as in 100/15m, or off";
        assert_eq!(read("many").unwrap_err().to_string(), expected);
    }
}
