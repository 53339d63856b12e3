//! Connections for checks: what a job grants and how long it may take in; connections, bytes and instants out, and what was
//! measured on the way. Refuses every endpoint and address that the job does not grant. Knows nothing of wasm.

mod arriving;
mod clock;
mod connection;
mod deadline;
mod error;
mod outbound;
mod quota;
mod reach;
mod resolve;
mod run;
mod stream;
mod tcp;
mod tcp_info;
mod tls;
mod unresolved;

use std::io;

pub use self::{
    connection::Connection,
    error::NetError,
    outbound::Outbound,
    quota::Quota,
    reach::{NamedEndpoint, Reach},
    resolve::{NAME_SERVER_PORT, NameServers, RESOLV_CONF, RESOLV_CONF_BYTES, Resolver},
    stream::{Opened, Received, Secured},
    tls::{NoTls, SystemRoots, Tls, Trust, Verification, system_roots_file},
};

/// To be called when the program starts: the kernel stamps what arrives from a moment after it was first asked to. The error: this
/// one does not.
pub fn start() -> io::Result<()> {
    tcp::stamp_from_now_on()
}

#[cfg(test)]
mod tests;
