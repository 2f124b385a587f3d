//! Parses the settings in the database URL.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use switchyard_database::{Error, Result};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::tls::RootCertificates;

/// The default for the maximum number of connections.
const CONNECTIONS: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the 25 seconds that a request may take by default, so that the caller learns the cause.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
/// A peer that has disappeared is noticed after about half a minute instead of the two hours that the system takes
/// by default.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of a URL `postgres://user:password@host:port/database?…`. The documentation of the crate lists the
/// parameters that this crate adds.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) root_certificates: Option<RootCertificates>,
    pub(crate) max_connections: usize,
    /// Whether statements can be prepared. `None`: unless a proxy pools transactions.
    pub(crate) prepare: Option<bool>,
    pub(crate) statement_timeout: Duration,
}

impl Settings {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        Self::parse_in(url, |name| std::env::var(name).ok())
    }

    /// Like [`parse`](Self::parse), with the environment variables that `variable` returns.
    fn parse_in(url: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
        check_address(address)?;
        let mut root_certificates = None;
        let mut max_connections = None;
        let mut prepare = None;
        let mut has_ssl_mode = false;
        let mut statement_timeout = STATEMENT_TIMEOUT;
        let mut rest = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let Some((name, value)) = form_urlencoded::parse(parameter.as_bytes()).next() else { continue };
            match &*name {
                "sslmode" => {
                    has_ssl_mode = true;
                    rest.push(ssl_mode(&value)?);
                }
                "sslrootcert" => root_certificates = Some(RootCertificates::parse(&value)),
                "max_connections" => max_connections = Some(count(&name, &value, 1)?),
                "statement_timeout" => {
                    statement_timeout = Duration::from_secs(count(&name, &value, 0)? as u64);
                }
                "prepare" => {
                    prepare = match &*value {
                        "on" => Some(true),
                        "off" => Some(false),
                        _ => return Err(invalid("prepare must be on or off")),
                    }
                }
                // As in the URLs that Supabase and others show, which are made for Prisma.
                "pgbouncer" => match &*value {
                    "true" => prepare = Some(false),
                    "false" => {}
                    _ => return Err(invalid("pgbouncer must be true or false")),
                },
                _ => rest.push(parameter),
            }
        }
        let mut config = Config::from_str(&format!("{address}?{}", rest.join("&")))
            .map_err(|fault| invalid(&crate::fault::sentence_of(&fault)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(invalid("it does not contain a host"));
        }
        if !has_ssl_mode && !is_this_machine(&config) {
            config.ssl_mode(SslMode::Require);
        }
        if config.get_password().is_none()
            && let Some(password) = variable("PGPASSWORD").filter(|password| !password.is_empty())
        {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if !parameters.contains("keepalives_idle=") {
            config.keepalives_idle(KEEPALIVE_IDLE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(KEEPALIVE_INTERVAL);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(KEEPALIVE_RETRIES);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(TCP_USER_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("switchyard");
        }
        if config.get_ssl_mode() == SslMode::Require && config.get_hosts().is_empty() {
            return Err(invalid("a certificate can only be verified against a host name; set `host` too"));
        }
        let default_connections = default_connections(variable);
        Ok(Self {
            config,
            root_certificates,
            max_connections: max_connections.unwrap_or(default_connections),
            prepare,
            statement_timeout,
        })
    }

    /// Logs a warning if the connection may be read or changed on its way, because the certificate of the server
    /// is not verified.
    pub(crate) fn warn_if_unverified(&self) {
        if self.config.get_ssl_mode() != SslMode::Require && !is_this_machine(&self.config) {
            tracing::warn!(
                server = self.server(),
                "the connection to PostgreSQL may be unencrypted; use sslmode=verify-full unless the network is \
                 trusted"
            );
        }
    }

    /// How long to wait for a connection, including the login.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT)
    }

    /// Returns the address of the server, for messages.
    pub(crate) fn server(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = self.config.get_hostaddrs().iter().map(ToString::to_string);
        let names: Vec<_> =
            if self.config.get_hosts().is_empty() { addresses.collect() } else { hosts.collect() };
        let ports: Vec<_> = self.config.get_ports().iter().map(ToString::to_string).collect();
        match &ports[..] {
            [] => names.join(","),
            ports => format!("{}:{}", names.join(","), ports.join(",")),
        }
    }
}

/// Does not show the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.server())
            .field("user", &self.config.get_user())
            .field("database", &self.config.get_dbname())
            .field("sslmode", &self.config.get_ssl_mode())
            .field("max_connections", &self.max_connections)
            .field("prepare", &self.prepare)
            .finish_non_exhaustive()
    }
}

/// Rejects a URL in which part of the password would be parsed as the host and so appear in messages.
fn check_address(address: &str) -> Result<()> {
    let Some(rest) = address.strip_prefix("postgres://").or_else(|| address.strip_prefix("postgresql://"))
    else {
        return Err(invalid("it must begin with postgres://"));
    };
    if rest.matches('@').count() > 1 {
        return Err(invalid(
            "write an @ in the user's name or password as %40, or set the password with PGPASSWORD",
        ));
    }
    match rest.find('@') {
        Some(end) if rest[..end].contains('/') => Err(invalid(
            "write a / in the user's name or password as %2F, or set the password with PGPASSWORD",
        )),
        _ => Ok(()),
    }
}

