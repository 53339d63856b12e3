//! Names to addresses: a host and a port in; each address once and in canonical form out, and how long the system's resolver
//! took. An IP address is not looked up. Refuses nothing: the grant judges what comes out.

use std::{
    collections::HashSet,
    net::{SocketAddr, ToSocketAddrs},
    time::{Duration, Instant},
};

use tokio::{task, time};

use super::{error::Fault, run::Run};
use crate::host::{Host, Named};

/// What came of it.
pub(super) struct Resolved {
    /// None: nobody was asked, or nobody has answered.
    pub(super) took: Option<Duration>,
    /// At least one address.
    pub(super) found: Result<Vec<SocketAddr>, Fault>,
}

pub(super) async fn resolve(host: &Host, port: u16, run: &Run) -> Resolved {
    if let Named::Address(ip) = host.named() {
        return Resolved { took: None, found: Ok(vec![SocketAddr::new(*ip, port)]) };
    }
    let asked = Instant::now();
    let name = host.ascii().to_owned();
    // On a thread of its own, which also takes the times: whoever waits for it may wait for its turn as well.
    let looking_up = task::spawn_blocking(move || {
        let started = Instant::now();
        let found = (name.as_str(), port).to_socket_addrs();
        (found, started, Instant::now())
    });
    match time::timeout_at(run.deadline.into(), looking_up).await {
        Err(_late) => {
            run.clock.count_wait(asked, run.deadline);
            Resolved { took: None, found: Err(Fault::ResolverSilent) }
        }
        Ok(Err(gone)) => Resolved { took: None, found: Err(Fault::Resolver(gone.into())) },
        Ok(Ok((found, started, ended))) => {
            run.clock.count_wait(started, ended);
            let found = found.map_err(Fault::Resolver).and_then(|found| each_once(found, port));
            Resolved { took: Some(ended - started), found }
        }
    }
}

fn each_once(found: impl Iterator<Item = SocketAddr>, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    let mut known = HashSet::new();
    let canonical = found.map(|address| SocketAddr::new(address.ip().to_canonical(), port));
    let addresses: Vec<SocketAddr> = canonical.filter(|address| known.insert(*address)).collect();
    if addresses.is_empty() { Err(Fault::NoAddress) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::quota::Quota;

    fn run() -> Run {
        Run::new(Quota::new(0, 0), Instant::now() + Duration::from_secs(5))
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        for host in ["192.0.2.25", "2001:db8::25"] {
            let resolved = resolve(&host.parse().unwrap(), 25, &run()).await;
            assert_eq!(resolved.found.unwrap(), [SocketAddr::new(host.parse().unwrap(), 25)]);
            assert_eq!(resolved.took, None);
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_timed() {
        let resolved = resolve(&"localhost".parse().unwrap(), 25, &run()).await;
        let found = resolved.found.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 25));
        assert!(resolved.took.is_some());
    }
}
