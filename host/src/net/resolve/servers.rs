//! Name servers, asked by DNS: a name in; its addresses, or why it has none, and how long that holds, out. Each server is asked by
//! itself, so that it is known which one said what, and so that the next one is asked where one fails or is silent for a while.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RecordType},
    },
    system_conf::parse_resolv_conf,
};
use nix::errno::Errno;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::sockets::{self, Sockets};
use crate::net::unresolved::Unresolved;

/// Of a server that does not say.
pub const PORT: u16 = 53;

/// So long an address holds, whatever its server says: names move while a process runs.
const HOLDS: Duration = Duration::from_hours(1);

/// So long it holds that there is none: whoever has just added a name is not to wait.
const ABSENT_HOLDS: Duration = Duration::from_secs(30);

/// A server that is silent for so long has the next one beside it: well beyond a round trip, and well within a job's time.
const NEXT: Duration = Duration::from_secs(1);

/// So long the other family is waited for where one has addresses: some servers never answer for IPv6.
const OTHER_FAMILY: Duration = Duration::from_millis(500);

/// Addresses of each family that are looked at; an answer has room for thousands.
const ADDRESSES: usize = 256;

/// As the C library has it, whatever stands in `resolv.conf`.
const MOST_ATTEMPTS: usize = 5;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Questions at once on one connection, by TCP.
const ON_A_CONNECTION: usize = 256;

/// Name servers, and what they are asked for where a name is not whole.
pub(super) struct Servers {
    all: Vec<Arc<Server>>,
    search: Vec<Name>,
    /// A name with as many is tried as it is first.
    dots: usize,
    /// So long the others are waited for where one has failed: nearly as long as each has in all, so that it is the failure that is told,
    /// and not by chance the end of a job's time.
    patience: Duration,
}

/// What came of it, and how long it holds.
pub(super) type Found = (Result<Vec<IpAddr>, Unresolved>, Duration);

struct Server {
    address: SocketAddr,
    resolver: Resolver<Sockets>,
    /// What the system said last of the sockets to it.
    system: sockets::Said,
    /// It was, when it was last asked: it is asked after the others.
    is_silent: AtomicBool,
}

/// What one server says.
enum Said {
    Addresses(Vec<IpAddr>, Duration),
    /// Why not.
    None(Unresolved, Duration),
    Failed(Unresolved),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.port() {
            PORT => write!(f, "{}", self.address.ip()),
            _ => write!(f, "{}", self.address),
        }
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.all.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

impl Servers {
    /// These, and every name as it is.
    pub(super) fn new(addresses: &[SocketAddr]) -> Self {
        let mut options = ResolverOpts::default();
        // As where `resolv.conf` does not say: what is too long for that comes by TCP.
        options.edns0 = false;
        Self::by(addresses.iter().copied(), Vec::new(), &options)
    }

    /// By the text of `resolv.conf`, and what is wrong with it: where it names no server, that on this machine is asked.
    pub(super) fn of_system(resolv_conf: &[u8]) -> (Self, Option<&'static str>) {
        let none = "it names no server";
        let read = |text: &[u8], doubt| {
            let local =
                || Some((parse_resolv_conf([text, b"\nnameserver 127.0.0.1\n"].concat()).ok()?, Some(none)));
            parse_resolv_conf(text).ok().map(|read| (read, doubt)).or_else(local)
        };
        // As by the C library, a domain that is none costs nobody his name servers.
        let odd = Some("a domain in `search` is not one, and is left out");
        let read = read(resolv_conf, None).or_else(|| read(&usual_domains(resolv_conf), odd));
        let (read, doubt) = match read {
            Some((read, doubt)) => (Some(read), doubt),
            None => (None, Some("it cannot be understood")),
        };
        let Some((config, options)) = read else {
            return (Self::new(&[(Ipv4Addr::LOCALHOST, PORT).into()]), doubt);
        };
        let (domain, mut search, servers) = config.into_parts();
        // As the C library: the machine's own domain only where nothing is said.
        if search.is_empty() {
            search.extend(domain);
        }
        // The parser drops the scope, and without it nobody is there.
        let has_scope = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let mut asked: Vec<_> = servers.iter().map(|server| server.ip).filter(|ip| !has_scope(ip)).collect();
        let doubt = if asked.is_empty() {
            asked.push(Ipv4Addr::LOCALHOST.into());
            Some("it names only link-local servers, which `system = true` in [resolver] asks")
        } else {
            doubt
        };
        (Self::by(asked.into_iter().map(|ip| (ip, PORT).into()), search, &options), doubt)
    }

