use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use switchyard_api::{ApiSettings, RateLimit};
use switchyard_kernel::AddressLimit;
use switchyard_settings::{Environment, Lifetime, PublicUrl, number_in};

use crate::{BasePath, DatabaseUrl, LogSettings, Platform};

/// The settings of every program.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the program runs as.
    pub platform: Platform,
    /// The database.
    pub database_url: DatabaseUrl,
    /// How long a server waits at its start for a database that does not answer yet.
    pub database_start_timeout: Duration,
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
    /// The URL under which clients reach the API, if it is known.
    pub public_url: Option<PublicUrl>,
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
        let database_url = environment
            .setting("DATABASE_URL", DatabaseUrl::FORM, "the database")
            .masked(DatabaseUrl::masked)
            .required();
        let database_timeout = environment
            .setting(
                "DATABASE_START_TIMEOUT",
                Lifetime::FORM,
                "how long a server waits at its start for a database that does not answer yet",
            )
            .or(Lifetime::seconds(30));
        let address = Self::read_address(environment);
        let log = LogSettings::read(environment);
        let platform = Platform::read(environment);
        let is_server = platform == Platform::Server;
        let diagnostics = environment
            .setting(
                "DIAGNOSTICS",
                "public or private",
                "whether strangers get `/metrics` and the version in `/health`",
            )
            .with_default_listed_as("public; private on Lambda")
            .optional_with(|text| match text {
                "public" => Ok(true),
                "private" => Ok(false),
                _ => Err("must be public or private"),
            });
        let api = read_api(environment, limits);
        let base_path = environment
            .setting(
                "BASE_PATH",
                "a path, as in /shop",
                "the path below which the API is reached, if a proxy or a custom domain does not remove it",
            )
            .optional();
        let public_url = environment
            .setting(
                "PUBLIC_URL",
                PublicUrl::FORM,
                "the URL under which clients reach the API, with its base path",
            )
            .optional();
        let client_timeout = environment
            .setting(
                "CLIENT_TIMEOUT",
                Lifetime::FORM,
                "how long a client of a server may take to send a request's head, and accept no data",
            )
            .or(Lifetime::seconds(30));
        let keep_alive_timeout = environment
            .setting(
                "KEEP_ALIVE_TIMEOUT",
                Lifetime::FORM,
                "how long a connection to a server may be idle between two requests",
            )
            .or(Lifetime::seconds(75));
        let max_connections = environment
            .setting(
                "MAX_CONNECTIONS",
                "a whole number from 1 to 1000000",
                "connections to a server at once; fewer if the limit of open files is lower",
            )
            .or_with(10_000, number_in(1..=1_000_000));
        let shutdown_delay = environment
            .setting(
                "SHUTDOWN_DELAY",
                Lifetime::FORM,
                "how long a server still accepts clients after SIGTERM, while /readyz answers 503",
            )
            .optional::<Lifetime>();
        let shutdown_timeout = environment
            .setting("SHUTDOWN_TIMEOUT", Lifetime::FORM, "how long running requests may continue after that")
            .or(Lifetime::seconds(20));
        Some(Self {
            platform,
            database_url: database_url?,
            database_start_timeout: database_timeout?.into(),
            address: address?,
            log: log?,
            diagnostics_are_public: diagnostics?.unwrap_or(is_server),
            api: api?,
            base_path: base_path?.unwrap_or_default(),
            public_url: public_url?,
            client_timeout: client_timeout?.into(),
            keep_alive_timeout: keep_alive_timeout?.into(),
            max_connections: max_connections?,
            shutdown_delay: shutdown_delay?.map(Duration::from).unwrap_or_default(),
            shutdown_timeout: shutdown_timeout?.into(),
        })
    }

    /// Reads where a server listens, for a program that only talks to it.
    pub fn read_address(environment: &mut Environment) -> Option<SocketAddr> {
        let host = environment
            .setting(
                "HOST",
                "an IP address; 0.0.0.0 for all of the machine",
                "the address on which a server listens",
            )
            .or_with(IpAddr::V4(Ipv4Addr::LOCALHOST), |text| {
                text.parse().map_err(|_| "must be an IP address, as in 127.0.0.1 or 0.0.0.0")
            });
        let port = environment
            .setting(
                "PORT",
                "a number from 0 to 65535; 0 for any free port",
                "the port on which a server listens",
            )
            .or_with(3000, number_in(0..=65_535));
        Some(SocketAddr::new(host?, port?))
    }
}

