//! Where a request comes from: the peer, or what a trusted proxy says of it. Nobody else's word counts.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use poem::http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The nearest address that is none of our proxies.
    pub ip: IpAddr,
    /// A program on this machine, asking without any proxy in between.
    pub is_local: bool,
}

impl Client {
    /// Told from the peer's address and, only if that is a trusted proxy, from its `X-Forwarded-For`: read from the
    /// right, where our own proxies write, up to the first address that is not one of them. What stands left of it
    /// was sent by the client and may be a lie.
    pub fn of(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let is_proxy = |ip: IpAddr| proxies.iter().any(|net| net.contains(&ip));
        let forwarded = headers.keys().any(|name| name == "forwarded" || name.as_str().starts_with("x-forwarded-"));
        if !is_proxy(peer) {
            return Self { ip: peer, is_local: peer.is_loopback() && !forwarded };
        }
        let mut ip = peer;
        let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            match address(hop.trim()) {
                Some(hop) => ip = hop,
                None => break,
            }
            if !is_proxy(ip) {
                break;
            }
        }
        Self { ip, is_local: false }
    }

    /// What a rate limit counts as one: an IPv4 address, or the /64 that an IPv6 subscriber has to himself.
    pub fn group(&self) -> IpAddr {
        match self.ip {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        }
    }
}

/// An address as proxies write it: bare, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.split(']').next()?.parse().ok();
    let with_port = || text.rsplit_once(':')?.0.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4);
    bare.or_else(bracketed).or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, lines: &[&str]) -> String {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        Client::of(peer.parse().unwrap(), &headers, &proxies).ip.to_string()
    }

    #[test]
    fn strangers_are_not_believed() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &[]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_counts() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.2.3.4"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(seen("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn ports_are_read_past_and_nonsense_ends_the_chain() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, nonsense, 10.9.9.9"]), "10.9.9.9");
        assert_eq!(seen("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn local_means_this_machine_and_no_proxy() {
        let local = |peer: &str, name: Option<&'static str>, proxies: &[IpNet]| {
            let mut headers = HeaderMap::new();
            if let Some(name) = name {
                headers.insert(name, "x".parse().unwrap());
            }
            Client::of(peer.parse().unwrap(), &headers, proxies).is_local
        };
        assert!(local("127.0.0.1", None, &[]) && local("::1", None, &[]));
        assert!(!local("203.0.113.9", None, &[]));
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-host"] {
            assert!(!local("127.0.0.1", Some(name), &[]), "{name}");
        }
        assert!(!local("127.0.0.1", None, &["127.0.0.1/32".parse().unwrap()]));
    }

    #[test]
    fn ipv6_is_grouped_by_subscriber() {
        let group = |ip: &str| Client { ip: ip.parse().unwrap(), is_local: false }.group().to_string();
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(group("198.51.100.1"), "198.51.100.1");
    }
}
