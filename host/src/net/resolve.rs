//! Names to addresses: a host, a port and a deadline in; each address once and in canonical form out, and how long the
//! system's resolver took. An IP address is not looked up. Refuses nothing: the grant judges what comes out.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use tokio::time;

use super::{clock::RunClock, error::NetError};
use crate::{catalogue::HostError, report::Measured};

pub(super) async fn resolve(
    host: &str,
    port: u16,
    clock: &RunClock,
    deadline: Instant,
    measured: &mut Measured,
) -> Result<Vec<SocketAddr>, NetError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let started = Instant::now();
    let looked_up = time::timeout_at(deadline.into(), tokio::net::lookup_host((host, port))).await;
    clock.count_wait(started, deadline.min(Instant::now()));
    match looked_up {
        Err(_late) => Err(NetError::new(HostError::ResolverTimeout, format!("resolve {host}: no answer"))),
        Ok(Err(error)) => {
            measured.dns = Some(started.elapsed());
            Err(NetError::resolve(host, &error))
        }
        Ok(Ok(found)) => {
            measured.dns = Some(started.elapsed());
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found {
                let address = SocketAddr::new(address.ip().to_canonical(), port);
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() {
                return Err(NetError::new(
                    HostError::NameNotFound,
                    format!("resolve {host}: it has no address"),
                ));
            }
            Ok(addresses)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        for host in ["192.0.2.25", "2001:db8::25"] {
            let mut measured = Measured::default();
            let found = resolve(host, 25, &RunClock::start(), soon(), &mut measured).await.unwrap();
            assert_eq!(found, [SocketAddr::new(host.parse().unwrap(), 25)]);
            assert_eq!(measured.dns, None);
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_timed() {
        let mut measured = Measured::default();
        let found = resolve("localhost", 25, &RunClock::start(), soon(), &mut measured).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 25));
        assert!(measured.dns.is_some());
    }

    #[tokio::test]
    async fn an_impossible_name_is_not_found() {
        let failed =
            resolve("a\0b", 25, &RunClock::start(), soon(), &mut Measured::default()).await.unwrap_err();
        assert_eq!(failed.host_error, HostError::NameNotFound);
    }
}
