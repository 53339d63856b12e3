use super::*;

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

fn allows(name: &str, address: &str) -> bool {
    let host = host(name);
    Grant::new(&host, Some(25), &[]).judge(&host, address.parse().unwrap(), 25).is_ok()
}

#[test]
fn only_the_named_host_and_port_are_granted() {
    let grant = Grant::new(&host("MX1.example.org."), Some(25), &[]);
    assert!(grant.covers(&host("mx1.example.org"), 25));
    assert!(!grant.covers(&host("mx1.example.org"), 26));
    assert!(!grant.covers(&host("mx2.example.org"), 25));
    assert!(!Grant::default().covers(&host("mx1.example.org"), 0));
}

#[test]
fn a_name_does_not_lead_to_this_machine_or_its_metadata() {
    for address in [
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b:1::c000:219",
        "2002:7f00:1::",
        "::ffff:0:127.0.0.1",
        "100.100.100.200",
        "100.96.0.96",
        "100.80.80.80",
        "168.63.129.16",
        "fd20:ce::254",
        "fec0::1",
    ] {
        assert!(!allows("mx1.example.org", address), "{address}");
    }
    assert!(allows("mx1.example.org", "192.0.2.25"));
    assert!(allows("mx1.example.org", "10.0.0.1"));
    assert!(allows("mx1.example.org", "2001:db8::25"));
    assert!(allows("mx1.example.org", "64:ff9b::c000:219"));
}

#[test]
fn what_is_named_outright_is_granted() {
    assert!(allows("localhost", "127.0.0.1"));
    assert!(allows("LOCALHOST.", "::1"));
    assert!(!allows("localhost", "169.254.169.254"));
    assert!(!allows("mx1.localhost", "127.0.0.1"));
    assert!(allows("::ffff:127.0.0.1", "127.0.0.1"));
    assert!(allows("169.254.169.254", "169.254.169.254"));
    assert!(allows("::1", "::1"));
    assert!(allows("168.63.129.16", "168.63.129.16"));
    assert!(allows("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe"));
    assert!(!allows("169.254.169.254", "64:ff9b::a9fe:a9fe"));
    assert!(!allows("127.0.0.1", "127.0.0.2"));
}

fn granted(more: &[&str]) -> Grant {
    let more: Vec<Endpoint> = more.iter().map(|text| text.parse().unwrap()).collect();
    Grant::new(&host("mx1.example.org"), Some(25), &more)
}

#[test]
fn more_is_granted_by_name_address_or_network_and_by_port() {
    let grant = granted(&[
        "tcp://cache-2.example.org:6379",
        "tcp://10.1.0.0/16:6379-6389",
        "tcp://[2001:db8::/32]:53",
        "tcp://Bücher.example:80",
    ]);
    for (name, port, expected) in [
        ("mx1.example.org", 25, true),
        ("Cache-2.example.org.", 6379, true),
        ("cache-2.example.org", 6380, false),
        ("cache-3.example.org", 6379, false),
        ("10.1.255.1", 6389, true),
        ("::ffff:10.1.0.1", 6379, true),
        ("10.1.0.1", 6390, false),
        ("10.2.0.1", 6379, false),
        ("2001:db8::7", 53, true),
        ("bücher.example", 80, true),
        ("xn--bcher-kva.example", 80, true),
        // A name is not granted by the network that it may lead to.
        ("in-that-network.example.org", 6379, false),
    ] {
        assert_eq!(grant.covers(&host(name), port), expected, "{name} {port}");
    }
}

#[test]
fn special_addresses_are_granted_only_in_so_many_words() {
    let allows = |more: &[&str], name: &str, address: &str| {
        let (grant, host) = (granted(more), host(name));
        grant.covers(&host, 80) && grant.judge(&host, address.parse().unwrap(), 80).is_ok()
    };
    assert!(allows(&["tcp://169.254.169.254:80"], "169.254.169.254", "169.254.169.254"));
    assert!(allows(&["tcp://localhost:80"], "localhost", "127.0.0.1"));
    assert!(!allows(&["tcp://127.0.0.0/8:80"], "127.0.0.1", "127.0.0.1"));
    assert!(!allows(&["tcp://0.0.0.0/0:80"], "169.254.169.254", "169.254.169.254"));
    // A granted name that leads here: only where the address is granted as well.
    assert!(!allows(&["tcp://a.example.org:80"], "a.example.org", "127.0.0.1"));
    assert!(!allows(&["tcp://a.example.org:80", "tcp://localhost:80"], "a.example.org", "127.0.0.1"));
    assert!(allows(&["tcp://a.example.org:80", "tcp://127.0.0.1:80"], "a.example.org", "127.0.0.1"));
    assert!(!allows(&["tcp://a.example.org:80", "tcp://127.0.0.1:81"], "a.example.org", "127.0.0.1"));
}

