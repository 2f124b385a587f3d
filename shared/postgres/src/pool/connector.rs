//! Opens connections.

use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::Result;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::handshake::announced_process;
use crate::fault::{self, Fault, Outcome};
use crate::proxy::Proxy;
use crate::session::{Backend, Session};
use crate::settings::Settings;
use crate::tls;

/// Opens connections to one database.
pub(super) struct Connector {
    pub(super) settings: Settings,
    pub(super) tls: MakeRustlsConnect,
    pub(super) ambient: Ambient,
    pub(super) proxy: Proxy,
}

impl Connector {
    pub(super) fn new(settings: Settings, ambient: Ambient) -> Result<Self> {
        let tls = tls::connector(settings.root_certificates.as_ref())?;
        let proxy = Proxy::new(settings.prepare);
        settings.warn_if_unverified();
        Ok(Self { settings, tls, ambient, proxy })
    }

    /// Opens a connection and applies the settings of `expression`, unless a proxy pools transactions.
    pub(super) async fn start(&self, expression: &str) -> Outcome<Session> {
        let server = self.settings.server();
        let patience = self.patience();
        timeout(patience, self.start_in_time(expression, &server)).await.unwrap_or_else(|_| {
            Err(Fault::Unreachable(format!(
                "PostgreSQL at {server} did not answer within {} seconds",
                patience.as_secs()
            )))
        })
    }

    /// How long opening a connection may take.
    fn patience(&self) -> Duration {
        let config = &self.settings.config;
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
        self.settings.connect_timeout() * u32::try_from(hosts).unwrap_or(u32::MAX)
    }

    async fn start_in_time(&self, expression: &str, server: &str) -> Outcome<Session> {
        loop {
            let failed = |fault: Error| fault::of_connecting(server, &fault);
            let mut session = self.open().await.map_err(failed)?;
            if !self.proxy.is_there() {
                let announced = announced_process(session.client()).await;
                session.backend = configure(&session, announced, expression).await.map_err(failed)?;
                if session.backend.is_none() {
                    // Asking for the number may have tied the connection to one process.
                    self.proxy.note_other_process();
                    continue;
                }
            }
            session.used_at = (self.ambient.now(), Instant::now());
            return Ok(session);
        }
    }

    async fn open(&self) -> Result<Session, Error> {
        let config = &self.settings.config;
        match self.open_as(config).await {
            // Like libpq: if TLS is only preferred and the server has no usable certificate, connect without TLS.
            Err(fault) if config.get_ssl_mode() == SslMode::Prefer && fault::is_tls(&fault) => {
                self.open_as(config.clone().ssl_mode(SslMode::Disable)).await
            }
            opened => opened,
        }
    }

    async fn open_as(&self, config: &Config) -> Result<Session, Error> {
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let connection = tokio::spawn(async move {
            if let Err(fault) = connection.await {
                tracing::debug!(fault = fault::sentence_of(&fault), "a connection to PostgreSQL ended");
            }
        });
        Ok(Session::new(client, connection.abort_handle(), self.proxy.clone(), self.ambient.now()))
    }
}

/// Reads which server process serves the session, and applies the settings of `expression`. Does neither if it is
/// not the process that was announced, because a proxy then gives the process to other clients too.
async fn configure(session: &Session, announced: i32, expression: &str) -> Result<Option<Backend>, Error> {
    let hello = format!(
        "select pid, extract(epoch from backend_start), case when pid = {announced} then {expression} end \
         from pg_stat_get_activity(pg_backend_pid())"
    );
    let mut backend = None;
    for message in session.simple_query(&hello).await? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        if let (Some(Ok(pid)), Some(started)) = (row.get(0).map(str::parse), row.get(1)) {
            backend = Some(Backend { pid, started: started.to_owned() });
        }
    }
    Ok(backend.filter(|backend| backend.pid == announced))
}
