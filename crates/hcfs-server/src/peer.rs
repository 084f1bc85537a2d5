//! Where a request comes from: the address at the other end of its connection, or the one a trusted proxy names.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderMap;

/// The header in which proxies say whom they speak for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where a request comes from; among the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Addresses that share their first bits, as `10.0.0.0/8`; a single one without a slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// Why a text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address, or an address and a number of bits as in 10.0.0.0/8")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| NetworkError)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(NetworkError) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl Peer {
    /// Who sent a request over a connection from `connection`.
    ///
    /// The header is a list that each proxy appends to, so it is read from its end, and only as far as each proxy that
    /// appended is trusted: what a client wrote into it itself is never reached.
    pub(crate) fn of(connection: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let mut peer = connection.to_canonical();
        let named = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|value| value.split(',')).collect();
        for name in named.into_iter().rev() {
            if !is_trusted(peer, trusted) {
                break;
            }
            let Ok(named) = name.trim().parse::<IpAddr>() else { break };
            peer = named.to_canonical();
        }
        Self(peer)
    }

    /// What limits are counted by: an IPv6 customer has a whole network of addresses.
    pub(crate) fn counted(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        }
    }
}

/// Whether an address is one of the proxies'.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn peer(connection: &str, header: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in header {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        Peer::of(connection.parse().unwrap(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn a_header_counts_as_far_as_its_writers_are_trusted() {
        for (connection, header, trusted, expected) in [
            ("192.0.2.1", &["198.51.100.7"][..], &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], &["192.0.2.2"], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], &["192.0.2.1"], "198.51.100.7"),
            ("192.0.2.1", &["6.6.6.6, 198.51.100.7"], &["192.0.2.0/24"], "198.51.100.7"),
            ("192.0.2.1", &["6.6.6.6", "198.51.100.7, 192.0.2.9"], &["192.0.2.0/24"], "198.51.100.7"),
            ("192.0.2.1", &["192.0.2.9"], &["192.0.2.0/24"], "192.0.2.9"),
            ("192.0.2.1", &["garbage"], &["192.0.2.1"], "192.0.2.1"),
            ("192.0.2.1", &[], &["192.0.2.1"], "192.0.2.1"),
            ("::ffff:192.0.2.1", &["2001:db8::1"], &["192.0.2.1/32"], "2001:db8::1"),
            ("2001:db8::1", &["198.51.100.7"], &["2001:db8::/32"], "198.51.100.7"),
            ("2001:db9::1", &["198.51.100.7"], &["2001:db8::/32"], "2001:db9::1"),
            ("203.0.113.5", &["198.51.100.7"], &["0.0.0.0/0"], "198.51.100.7"),
        ] {
            assert_eq!(peer(connection, header, trusted), expected, "{connection} {header:?} {trusted:?}");
        }
    }

    #[test]
    fn a_network_of_addresses_counts_as_one_client() {
        let counted = |text: &str| Peer(text.parse().unwrap()).counted().to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "host", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "/8"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
