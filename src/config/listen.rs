//! Where the server listens, and under which names and ports clients reach it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ConfigError;

const LONGEST_DNS_NAME_CHARS: usize = 253;
const LONGEST_LABEL_CHARS: usize = 63;

/// A socket address; port 0 lets the operating system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// `127.0.0.1:8443`
    pub const DEFAULT: Self = Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443));

    /// `IP:PORT`, `[IPv6]:PORT` or `localhost:PORT`.
    pub fn parse(setting: &str, text: &str) -> Result<Self, ConfigError> {
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        numeric
            .as_deref()
            .unwrap_or(text)
            .parse()
            .map(Self)
            .map_err(|_| ConfigError::new(setting, "give an IP address and a port, for example 127.0.0.1:8443"))
    }

    /// The address to bind.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        self.0
    }

    /// Whether only this machine can connect.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

/// One `HOST:PORT` that clients use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertise {
    host: String,
    port: u16,
}

impl Advertise {
    /// A DNS name or IP address (IPv6 in brackets), a colon, a port of 1 to 65535.
    pub fn parse(setting: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::new(setting, "give HOST:PORT, for example vault.example.com:8443");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = if let Some(v6) = bracketed {
            v6.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?.to_string()
        } else {
            let host = host.to_ascii_lowercase();
            if host.parse::<Ipv4Addr>().is_err() && !is_dns_name(&host) {
                return Err(wrong());
            }
            host
        };
        Ok(Self { host, port })
    }

    pub(super) fn parse_list(setting: &str, items: &[String]) -> Result<Vec<Self>, ConfigError> {
        items.iter().map(|item| Self::parse(setting, item)).collect()
    }

    /// Lower-case name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Advertise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// RFC 1123 labels, of which the last is not all digits (it would be a mistyped address).
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL_CHARS).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= LONGEST_DNS_NAME_CHARS
        && name.split('.').all(is_label)
        && name.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_localhost() {
        let parse = |text| ListenAddress::parse("--listen", text);
        assert!(parse("localhost:0").unwrap().is_loopback());
        assert!(parse("[::1]:8443").unwrap().is_loopback());
        assert!(parse("[::ffff:127.0.0.1]:8443").unwrap().is_loopback());
        assert!(!parse("0.0.0.0:8443").unwrap().is_loopback());
        for wrong in ["8443", ":8443", "127.0.0.1", "example.com:443", "127.0.0.1:99999", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_advertised_address_is_a_name_or_an_address_with_a_port() {
        let parse = |text| Advertise::parse("--advertise", text);
        assert_eq!(parse("Vault.Example:443").unwrap().to_string(), "vault.example:443");
        assert_eq!(parse("[2001:DB8::1]:8443").unwrap().to_string(), "[2001:db8::1]:8443");
        assert_eq!(parse("10.0.0.1:1").unwrap().host(), "10.0.0.1");
        for wrong in [
            "vault",
            "vault:0",
            "vault:",
            "10.0.0.256:1",
            "a..b:1",
            "-a:1",
            "*.a:1",
            "a b:1",
            "u@h:1",
            "::1:1",
            "[x]:1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