fn read_api(
    environment: &mut Environment,
    limits: impl IntoIterator<Item = AddressLimit>,
) -> Option<ApiSettings> {
    let defaults = ApiSettings::default();
    let cors_origins = environment
        .setting(
            "CORS_ORIGINS",
            "origins separated by commas, as in https://app.example.com, or *",
            "the origins whose pages and apps may call the API",
        )
        .optional();
    let cors_headers = environment
        .setting(
            "CORS_HEADERS",
            "names of headers separated by commas, as in traceparent, baggage",
            "request headers that these pages may send, beside those of the API",
        )
        .optional();
    let rate_limit = environment
        .setting(
            "RATE_LIMIT",
            RateLimit::FORM,
            "requests of a client's address to each auth route where something can be guessed, counted for each by itself",
        )
        .or(defaults.rate_limit);
    let rate_limit_user = environment
        .setting("RATE_LIMIT_USER", RateLimit::FORM, "requests of a signed-in user")
        .or(defaults.rate_limit_user);
    let rate_limit_timeout = environment
        .setting(
            "RATE_LIMIT_TIMEOUT_MS",
            "a number of milliseconds from 1 to 10000",
            "how long a request waits for the database to count it; after that, its instance counts alone",
        )
        .or_with(150, number_in(1..=10_000));
    let mut address_limit = |limit: AddressLimit| {
        let default = RateLimit::per_minutes(limit.requests, limit.minutes);
        let name = format!("RATE_LIMIT_{}", limit.name.to_ascii_uppercase());
        let meaning = "requests of a client's address to the routes that declare this limit";
        let setting = environment.setting(name, RateLimit::FORM, meaning);
        Some((limit.name.to_owned(), setting.or(default)?))
    };
    let address_limits: Vec<_> = limits.into_iter().map(&mut address_limit).collect();
    environment.family("RATE_LIMIT_");
    let trusted_proxies = environment
        .setting(
            "TRUSTED_PROXIES",
            "addresses and networks separated by commas, as in 10.0.0.0/8",
            "the proxies whose `X-Forwarded-For` is trusted",
        )
        .optional();
    let request_timeout = environment
        .setting("REQUEST_TIMEOUT", Lifetime::FORM, "how long a request may take")
        .or(Lifetime::seconds(25));
    Some(ApiSettings {
        cors_origins: cors_origins?.unwrap_or_default(),
        cors_headers: cors_headers?.unwrap_or_default(),
        rate_limit: rate_limit?,
        rate_limit_user: rate_limit_user?,
        rate_limit_timeout: Duration::from_millis(rate_limit_timeout?),
        address_limits: address_limits.into_iter().collect::<Option<_>>()?,
        trusted_proxies: trusted_proxies?.unwrap_or_default(),
        request_timeout: request_timeout?.into(),
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
        assert_eq!(settings.api.rate_limit.to_string(), "100/15m");
        assert_eq!(settings.api.rate_limit_user.to_string(), "1000/15m");
        assert_eq!(settings.api.rate_limit_timeout, Duration::from_millis(150));
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
            ("LOG", "loud"),
            ("LOG_FORMAT", "xml"),
            ("DIAGNOSTICS", "off"),
            ("CORS_ORIGINS", "example.com"),
            ("CORS_HEADERS", "traceparent; baggage"),
            ("RATE_LIMIT", "many"),
            ("RATE_LIMIT_USER", "0/1m"),
            ("RATE_LIMIT_TIMEOUT_MS", "150ms"),
            ("TRUSTED_PROXIES", "proxy"),
            ("REQUEST_TIMEOUT", "25"),
            ("BASE_PATH", "shop"),
            ("PUBLIC_URL", "api.example.com/"),
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
             - PORT must be a whole number from 0 to 65535\n\
             - LOG must be a filter of trace, debug, info, warn, error and off, as in info,switchyard_identity=debug\n\
             - LOG_FORMAT must be json or text\n\
             - DIAGNOSTICS must be public or private\n\
             - CORS_ORIGINS `example.com` is not an origin as in https://app.example.com: it has no scheme\n\
             - CORS_HEADERS `traceparent; baggage` is not the name of a header, as in traceparent\n\
             - RATE_LIMIT must be a number of requests and a time, as in 100/15m, or off\n\
             - RATE_LIMIT_USER must be a number of requests and a time, as in 100/15m, or off\n\
             - RATE_LIMIT_TIMEOUT_MS must be a whole number from 1 to 10000\n\
             - TRUSTED_PROXIES `proxy` is neither an address nor a network as in 10.0.0.0/8\n\
             - REQUEST_TIMEOUT must be a duration such as 90s, 15m, 24h or 30d\n\
             - BASE_PATH must be a path as in /shop, without a slash at its end\n\
             - PUBLIC_URL must be an http or https URL without a slash at its end, as in https://api.example.com or \
             https://example.com/shop\n\
             - CLIENT_TIMEOUT must be a duration such as 90s, 15m, 24h or 30d\n\
             - KEEP_ALIVE_TIMEOUT must be a duration such as 90s, 15m, 24h or 30d\n\
             - MAX_CONNECTIONS must be a whole number from 1 to 1000000\n\
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
        assert_eq!(read("30/1m").unwrap(), "30/1m");
        assert_eq!(read("").unwrap(), "600/15m");
        let expected = "these settings are missing or malformed:\n- RATE_LIMIT_SHOP must be a number of requests and a time, \
                        as in 100/15m, or off";
        assert_eq!(read("many").unwrap_err().to_string(), expected);
    }
}