    fn by(addresses: impl Iterator<Item = SocketAddr>, search: Vec<Name>, options: &ResolverOpts) -> Self {
        let servers = addresses.filter_map(|address| Server::new(address, options).map(Arc::new));
        let patience = in_all(options) * 4 / 5;
        Self { all: servers.collect(), search, dots: options.ndots, patience }
    }

    /// The names that one stands for, in the order in which they are asked for.
    fn meant(&self, name: &str) -> Vec<Name> {
        let Ok(name) = Name::from_ascii(name) else { return Vec::new() };
        let mut whole = name.clone();
        whole.set_fqdn(true);
        if name.is_fqdn() {
            return vec![whole];
        }
        let mut meant: Vec<_> =
            self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
        let is_first = usize::from(name.num_labels()) > self.dots;
        meant.insert(if is_first { 0 } else { meant.len() }, whole);
        meant.dedup();
        meant
    }

    /// Looks a name up, a dot at whose end says that it is whole.
    pub(super) async fn look_up(&self, name: &str) -> Found {
        let (mut absent, mut failed) = ((Unresolved::NoName(None), Duration::ZERO), None);
        for meant in self.meant(name) {
            match self.ask(&meant).await {
                Said::Addresses(found, holds) => return (Ok(found), holds),
                Said::None(why, holds) => absent = (why, holds),
                Said::Failed(why @ Unresolved::Silent(_)) => return (Err(why), Duration::ZERO),
                // Another domain of the list may be another server's.
                Said::Failed(why) => failed = failed.or(Some(why)),
            }
        }
        match failed {
            Some(why) => (Err(why), Duration::ZERO),
            None => (Err(absent.0), absent.1),
        }
    }

