//! `resolv.conf`: its text in; whom to ask for what, for how long, and what is wrong with it, out. Pure. Refuses nothing: whatever
//! stands there, somebody is asked.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{config::ResolverOpts, proto::rr::Name, system_conf::parse_resolv_conf};

/// Of a server that does not say.
pub const PORT: u16 = 53;

/// As the C library has it, whatever stands there.
const MOST_ATTEMPTS: usize = 5;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Who is asked, and how.
pub(super) struct Asking {
    pub(super) servers: Vec<SocketAddr>,
    /// Domains of names that are not whole.
    pub(super) search: Vec<Name>,
    /// A name with as many is tried as it is first.
    pub(super) dots: usize,
    /// So long a server has for its answer.
    pub(super) in_all: Duration,
    /// Whether it may be a longer one.
    pub(super) has_edns: bool,
}

impl Asking {
    /// These, and every name as it is.
    pub(super) fn these(servers: Vec<SocketAddr>) -> Self {
        // As where `resolv.conf` does not say: what is too long for that comes by TCP.
        let mut options = ResolverOpts::default();
        options.edns0 = false;
        Self::by(servers, Vec::new(), &options)
    }

    /// By the text, and what is wrong with it: where it names no server, that on this machine is asked.
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
            return (Self::these(vec![(Ipv4Addr::LOCALHOST, PORT).into()]), doubt);
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
        (Self::by(asked.into_iter().map(|ip| (ip, PORT).into()).collect(), search, &options), doubt)
    }

    fn by(servers: Vec<SocketAddr>, search: Vec<Name>, options: &ResolverOpts) -> Self {
        let attempts = u32::try_from(options.attempts.clamp(1, MOST_ATTEMPTS)).unwrap_or(1);
        let in_all = options.timeout.clamp(Duration::from_secs(1), LONGEST_TIMEOUT) * attempts;
        Self { servers, search, dots: options.ndots, in_all, has_edns: options.edns0 }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The servers, the domains, and what is wrong.
    fn of(text: &str) -> (String, String, Option<&'static str>) {
        let (asking, doubt) = Asking::of_system(text.as_bytes());
        assert!(asking.servers.iter().all(|server| server.port() == PORT));
        let servers: Vec<_> = asking.servers.iter().map(|server| server.ip().to_string()).collect();
        let search: Vec<_> = asking.search.iter().map(Name::to_ascii).collect();
        (servers.join(" "), search.join(" "), doubt)
    }

    #[test]
    fn a_domain_that_is_none_is_left_out_and_the_servers_are_asked() {
        let overlong = "a".repeat(64);
        for odd in
            ["corp.local\\000", ".corp.local", "corp..local", "corp.local\0", "\"corp.local\"", &*overlong]
        {
            let text = format!("search a.example {odd} b.example\nnameserver 192.0.2.53\noptions ndots:2\n");
            let doubt = Some("a domain in `search` is not one, and is left out");
            assert_eq!(
                of(&text),
                ("192.0.2.53".to_owned(), "a.example b.example".to_owned(), doubt),
                "{odd}"
            );
            assert_eq!(Asking::of_system(text.as_bytes()).0.dots, 2, "{odd}");
        }
    }

    #[test]
    fn where_no_server_is_named_that_of_this_machine_is_asked() {
        let two = ("192.0.2.53 ::1".to_owned(), String::new(), None);
        assert_eq!(of("nameserver 192.0.2.53\nnameserver ::1"), two);
        assert_eq!(of("").0, "127.0.0.1");
        let none = Some("it names no server");
        assert_eq!(of("search a.example"), ("127.0.0.1".to_owned(), "a.example".to_owned(), none));
        let overlong = format!("search {}.example", "a".repeat(64));
        assert_eq!(of(&overlong), ("127.0.0.1".to_owned(), String::new(), none));
        let scoped = "nameserver fe80::1%eth0\n";
        assert!(of(scoped).0 == "127.0.0.1" && of(scoped).2.unwrap().contains("link-local"));
        assert_eq!(of(&format!("{scoped}nameserver ::1")), ("::1".to_owned(), String::new(), None));
    }

    #[test]
    fn a_server_has_the_time_of_all_attempts() {
        let in_all = |text: &str| Asking::of_system(text.as_bytes()).0.in_all.as_secs();
        for (options, seconds) in [
            ("", 10),
            ("timeout:1 attempts:5", 5),
            ("timeout:0 attempts:0", 1),
            ("timeout:90 attempts:9", 150),
        ] {
            assert_eq!(in_all(&format!("options {options}\n")), seconds, "{options}");
        }
        assert_eq!(Asking::these(Vec::new()).in_all.as_secs(), 10);
    }
}
