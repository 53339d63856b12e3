//! Names to addresses: a host, a port and a deadline in; each address once and in canonical form out, and how long the
//! system's resolver took. An IP address is not looked up. Refuses nothing: the grant judges what comes out.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    time::Instant,
};

use tokio::{task, time};

use super::{
    clock::RunClock,
    error::{Fault, NetError, Tried},
};
use crate::report::Measured;

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
    let failed = |fault| NetError::new(Tried::Name(host.to_owned()), fault);
    let asked = Instant::now();
    let name = host.to_owned();
    // On a thread of its own, which also takes the times: whoever waits for it may wait for its turn as well.
    let looking_up = task::spawn_blocking(move || {
        let started = Instant::now();
        let found = (name.as_str(), port).to_socket_addrs();
        (found, started, Instant::now())
    });
    let looked_up = time::timeout_at(deadline.into(), looking_up).await;
    let Ok(looked_up) = looked_up else {
        clock.count_wait(asked, deadline);
        return Err(failed(Fault::ResolverSilent));
    };
    let (found, started, ended) = looked_up.map_err(|gone| failed(Fault::Resolver(gone.into())))?;
    clock.count_wait(started, ended);
    measured.dns = Some(ended - started);
    match found {
        Err(error) => Err(failed(Fault::Resolver(error))),
        Ok(found) => {
            let mut known = HashSet::new();
            let canonical = found.map(|address| SocketAddr::new(address.ip().to_canonical(), port));
            let addresses: Vec<SocketAddr> = canonical.filter(|address| known.insert(*address)).collect();
            if addresses.is_empty() {
                return Err(failed(Fault::NoAddress));
            }
            Ok(addresses)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalogue::HostError;

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
        assert_eq!(failed.host_error(), HostError::NameNotFound);
    }
}
