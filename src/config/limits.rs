//! Bounds on connections, requests and time, before a request reaches the API.

use std::time::Duration;

use super::{ConfigError, Environment};

/// What the listener allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all; more wait in the kernel's queue.
    pub connections: usize,
    /// Open connections of one client address (IPv6: of one /64); more are closed.
    pub connections_per_address: u32,
    /// Requests of one client address that have no response yet; more are answered 429.
    pub requests_per_address: u32,
    /// Open watches of one user; more are answered 429.
    pub watches_per_user: usize,
    /// From a connection's first byte to the end of a request's head.
    pub request_head: Duration,
    /// A TLS handshake.
    pub tls_handshake: Duration,
    /// An idle connection between two requests. Kubernetes' clients drop theirs after 90 s; a server that is
    /// quicker makes them lose requests that cannot be repeated.
    pub keep_alive: Duration,
    /// Requests in progress when the server is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 4_096,
            requests_per_address: 1_024,
            watches_per_user: 2_000,
            request_head: Duration::from_secs(5),
            tls_handshake: Duration::from_secs(3),
            keep_alive: Duration::from_secs(95),
            drain: Duration::from_secs(20),
        }
    }
}

impl Limits {
    pub(super) fn resolve(
        connections: Option<usize>,
        connections_per_address: Option<u32>,
        requests_per_address: Option<u32>,
        watches_per_user: Option<usize>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let usual = Self::default();
        let limits = Self {
            connections: match connections {
                Some(number) => number,
                None => environment.number("STRONGROOM_MAX_CONNECTIONS")?.unwrap_or(usual.connections),
            },
            connections_per_address: match connections_per_address {
                Some(number) => number,
                None => environment
                    .number("STRONGROOM_MAX_CONNECTIONS_PER_ADDRESS")?
                    .unwrap_or(usual.connections_per_address),
            },
            requests_per_address: match requests_per_address {
                Some(number) => number,
                None => {
                    environment.number("STRONGROOM_MAX_REQUESTS_PER_ADDRESS")?.unwrap_or(usual.requests_per_address)
                }
            },
            watches_per_user: match watches_per_user {
                Some(number) => number,
                None => environment.number("STRONGROOM_MAX_WATCHES_PER_USER")?.unwrap_or(usual.watches_per_user),
            },
            ..usual
        };
        let zero = [
            ("--max-connections", limits.connections == 0),
            ("--max-connections-per-address", limits.connections_per_address == 0),
            ("--max-requests-per-address", limits.requests_per_address == 0),
            ("--max-watches-per-user", limits.watches_per_user == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((setting, _)) => Err(ConfigError::new(setting, "zero would refuse everybody: give at least 1")),
            None => Ok(limits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_settings_and_none_is_zero() {
        let environment = Environment::of(&[("STRONGROOM_MAX_CONNECTIONS", "7")]);
        assert_eq!(Limits::resolve(None, None, None, None, &environment).unwrap().connections, 7);
        assert_eq!(Limits::resolve(Some(8), None, None, None, &environment).unwrap().connections, 8);
        assert!(Limits::resolve(None, Some(0), None, None, &environment).is_err());
        let wrong = Environment::of(&[("STRONGROOM_MAX_CONNECTIONS", "many")]);
        assert!(Limits::resolve(None, None, None, None, &wrong).is_err());
    }
}
