//! Ports for programs that cannot be given a socket, and that start again where they were.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// An address of this machine that nobody else is given as long as this lives. Who sets `SO_REUSEPORT` listens there.
pub struct HeldPort {
    _socket: OwnedFd,
    /// The address.
    pub address: SocketAddr,
}

impl HeldPort {
    /// Takes a free one.
    pub fn take() -> Self {
        // Bound and never listening: connections go to the program alone.
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = getsockname(&socket).unwrap().try_into().unwrap();
        Self { _socket: socket, address }
    }
}
