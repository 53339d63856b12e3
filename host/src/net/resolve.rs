//! Names to addresses: a host and a port in; each address once and in canonical form out, those to be tried first in front, and how
//! long it was waited for. Names are looked up for all runs of the process together, without a thread for each. An IP address is
//! not looked up. Refuses nothing: the grant judges what comes out.

mod answer;
mod apart;
mod exchange;
mod hosts;
mod message;
mod order;
mod progress;
mod resolv_conf;
mod servers;
mod shared;

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::Path,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OnceCell, Semaphore};

use self::{
    answer::Answer, apart::apart, hosts::Hosts, progress::Progress, resolv_conf::Asking, servers::Servers,
    shared::Shared,
};
use super::{deadline::until, error::Fault, run::Run, unresolved::Unresolved};
use crate::{
    host::{Host, Named},
    output::{self, Level},
    regular,
};

pub use self::resolv_conf::PORT as NAME_SERVER_PORT;

const HOSTS: &str = "/etc/hosts";
/// Where the system names its servers.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Bytes of `resolv.conf`: a few lines.
pub const RESOLV_CONF_BYTES: usize = 64 << 10;

/// Who is asked for addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum NameServers {
    /// `/etc/hosts`, and the servers that `/etc/resolv.conf` names.
    #[default]
    Usual,
    /// `/etc/hosts`, and these.
    These(Vec<SocketAddr>),
    /// The system's library, which knows by `nsswitch.conf` of more, and takes a thread for each name.
    System,
}

/// Looks names up for a whole process; nothing is read before the first.
pub struct Resolver {
    asks: Arc<NameServers>,
    hosts: Hosts,
    servers: Arc<OnceCell<Arc<Servers>>>,
    shared: Arc<Shared>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(NameServers::default())
    }
}

impl Resolver {
    /// By these.
    #[must_use]
    pub fn new(asks: NameServers) -> Self {
        let hosts = Hosts::new(Path::new(HOSTS));
        Self { asks: Arc::new(asks), hosts, servers: Arc::default(), shared: Arc::new(Shared::here()) }
    }

    async fn answer(&self, host: &Host, name: &str) -> Arc<Answer> {
        let written = written(host);
        if *self.asks == NameServers::System {
            let ask = |progress| by_the_system(written.clone(), progress);
            return self.shared.answer(&written, ask).await;
        }
        let started = Instant::now();
        if let Some(found) = self.hosts.find(name).await.or_else(|| loopback(name)) {
            return Arc::new(answer(started, Ok(order::in_order(each_once(found))), Duration::ZERO));
        }
        let (servers, asks, asking) = (Arc::clone(&self.servers), Arc::clone(&self.asks), written.clone());
        let ask = async move |progress: Arc<Progress>| {
            progress.begins();
            let servers = servers.get_or_init(|| find_servers(&asks)).await;
            let started = Instant::now();
            let (found, holds) = servers.look_up(&asking, &progress).await;
            answer(started, found.map(|found| order::in_order(each_once(found))), holds)
        };
        self.shared.answer(&written, ask).await
    }

    /// Why there is no answer yet for those who wait for it.
    fn so_far(&self, host: &Host) -> Unresolved {
        let of = || self.servers.get().map_or_else(String::new, ToString::to_string);
        self.shared
            .so_far(&written(host))
            .unwrap_or_else(|| Unresolved::Queued { names: shared::AT_ONCE, of: of() })
    }
}

/// A dot at the end is not the same to whoever completes names.
fn written(host: &Host) -> String {
    host.ascii().to_ascii_lowercase()
}

async fn find_servers(asks: &NameServers) -> Arc<Servers> {
    let NameServers::These(addresses) = asks else {
        let read = || regular::bytes(Path::new(RESOLV_CONF), RESOLV_CONF_BYTES);
        // Where no thread is to be had, here.
        let read = apart(&READING, read).await.unwrap_or_else(|_none| read());
        let (text, unread) = match read {
            Ok(text) => (text, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let (asking, doubt) = Asking::of_system(&text);
        let servers = Servers::new(asking);
        if let Some(doubt) = unread.as_deref().or(doubt) {
            output::log(Level::Warning, &format!("names: {RESOLV_CONF}: {doubt}; asking {servers}"));
        }
        return Arc::new(servers);
    };
    Arc::new(Servers::new(Asking::these(addresses.clone())))
}

fn answer(started: Instant, found: Result<Vec<IpAddr>, Unresolved>, holds: Duration) -> Answer {
    Answer { started, ended: Instant::now(), found, holds }
}

/// What names these are needs no server to say (RFC 6761 section 6.3).
fn loopback(name: &str) -> Option<Vec<IpAddr>> {
    let is_local = name.strip_suffix("localhost").is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
    is_local.then(|| vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
}

/// Reads of `resolv.conf` that have not come back: each resolver wants one.
static READING: Semaphore = Semaphore::const_new(1);
/// Look-ups by the system's library that have not come back, whoever waits for them still, of the whole process: each has a thread.
static BY_THE_SYSTEM: Semaphore = Semaphore::const_new(shared::AT_ONCE);

/// On a thread of its own, which also takes the times: it may wait for that.
async fn by_the_system(name: String, progress: Arc<Progress>) -> Answer {
    let asked = Instant::now();
    let looking_up = apart(&BY_THE_SYSTEM, move || {
        progress.begins();
        let started = Instant::now();
        let found = (name.as_str(), 0).to_socket_addrs();
        let found = found.map(|found| each_once(found.map(|address| address.ip())));
        answer(started, found.map_err(|error| Unresolved::of_system(&error)), Duration::ZERO)
    });
    looking_up
        .await
        .unwrap_or_else(|none| answer(asked, Err(Unresolved::System(none.to_string())), Duration::ZERO))
}

fn each_once(found: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut known = HashSet::new();
    found.into_iter().map(|address| address.to_canonical()).filter(|address| known.insert(*address)).collect()
}

/// What came of it.
pub(super) struct Resolved {
    /// None: nobody was asked, or nobody has answered.
    pub(super) took: Option<Duration>,
    /// At least one address.
    pub(super) found: Result<Vec<SocketAddr>, Fault>,
}

pub(super) async fn resolve(host: &Host, port: u16, resolver: &Resolver, run: &Run) -> Resolved {
    let name = match host.named() {
        Named::Address(ip) => return Resolved { took: None, found: Ok(vec![SocketAddr::new(*ip, port)]) },
        Named::Name(name) => name,
    };
    let asked = Instant::now();
    // It is not dropped before it is asked how far it has come.
    let mut answering = pin!(resolver.answer(host, name));
    let Ok(answer) = until(run.deadline, answering.as_mut()).await else {
        run.clock.count_wait(asked, run.deadline);
        return Resolved { took: None, found: Err(Fault::Name(resolver.so_far(host))) };
    };
    // Of a look-up that others began before, and of an answer that was there: what this run waited.
    let started = asked.max(answer.started);
    // Its answer may have been seen late.
    let ended = started.max(answer.ended.min(run.deadline));
    // Also for its turn, which others had that nobody answers for.
    run.clock.count_wait(asked, ended);
    let found = match &answer.found {
        Ok(found) if found.is_empty() => Err(Fault::NoAddress),
        Ok(found) => Ok(found.iter().map(|ip| SocketAddr::new(*ip, port)).collect()),
        Err(why) => Err(Fault::Name(why.clone())),
    };
    Resolved { took: Some(ended - started), found }
}

#[cfg(test)]
mod tests;
