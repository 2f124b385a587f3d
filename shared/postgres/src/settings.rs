//! Parses the settings in the database URL.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use switchyard_database::{Error, Result};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// The default for the maximum number of connections.
const CONNECTIONS: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that has disappeared is noticed after about half a minute instead of the two hours that the system takes
/// by default.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of a URL `postgres://user:password@host:port/database?…`. The documentation of the crate lists the
/// parameters that this crate adds.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) max_connections: usize,
    pub(crate) is_proxied: bool,
    pub(crate) statement_timeout: Duration,
}

impl Settings {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
        check_address(address)?;
        let mut root_certificates = None;
        let mut max_connections = None;
        let mut is_proxied = false;
        let mut statement_timeout = STATEMENT_TIMEOUT;
        let mut rest = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let Some((name, value)) = form_urlencoded::parse(parameter.as_bytes()).next() else { continue };
            match &*name {
                "sslmode" => rest.push(match &*value {
                    // The certificate is always verified, because encryption to an unverified server does not
                    // protect the connection.
                    "verify-full" | "require" => "sslmode=require",
                    "prefer" => "sslmode=prefer",
                    "disable" => "sslmode=disable",
                    _ => return Err(invalid("sslmode must be disable, prefer, require or verify-full")),
                }),
                "sslrootcert" => root_certificates = Some(PathBuf::from(&*value)),
                "max_connections" => max_connections = Some(count(&name, &value, 1)?),
                "statement_timeout" => {
                    statement_timeout = Duration::from_secs(count(&name, &value, 0)? as u64);
                }
                "prepare" => {
                    is_proxied = match &*value {
                        "on" => false,
                        "off" => true,
                        _ => return Err(invalid("prepare must be on or off")),
                    }
                }
                _ => rest.push(parameter),
            }
        }
        let mut config = Config::from_str(&format!("{address}?{}", rest.join("&")))
            .map_err(|fault| invalid(&crate::fault::sentence_of(&fault)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(invalid("it does not contain a host"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if !parameters.contains("keepalives_idle=") {
            config.keepalives_idle(KEEPALIVE_IDLE);
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
        let default_connections = default_connections(|name| std::env::var(name).ok());
        Ok(Self {
            config,
            root_certificates,
            max_connections: max_connections.unwrap_or(default_connections),
            is_proxied,
            statement_timeout,
        })
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
            .field("is_proxied", &self.is_proxied)
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
        return Err(invalid("write an @ in the user's name or password as %40"));
    }
    match rest.find('@') {
        Some(end) if rest[..end].contains('/') => {
            Err(invalid("write a / in the user's name or password as %2F"))
        }
        _ => Ok(()),
    }
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
