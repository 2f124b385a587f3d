//! The check of a running server, for container engines and scripts: the image contains no HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use switchyard_runtime::{Environment, Settings};
use tokio::net::TcpStream;

/// The time for the whole check. The server gives the database two seconds before it answers that it is not ready.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Asks the server that listens on `HOST` and `PORT` whether it is ready, and prints its answer.
///
/// # Errors
///
/// Fails if the server does not answer within [`TIMEOUT`], or answers that it is not ready.
pub(crate) async fn check() -> anyhow::Result<()> {
    let address = reachable(Environment::of_process().read(Settings::read_address)?);
    let url = format!("http://{address}/readyz");
    let (status, body) = tokio::time::timeout(TIMEOUT, get_readiness(address))
        .await
        .map_err(|_| anyhow!("{url} was not answered within {} seconds", TIMEOUT.as_secs()))?
        .with_context(|| format!("{url} cannot be read"))?;
    ensure!(status == StatusCode::OK, "{url} answered {status}: {body}");
    println!("{url} answered {status}: {body}");
    Ok(())
}

/// Returns the address at which this machine reaches a server that listens on `address`. The unspecified address stands
/// for all addresses of the machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn get_readiness(address: SocketAddr) -> anyhow::Result<(StatusCode, String)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/readyz").header(header::HOST, address.to_string());
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_the_loopback_address() {
        let asked = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:3000"), "127.0.0.1:3000");
        assert_eq!(asked("[::]:3000"), "[::1]:3000");
        assert_eq!(asked("10.0.0.7:80"), "10.0.0.7:80");
    }
}
