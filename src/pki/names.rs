//! The names a server certificate stands for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// DNS names and addresses, as in a certificate's `subjectAltName`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Lower-case DNS names.
    pub dns: BTreeSet<String>,
    /// Addresses.
    pub addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// `localhost`, `127.0.0.1` and `::1`, which every server certificate has.
    #[must_use]
    pub fn local() -> Self {
        Self {
            dns: BTreeSet::from(["localhost".to_owned()]),
            addresses: BTreeSet::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        }
    }

    /// Adds a host, which is an address if it reads as one. An unspecified address (`0.0.0.0`) is no name.
    pub fn add(&mut self, host: &str) {
        match host.parse::<IpAddr>() {
            Ok(address) => self.add_address(address),
            Err(_) => {
                self.dns.insert(host.to_ascii_lowercase());
            }
        }
    }

    /// Adds an address unless it is unspecified.
    pub fn add_address(&mut self, address: IpAddr) {
        if !address.is_unspecified() {
            self.addresses.insert(address);
        }
    }

    /// Whether `host` (an address without brackets, or a name in any case) is among them.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        match host.parse::<IpAddr>() {
            Ok(address) => self.addresses.contains(&address),
            Err(_) => self.dns.contains(&host.to_ascii_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_no_name() {
        let mut names = Names::local();
        names.add("0.0.0.0");
        names.add("::");
        assert_eq!(names, Names::local());
        names.add("Vault.Example");
        names.add("10.0.0.1");
        assert!(names.contains("vault.EXAMPLE") && names.contains("10.0.0.1") && !names.contains("10.0.0.2"));
    }
}
