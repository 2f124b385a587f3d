//! The address of a request's client.

use std::net::IpAddr;
use std::str::FromStr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The address that opened the connection: the gateway's `sourceIp`, or the socket's peer. The runtime puts it
/// into the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(
    /// The address.
    pub IpAddr,
);

/// The proxies whose `X-Forwarded-For` is trusted: addresses and networks (CIDR), separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    fn include(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address.
    ///
    /// Each proxy appends the address of its peer to `X-Forwarded-For`; entries that the client wrote itself
    /// come before. So the list is read from its end while the addresses are trusted proxies. The first other
    /// address is the client.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        // A proxy may append to the client's own line. So each hop is decoded separately: bytes from the client
        // that are not text must not hide what the proxy appended.
        let lines = headers.get_all("x-forwarded-for").iter();
        for hop in lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).rev() {
            if !self.include(client) {
                break;
            }
            let Some(address) = read_hop(hop) else { break };
            client = address;
        }
        client
    }
}

/// Reads an address as proxies write it: sometimes with a port, and then IPv6 in brackets.
fn read_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop.trim_ascii()).ok()?;
    let address = hop
        .parse::<IpAddr>()
        .or_else(|_| hop.parse().map(|socket: std::net::SocketAddr| socket.ip()))
        .or_else(|_| hop.trim_matches(['[', ']']).parse());
    address.ok().map(|address| address.to_canonical())
}

/// The text is not a list of addresses and networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network as in 10.0.0.0/8")]
pub struct ParseProxiesError(String);

impl FromStr for TrustedProxies {
    type Err = ParseProxiesError;

    fn from_str(text: &str) -> Result<Self, ParseProxiesError> {
        let networks = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(|entry| {
            entry
                .parse::<IpNet>()
                .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| ParseProxiesError(entry.to_owned()))
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(client("", "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_its_client_only() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_followed_to_its_start() {
        assert_eq!(client("10.0.0.0/8, ::1", "::1", &["198.51.100.1", "10.0.0.7:4711"]), "198.51.100.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["10.0.0.7"]), "10.0.0.7");
    }

    #[test]
    fn an_entry_that_is_not_an_address_ends_the_chain() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
    }

    #[test]
    fn an_entry_that_is_not_text_does_not_affect_other_hops() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["é, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, é, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1", "é"]), "10.0.0.1");
    }

    #[test]
    fn an_ipv4_mapped_ipv6_address_is_the_ipv4_address() {
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn a_list_with_an_invalid_entry_is_refused() {
        let fault = "10.0.0.0/8, home".parse::<TrustedProxies>().unwrap_err();
        assert_eq!(fault.to_string(), "`home` is neither an address nor a network as in 10.0.0.0/8");
    }
}