/// Returns the parameter for tokio-postgres. The certificate is always verified if TLS is required, because
/// encryption to an unverified server does not protect the connection.
fn ssl_mode(value: &str) -> Result<&'static str> {
    match value {
        "verify-full" | "require" => Ok("sslmode=require"),
        "prefer" => Ok("sslmode=prefer"),
        "disable" => Ok("sslmode=disable"),
        _ => Err(invalid("sslmode must be disable, prefer, require or verify-full")),
    }
}

/// Whether all servers are on this machine: then nobody is between them and this program.
fn is_this_machine(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let is_loopback = |address: IpAddr| address.is_loopback();
            name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
        }
    })
}

fn count(name: &str, value: &str, least: usize) -> Result<usize> {
    let number = value.parse().ok().filter(|&number: &usize| (least..=100_000).contains(&number));
    number.ok_or_else(|| invalid(&format!("{name} must be a whole number from {least} to 100000")))
}

/// Returns the default for the maximum number of connections. An instance of a Lambda function handles one request
/// at a time, unless the environment sets a number, and there may be a thousand instances.
fn default_connections(variable: impl Fn(&str) -> Option<String>) -> usize {
    if variable("AWS_LAMBDA_RUNTIME_API").is_none() {
        return CONNECTIONS;
    }
    let requests = variable("AWS_LAMBDA_MAX_CONCURRENCY").and_then(|text| text.parse::<usize>().ok());
    requests.map_or(1, |requests| requests.clamp(1, CONNECTIONS))
}

fn invalid(why: &str) -> Error {
    Error::Invalid(format!("the database URL cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(url: &str) -> SslMode {
        Settings::parse(url).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn a_server_on_another_machine_must_prove_who_it_is_unless_the_url_says_otherwise() {
        for host in ["db.example.com", "10.0.0.7", "postgres", "localhost.example.com", "[2001:db8::1]"] {
            assert_eq!(mode_of(&format!("postgres://u:p@{host}/d")), SslMode::Require, "{host}");
            let prefer = format!("postgres://u:p@{host}/d?sslmode=prefer");
            assert_eq!(mode_of(&prefer), SslMode::Prefer, "{host}");
            let disable = format!("postgres://u:p@{host}/d?sslmode=disable");
            assert_eq!(mode_of(&disable), SslMode::Disable, "{host}");
        }
        for host in
            ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "[::1]", "%2Fvar%2Frun%2Fpostgresql"]
        {
            assert_eq!(mode_of(&format!("postgres://u:p@{host}/d")), SslMode::Prefer, "{host}");
            let full = format!("postgres://u:p@{host}/d?sslmode=verify-full");
            assert_eq!(mode_of(&full), SslMode::Require, "{host}");
        }
        assert_eq!(mode_of("postgres://u:p@localhost,db.example.com/d"), SslMode::Require);
        assert_eq!(mode_of("postgres://u:p@localhost/d?hostaddr=10.0.0.7"), SslMode::Require);
        assert_eq!(mode_of("postgres://u:p@db.example.com/d?hostaddr=127.0.0.1"), SslMode::Prefer);
    }

    #[test]
    fn a_proxy_can_be_named_in_several_ways() {
        let prepare = |parameters: &str| {
            Settings::parse(&format!("postgres://u:p@localhost/d?{parameters}"))
                .map(|settings| settings.prepare)
        };
        assert_eq!(prepare(""), Ok(None));
        assert_eq!(prepare("pgbouncer=false"), Ok(None));
        assert_eq!(prepare("prepare=on"), Ok(Some(true)));
        assert_eq!(prepare("prepare=off"), Ok(Some(false)));
        assert_eq!(prepare("pgbouncer=true"), Ok(Some(false)));
        let error = prepare("pgbouncer=yes").unwrap_err().to_string();
        assert_eq!(error, "invalid: the database URL cannot be used: pgbouncer must be true or false");
    }

    #[test]
    fn a_password_that_the_url_does_not_contain_comes_from_the_environment() {
        let password = |url: &str, variable: Option<&str>| {
            let in_environment = |name: &str| variable.filter(|_| name == "PGPASSWORD").map(str::to_owned);
            let settings = Settings::parse_in(url, in_environment).unwrap();
            settings.config.get_password().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        // It is taken as it is, so that no character needs an escape.
        assert_eq!(password("postgres://u@h/d", Some("p@ss/w:rd%40#?")).as_deref(), Some("p@ss/w:rd%40#?"));
        assert_eq!(password("postgres://u:of-url@h/d", Some("p")).as_deref(), Some("of-url"));
        assert_eq!(password("postgres://u@h/d?password=of-url", Some("p")).as_deref(), Some("of-url"));
        assert_eq!(password("postgres://u@h/d", Some("")), None);
        assert_eq!(password("postgres://u@h/d", None), None);
    }

    #[test]
    fn an_instance_on_lambda_has_a_connection_for_each_request_that_it_handles_at_once() {
        let in_an_instance_of = |requests: Option<&str>| {
            default_connections(|name| match name {
                "AWS_LAMBDA_RUNTIME_API" => Some("127.0.0.1:9001".to_owned()),
                "AWS_LAMBDA_MAX_CONCURRENCY" => requests.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(in_an_instance_of(None), 1);
        assert_eq!(in_an_instance_of(Some("4")), 4);
        assert_eq!(in_an_instance_of(Some("0")), 1);
        assert_eq!(in_an_instance_of(Some("64")), 10);
        assert_eq!(default_connections(|_| None), 10);
    }
}