    /// One server after the other, until one can tell.
    async fn ask(&self, name: &Name) -> Said {
        let mut turns = self.all.clone();
        turns.sort_by_key(|server| server.is_silent.load(Ordering::Relaxed));
        let mut turns = turns.into_iter();
        let (mut asking, mut failed, mut last) = (JoinSet::new(), None, None);
        loop {
            if let Some(server) = turns.next() {
                asking.spawn(Arc::clone(&server).ask(name.clone()));
                last = Some(server);
            }
            tokio::select! {
                said = asking.join_next() => match said {
                    Some(Ok(Said::Failed(Unresolved::Silent(_)))) => {}
                    Some(Ok(Said::Failed(why))) => failed = Some(why),
                    Some(Ok(said)) => return said,
                    Some(Err(gone)) => failed = Some(Unresolved::System(gone.to_string())),
                    None => return Said::Failed(failed.unwrap_or_else(|| Unresolved::Silent(self.to_string()))),
                },
                () = sleep(self.patience), if turns.len() == 0 && failed.is_some() => {
                    if let Some(why) = failed.take() {
                        return Said::Failed(why);
                    }
                }
                () = sleep(NEXT), if turns.len() > 0 => if let Some(server) = &last {
                    server.is_silent.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}

/// So long a server has for its answer.
fn in_all(options: &ResolverOpts) -> Duration {
    let attempts = u32::try_from(options.attempts.clamp(1, MOST_ATTEMPTS)).unwrap_or(1);
    options.timeout.clamp(Duration::from_secs(1), LONGEST_TIMEOUT) * attempts
}

/// `resolv.conf` without the domains of `search` and `domain` that are none.
fn usual_domains(resolv_conf: &[u8]) -> Vec<u8> {
    let is_usual = |domain: &&[u8]| {
        parse_resolv_conf([b"nameserver 127.0.0.1\nsearch ".as_slice(), domain, b"\n"].concat()).is_ok()
    };
    let mut text = Vec::new();
    for line in resolv_conf.split(|byte| *byte == b'\n') {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match words.next() {
            Some(key @ (b"search" | b"domain")) => {
                let usual: Vec<_> = words.filter(is_usual).collect();
                if !usual.is_empty() {
                    text.extend([[key].as_slice(), &usual].concat().join(&b' '));
                }
            }
            _ => text.extend(line),
        }
        text.push(b'\n');
    }
    text
}

impl Server {
    /// None: it cannot be asked at all.
    fn new(address: SocketAddr, by: &ResolverOpts) -> Option<Self> {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = address.port();
            connection
        });
        let server = NameServerConfig::new(address.ip(), true, connections.into());
        let config = ResolverConfig::from_name_servers(vec![server]);
        let sockets = Sockets::default();
        let system = sockets.said();
        let mut resolver = Resolver::builder_with_config(config, sockets);
        let options = resolver.options_mut();
        // What is lost is sent again within it; what failed is not asked again.
        options.timeout = in_all(by);
        options.attempts = 0;
        options.edns0 = by.edns0;
        options.max_active_requests = ON_A_CONNECTION;
        // Both stand before this, for all servers.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        Some(Self { address, resolver: resolver.build().ok()?, system, is_silent: AtomicBool::new(false) })
    }

    async fn ask(self: Arc<Self>, name: Name) -> Said {
        let said = self.both(&name).await;
        if !matches!(said, Said::Failed(Unresolved::Silent(_))) {
            self.is_silent.store(false, Ordering::Relaxed);
        }
        said
    }

    /// For both families at once; addresses of one are enough.
    async fn both(&self, name: &Name) -> Said {
        let mut v6 = pin!(self.family(name, RecordType::AAAA));
        let mut v4 = pin!(self.family(name, RecordType::A));
        let (first, mut other) = tokio::select! {
            first = &mut v6 => (first, v4),
            first = &mut v4 => (first, v6),
        };
        let second = if matches!(first, Said::Addresses(..)) {
            let silent = || Said::Failed(Unresolved::Silent(self.to_string()));
            timeout(OTHER_FAMILY, &mut other).await.unwrap_or_else(|_late| silent())
        } else {
            other.await
        };
        match (first, second) {
            (Said::Addresses(first, one), Said::Addresses(second, other)) => {
                Said::Addresses([first, second].concat(), one.min(other))
            }
            (Said::Addresses(found, holds), Said::None(..))
            | (Said::None(..), Said::Addresses(found, holds)) => Said::Addresses(found, holds),
            // Those of the other family are to be asked for again.
            (Said::Addresses(found, _), Said::Failed(_)) | (Said::Failed(_), Said::Addresses(found, _)) => {
                Said::Addresses(found, Duration::ZERO)
            }
            (Said::None(why, one), Said::None(_, other)) => Said::None(why, one.min(other)),
            // There may be addresses.
            (Said::Failed(why), _) | (_, Said::Failed(why)) => Said::Failed(why),
        }
    }

    async fn family(&self, name: &Name, family: RecordType) -> Said {
        let by = self.to_string();
        match self.resolver.lookup(name.clone(), family).await {
            Ok(lookup) => {
                let found = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
                let found: Vec<_> = found.take(ADDRESSES).collect();
                if found.is_empty() {
                    return Said::None(Unresolved::NoAddress(by), Duration::ZERO);
                }
                let holds = lookup.valid_until().saturating_duration_since(Instant::now());
                Said::Addresses(found, holds.min(HOLDS))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let holds = Duration::from_secs(none.negative_ttl.unwrap_or_default().into());
                let why = match none.response_code {
                    ResponseCode::NXDomain => Unresolved::NoName(Some(by)),
                    _ => Unresolved::NoAddress(by),
                };
                Said::None(why, holds.min(ABSENT_HOLDS))
            }
            Err(error) => Said::Failed(failure(by, &error, self.system.last())),
        }
    }
}

/// Its words, where the system has said something of the sockets.
fn failure(by: String, error: &NetError, system: Option<i32>) -> Unresolved {
    match error {
        NetError::Timeout => Unresolved::Silent(by),
        NetError::Dns(DnsError::ResponseCode(code)) => {
            let (is_refusal, code) = match code {
                ResponseCode::Refused => (true, "REFUSED".to_owned()),
                ResponseCode::NotAuth => (true, "NOTAUTH".to_owned()),
                ResponseCode::NotImp => (true, "NOTIMP".to_owned()),
                ResponseCode::ServFail => (false, "SERVFAIL".to_owned()),
                ResponseCode::FormErr => (false, "FORMERR".to_owned()),
                other => (false, other.to_string()),
            };
            if is_refusal { Unresolved::Refused(by, code) } else { Unresolved::Failed(by, code) }
        }
        NetError::Io(_) | NetError::NoConnections => match system {
            // Not the server's fault.
            Some(number) if matches!(Errno::from_raw(number), Errno::EMFILE | Errno::ENFILE) => {
                Unresolved::Os(number)
            }
            Some(number) => Unresolved::Failed(by, Errno::from_raw(number).desc().to_lowercase()),
            None => Unresolved::Failed(by, error.to_string()),
        },
        other => Unresolved::Failed(by, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(resolv_conf: &str, name: &str) -> String {
        let (servers, _) = Servers::of_system(resolv_conf.as_bytes());
        let names: Vec<_> = servers.meant(name).iter().map(Name::to_ascii).collect();
        names.join(" ")
    }

    #[test]
    fn a_name_is_completed_as_the_c_library_does() {
        let text = "nameserver 192.0.2.53\nsearch a.example b.example\n";
        assert_eq!(meant(text, "mx1"), "mx1.a.example. mx1.b.example. mx1.");
        assert_eq!(meant(text, "mx1.c"), "mx1.c. mx1.c.a.example. mx1.c.b.example.");
        assert_eq!(meant(text, "mx1."), "mx1.");
        let many_dots = text.to_owned() + "options ndots:2\n";
        assert_eq!(meant(&many_dots, "mx1.c"), "mx1.c.a.example. mx1.c.b.example. mx1.c.");
        assert_eq!(meant(&many_dots, "mx1.c.d"), "mx1.c.d. mx1.c.d.a.example. mx1.c.d.b.example.");
        assert_eq!(meant("nameserver 192.0.2.53\ndomain c.example\n", "mx1"), "mx1.c.example. mx1.");
        assert_eq!(meant("nameserver 192.0.2.53\nsearch .\n", "mx1"), "mx1.");
        assert_eq!(meant(text, "_mx1.a"), "_mx1.a. _mx1.a.a.example. _mx1.a.b.example.");
        assert_eq!(meant(text, &"a".repeat(64)), "");
        let alone = Servers::new(&["192.0.2.53:53".parse().unwrap()]);
        assert_eq!(alone.meant("mx1").iter().map(Name::to_ascii).collect::<String>(), "mx1.");
    }

    #[test]
    fn a_domain_that_is_none_is_left_out_and_the_servers_are_asked() {
        let overlong = "a".repeat(64);
        for odd in
            ["corp.local\\000", ".corp.local", "corp..local", "corp.local\0", "\"corp.local\"", &*overlong]
        {
            let text = format!("search a.example {odd} b.example\nnameserver 192.0.2.53\noptions ndots:2\n");
            let (servers, doubt) = Servers::of_system(text.as_bytes());
            assert_eq!(servers.to_string(), "192.0.2.53", "{odd}");
            assert_eq!(doubt, Some("a domain in `search` is not one, and is left out"), "{odd}");
            assert_eq!(meant(&text, "mx1.c"), "mx1.c.a.example. mx1.c.b.example. mx1.c.", "{odd}");
        }
    }

    #[test]
    fn where_no_server_is_named_that_of_this_machine_is_asked() {
        let of = |text: &str| {
            let (servers, doubt) = Servers::of_system(text.as_bytes());
            (servers.to_string(), doubt)
        };
        assert_eq!(of("nameserver 192.0.2.53\nnameserver ::1"), ("192.0.2.53, ::1".to_owned(), None));
        assert_eq!(of("").0, "127.0.0.1");
        assert_eq!(of("search a.example").1, Some("it names no server"));
        assert_eq!(meant("search a.example", "mx1"), "mx1.a.example. mx1.");
        let overlong = format!("search {}.example", "a".repeat(64));
        assert_eq!(of(&overlong), ("127.0.0.1".to_owned(), Some("it names no server")));
        let scoped = "nameserver fe80::1%eth0\n";
        assert!(of(scoped).0 == "127.0.0.1" && of(scoped).1.unwrap().contains("link-local"));
        assert_eq!(of(&format!("{scoped}nameserver ::1")), ("::1".to_owned(), None));
        let port = Servers::new(&["192.0.2.53:5353".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!(port.to_string(), "192.0.2.53:5353, ::1");
    }
}