#[test]
fn what_is_denied_no_grant_brings_back() {
    let deny = Deny::new(&["10.0.0.0/8".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let judged = |name: &str, more: &[&str], address: &str| {
        let host = host(name);
        let more: Vec<Endpoint> = more.iter().map(|text| text.parse().unwrap()).collect();
        let grant = Grant::new(&host, Some(25), &more).denying(&deny);
        grant.judge(&host, address.parse().unwrap(), 25)
    };
    for (host, more, address) in [
        ("mx1.example.org", &["tcp://10.1.0.1:25", "tcp://10.0.0.0/8:25"][..], "10.1.0.1"),
        ("10.1.0.1", &[], "10.1.0.1"),
        ("::ffff:10.1.0.1", &[], "::ffff:10.1.0.1"),
        ("64:ff9b::a01:1", &[], "64:ff9b::a01:1"),
        ("localhost", &["tcp://127.0.0.1:25"], "127.0.0.1"),
    ] {
        assert_eq!(judged(host, more, address), Err(Refusal::Denied), "{host}");
    }
    assert_eq!(judged("mx1.example.org", &[], "192.0.2.25"), Ok(()));
    assert_eq!(judged("localhost", &[], "::1"), Ok(()));
}

#[test]
fn the_jobs_own_endpoint_is_told_from_others() {
    let imap = host("imap.example.org");
    let (mx1, own) = (host("MX1.example.org."), host("mx1.example.org"));
    let named = [(&imap, Some(993)), (&own, Some(143)), (&own, Some(25)), (&imap, None)];
    let grant = granted(&["tcp://cache.example.org:25", "tcp://192.0.2.25:25"]).naming(named.into_iter());
    for (host, port, expected) in [
        (&mx1, 25, Whose::Own),
        (&mx1, 143, Whose::Named(1)),
        (&mx1, 443, Whose::OwnHost),
        (&imap, 993, Whose::Named(0)),
        // It has none.
        (&imap, 143, Whose::Named(3)),
        (&host("cache.example.org"), 25, Whose::Elsewhere),
        (&host("192.0.2.25"), 25, Whose::Elsewhere),
    ] {
        assert_eq!(grant.whose(host, port), expected, "{host} {port}");
    }
    let v6 = Grant::new(&host("::ffff:192.0.2.25"), Some(25), &[]);
    assert_eq!(v6.whose(&host("192.0.2.25"), 25), Whose::Own);
    assert_eq!(Grant::default().whose(&mx1, 25), Whose::Elsewhere);
    let without_port = Grant::new(&mx1, None, &["tcp://mx1.example.org:443".parse().unwrap()]);
    assert_eq!(without_port.whose(&mx1, 443), Whose::Own);
}

#[test]
fn what_a_job_names_is_granted_at_its_port_alone_and_nothing_where_there_is_none() {
    let (imap, pop) = (host("imap.example.org"), host("pop.example.org"));
    let grant = granted(&[]).naming([(&imap, Some(993)), (&pop, None)].into_iter());
    assert!(grant.covers(&imap, 993) && !grant.covers(&imap, 25) && !grant.covers(&pop, 110));
    let without_port = Grant::new(&imap, None, &[]);
    assert!((0..=u16::MAX).all(|port| !without_port.covers(&imap, port)));
    // Named in so many words, as the job's own host is.
    let (loopback, leads_here) = (host("127.0.0.1"), host("imap.example.org"));
    let judged = |named: &Host| {
        let grant = Grant::new(&leads_here, None, &[]).naming([(named, Some(993))].into_iter());
        grant.judge(named, "127.0.0.1".parse().unwrap(), 993).is_ok()
    };
    assert!(judged(&loopback) && judged(&host("localhost")) && !judged(&leads_here));
}

#[test]
fn a_network_of_ipv4_may_be_written_as_one_of_ipv6() {
    let grant = granted(&["tcp://[::ffff:10.1.0.0/112]:25"]);
    assert!(grant.covers(&host("10.1.255.1"), 25) && !grant.covers(&host("10.2.0.1"), 25));
}

#[test]
fn what_is_no_endpoint_is_refused() {
    for text in [
        "cache.example.org:6379",
        "udp://cache.example.org:53",
        "tcp://cache.example.org",
        "tcp://cache.example.org:0",
        "tcp://cache.example.org:70000",
        "tcp://cache.example.org:9-8",
        "tcp://cache.example.org:+80",
        "tcp://:80",
        "tcp://*:80",
        "tcp://user@cache.example.org:80",
        "tcp://cache.example.org:80/",
        "tcp://10.1.0.0/33:80",
        "tcp://10.1.0.300:80",
        "tcp://[cache]:80",
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(NoEndpoint), "{text}");
    }
}
