//! Against name servers on loopback that answer as they are told.

mod wire;

use std::{
    fs,
    sync::{Mutex, mpsc},
};

use support::name_server::{
    A, AAAA, FORMERR, NO_ERROR, NOTIMP, NXDOMAIN, NameServer, Question, REFUSED, Record, SERVFAIL,
};
use tokio::{
    task::{self, JoinSet},
    time,
};

use super::*;
use crate::{catalogue::HostError, net::quota::Quota, workers::Workers};

/// More than any of these tests needs.
const LATER: Duration = Duration::from_secs(20);

fn run_of(time: Duration) -> Run {
    Run::new(Quota::new(0, 0), Instant::now() + time)
}

fn asking<'a>(servers: impl IntoIterator<Item = &'a NameServer>) -> Resolver {
    let servers = servers.into_iter().map(|server| server.address).collect();
    Resolver::new(NameServers::These(servers))
}

async fn look_up(by: &Resolver, name: &str) -> Resolved {
    resolve(&name.parse().unwrap(), 25, by, &run_of(LATER)).await
}

async fn found(by: &Resolver, name: &str) -> Vec<String> {
    let resolved = look_up(by, name).await;
    assert!(resolved.took.is_some());
    let found = resolved.found.unwrap();
    assert!(found.iter().all(|address| address.port() == 25));
    found.iter().map(|address| address.ip().to_string()).collect()
}

async fn fault(by: &Resolver, name: &str) -> (HostError, String) {
    look_up(by, name).await.found.unwrap_err().says()
}

/// The data of a record that was asked for, if the question is for its type.
fn only(question: &Question, addresses: &[&str]) -> Vec<Vec<u8>> {
    let all = addresses.iter().map(|address| Record::address(&question.name, 60, address.parse().unwrap()));
    let records: Vec<_> = all.filter(|record| record.kind == question.kind).collect();
    vec![question.answer(NO_ERROR, &records)]
}

#[tokio::test]
async fn an_address_is_not_looked_up() {
    for host in ["192.0.2.25", "2001:db8::25"] {
        let resolved = look_up(&Resolver::default(), host).await;
        assert_eq!(resolved.found.unwrap(), [SocketAddr::new(host.parse().unwrap(), 25)]);
        assert_eq!(resolved.took, None);
    }
}

#[tokio::test]
async fn this_machine_has_its_name_without_a_server() {
    let silent = NameServer::start(|_| Vec::new());
    for asks in [NameServers::Usual, NameServers::System, NameServers::These(vec![silent.address])] {
        let found = found(&Resolver::new(asks), "localhost").await;
        assert!(found.iter().all(|address| address.parse::<IpAddr>().unwrap().is_loopback()), "{found:?}");
    }
    assert!(found(&asking([&silent]), "a.LocalHost.").await.contains(&"127.0.0.1".to_owned()));
    assert_eq!(silent.asked("localhost") + silent.asked("a.localhost"), 0);
}

#[tokio::test]
async fn what_stands_in_the_file_of_hosts_is_asked_of_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    fs::write(&file, "10.0.0.1 mx1.test\n10.0.0.1 mx1.test\n::ffff:10.0.0.1 mx1.test\n").unwrap();
    let server = NameServer::start(|question| only(question, &["10.0.0.2"]));
    let resolver = Resolver { hosts: Hosts::new(&file), ..asking([&server]) };
    assert_eq!(found(&resolver, "MX1.test").await, ["10.0.0.1"]);
    assert_eq!(server.asked("mx1.test"), 0);
    assert_eq!(found(&resolver, "mx2.test").await, ["10.0.0.2"]);
}

#[tokio::test]
async fn what_a_server_says_has_a_number_and_the_servers_name() {
    let server = NameServer::start(|question| {
        let code = match &*question.name {
            "servfail.test" => SERVFAIL,
            "refused.test" => REFUSED,
            "notimp.test" => NOTIMP,
            "nxdomain.test" => NXDOMAIN,
            "garbage.test" => return vec![question.answer(NO_ERROR, &[])[..14].to_vec()],
            _ => NO_ERROR,
        };
        vec![question.answer(code, &[])]
    });
    let resolver = asking([&server]);
    let by = server.address;
    for (name, number, text) in [
        ("servfail.test", HostError::ResolverFailed, format!("{by} cannot tell: SERVFAIL")),
        ("refused.test", HostError::ResolverRefused, format!("{by} refuses to answer: REFUSED")),
        ("notimp.test", HostError::ResolverRefused, format!("{by} refuses to answer: NOTIMP")),
        ("nxdomain.test", HostError::NameNotFound, format!("{by} says that it does not exist")),
        ("nodata.test", HostError::NameNotFound, format!("{by} says that it has no address")),
    ] {
        assert_eq!(fault(&resolver, name).await, (number, text));
    }
    assert_eq!(fault(&resolver, "garbage.test").await.0, HostError::ResolverFailed);
    let overlong = "a".repeat(64);
    let no_name = (HostError::NameNotFound, "it is no name of DNS".to_owned());
    assert_eq!(fault(&resolver, &overlong).await, no_name);
}

#[tokio::test]
async fn a_server_that_is_silent_is_waited_for_until_the_runs_end_and_holds_up_no_other_name() {
    let server = NameServer::start(|question| match &*question.name {
        "silent.test" => Vec::new(),
        _ => only(question, &["10.0.0.1"]),
    });
    let resolver = asking([&server]);
    let run = run_of(Duration::from_secs(1));
    let host = "silent.test".parse().unwrap();
    let silent = resolve(&host, 25, &resolver, &run);
    let (silent, good) = tokio::join!(silent, async {
        // When the other one has begun.
        task::yield_now().await;
        found(&resolver, "good.test").await;
        Instant::now()
    });
    assert!(good < run.deadline && silent.took.is_none());
    let said = (HostError::ResolverTimeout, format!("no answer from {}", server.address));
    assert_eq!(silent.found.unwrap_err().says(), said);
    assert!(run.clock.waited() > Duration::from_millis(900));
}

#[tokio::test]
async fn where_one_server_does_not_know_the_next_is_asked() {
    let good = NameServer::start(|question| only(question, &["10.0.0.1"]));
    let silent = NameServer::start(|_| Vec::new());
    let fails = NameServer::start(|question| vec![question.answer(SERVFAIL, &[])]);
    let refuses = NameServer::start(|question| vec![question.answer(REFUSED, &[])]);
    for bad in [&silent, &fails, &refuses] {
        assert_eq!(found(&asking([bad, &good]), "mx1.test").await, ["10.0.0.1"]);
    }
    // Who was silent is asked last then.
    let resolver = asking([&silent, &good]);
    found(&resolver, "mx2.test").await;
    found(&resolver, "mx3.test").await;
    assert!(silent.asked("mx2.test") > 0);
    assert_eq!(silent.asked("mx3.test"), 0);
    // What one denies the next is not asked.
    let denies = NameServer::start(|question| vec![question.answer(NXDOMAIN, &[])]);
    assert_eq!(fault(&asking([&denies, &good]), "mx4.test").await.0, HostError::NameNotFound);
    assert_eq!(good.asked("mx4.test"), 0);
}

#[tokio::test]
async fn a_run_that_is_over_names_only_servers_that_it_was_silent_for() {
    let silent = NameServer::start(|_| Vec::new());
    let fails = NameServer::start(|question| vec![question.answer(SERVFAIL, &[])]);
    let too_long =
        NameServer::start(
            |question| {
                if question.is_by_tcp { Vec::new() } else { vec![question.truncated()] }
            },
        );
    let host = "mx1.test".parse().unwrap();
    for (servers, number, said) in [
        ([&silent, &fails], HostError::ResolverTimeout, format!("no answer from {}", silent.address)),
        (
            [&too_long, &fails],
            HostError::ResolverTimeout,
            format!("no answer from {} by TCP", too_long.address),
        ),
        ([&fails, &silent], HostError::ResolverFailed, format!("{} cannot tell: SERVFAIL", fails.address)),
    ] {
        let run = run_of(Duration::from_millis(500));
        let resolved = resolve(&host, 25, &asking(servers), &run).await;
        assert_eq!(resolved.found.unwrap_err().says(), (number, said));
    }
}

#[tokio::test]
async fn a_run_that_is_over_before_its_names_turn_says_so() {
    let server = NameServer::start(|question| only(question, &["10.0.0.1"]));
    let servers = Arc::new(Servers::new(Asking::these(vec![server.address])));
    let host = "mx1.test".parse().unwrap();
    for (asks, of) in [
        (NameServers::These(vec![server.address]), format!(" (of {})", server.address)),
        (NameServers::System, String::new()),
    ] {
        let known =
            if of.is_empty() { OnceCell::new() } else { OnceCell::new_with(Some(Arc::clone(&servers))) };
        let full =
            Resolver { shared: Arc::new(Shared::full()), servers: Arc::new(known), ..Resolver::new(asks) };
        let run = run_of(Duration::from_millis(100));
        let said = resolve(&host, 25, &full, &run).await.found.unwrap_err().says();
        let text = format!("256 names were asked for at once{of}, and this one waited for its turn");
        assert_eq!(said, (HostError::ResolverTimeout, text));
    }
    assert_eq!(server.asked("mx1.test"), 0);
}

#[tokio::test]
async fn where_no_server_is_that_is_known_at_once() {
    // Nobody else is given it meanwhile.
    let held = support::refusing();
    let resolver = Resolver::new(NameServers::These(vec![(Ipv4Addr::LOCALHOST, held.1).into()]));
    let said = format!("127.0.0.1:{} cannot tell: connection refused", held.1);
    assert_eq!(fault(&resolver, "mx1.test").await, (HostError::ResolverFailed, said));
}

#[tokio::test]
async fn one_family_is_enough_whatever_becomes_of_the_other() {
    let server = NameServer::start(|question| match (&*question.name, question.kind) {
        ("v4.test" | "fails.test" | "silent.test", A) => only(question, &["10.0.0.1"]),
        ("v6.test", AAAA) => only(question, &["2001:db8::1"]),
        ("silent.test", _) => Vec::new(),
        // Of the last one nobody can say then whether it has an address.
        ("fails.test", _) | ("unknown.test", A) => vec![question.answer(SERVFAIL, &[])],
        ("both.test", _) => only(question, &["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"]),
        _ => vec![question.answer(NO_ERROR, &[])],
    });
    let resolver = asking([&server]);
    for (name, address) in [
        ("v4.test", "10.0.0.1"),
        ("v6.test", "2001:db8::1"),
        ("fails.test", "10.0.0.1"),
        ("silent.test", "10.0.0.1"),
    ] {
        assert_eq!(found(&resolver, name).await, [address], "{name}");
    }
    assert_eq!(fault(&resolver, "unknown.test").await.0, HostError::ResolverFailed);
    let mut both = found(&resolver, "both.test").await;
    both.sort();
    assert_eq!(both, ["10.0.0.1", "2001:db8::1"]);
    // Half an answer is not kept.
    let before = server.asked("fails.test");
    found(&resolver, "fails.test").await;
    assert!(server.asked("fails.test") > before);
}

#[tokio::test]
async fn an_answer_is_kept_as_long_as_it_holds_and_a_failure_not_at_all() {
    let server = NameServer::start(|question| {
        let address = |ttl| Record::address(&question.name, ttl, "10.0.0.1".parse().unwrap());
        let nothing = Record::nothing_for("test", 60);
        let (code, records) = match (&*question.name, question.kind) {
            ("kept.test", A) => (NO_ERROR, vec![address(60)]),
            ("brief.test", A) => (NO_ERROR, vec![address(0)]),
            ("absent.test", _) => (NXDOMAIN, vec![nothing]),
            ("fails.test", _) => (SERVFAIL, vec![nothing]),
            _ => (NO_ERROR, Vec::new()),
        };
        vec![question.answer(code, &records)]
    });
    let resolver = asking([&server]);
    for (name, questions) in
        [("kept.test", 2), ("brief.test", 6), ("absent.test", 2), ("fails.test", 6), ("nodata.test", 6)]
    {
        for _ in 0..3 {
            look_up(&resolver, name).await;
        }
        assert_eq!(server.asked(name), questions, "{name}");
    }
    assert_eq!(look_up(&resolver, "kept.test").await.took, Some(Duration::ZERO));
    // Names differ in letters and in what a dot at the end says only where they do to a server.
    look_up(&resolver, "KEPT.test").await;
    assert_eq!(server.asked("kept.test"), 2);
}

#[tokio::test]
async fn a_thousand_runs_ask_for_a_name_once() {
    let server = NameServer::start(|question| only(question, &["10.0.0.1", "2001:db8::1"]));
    let resolver = Arc::new(asking([&server]));
    let look_ups = (0..1000).map(|_| {
        let resolver = Arc::clone(&resolver);
        async move { found(&resolver, "mx1.test").await.len() }
    });
    assert!(look_ups.collect::<JoinSet<_>>().join_all().await.iter().all(|found| *found == 2));
    assert_eq!(server.asked("mx1.test"), 2);
}

#[tokio::test]
async fn a_look_up_does_not_hang_with_the_thread_of_who_asked_first() {
    let ((coming, mut came), (go, gone)) = (tokio::sync::mpsc::unbounded_channel(), mpsc::channel::<()>());
    let gone = Mutex::new(gone);
    let server = NameServer::start(move |question| {
        let _told: Result<_, _> = coming.send(());
        // One for each family.
        let _released: Result<_, _> = gone.lock().unwrap().recv();
        only(question, &["192.0.2.25", "2001:db8::25"])
    });
    let (resolver, workers) = (Arc::new(asking([&server])), Workers::new(2));
    let ask = || {
        let by = Arc::clone(&resolver);
        async move { look_up(&by, "mx1.example").await.found.unwrap().len() }
    };
    let ((stuck, is_stuck), (release, held)) = (tokio::sync::oneshot::channel::<()>(), mpsc::channel::<()>());
    let asked = ask();
    let first = workers.spawn(async move {
        let hangs = async move {
            drop(is_stuck.await);
            held.recv().is_ok()
        };
        tokio::join!(asked, hangs)
    });
    came.recv().await.unwrap();
    let second = workers.spawn(ask());
    drop(stuck);
    drop(go);
    assert_eq!(second.await.unwrap(), 2);
    assert!(!first.is_finished());
    drop(release);
    assert_eq!(first.await.unwrap().0, 2);
}

#[tokio::test]
async fn what_the_system_does_not_come_back_from_has_a_thread_though_nobody_waits_and_no_more_begin() {
    static LINE: Semaphore = Semaphore::const_new(2);
    let (release, held) = mpsc::channel::<()>();
    let (held, begun) = (Arc::new(Mutex::new(held)), Arc::new(Mutex::new(0)));
    let look_up = || {
        let (held, begun) = (Arc::clone(&held), Arc::clone(&begun));
        apart(&LINE, move || {
            *begun.lock().unwrap() += 1;
            held.lock().unwrap().recv().unwrap_err();
        })
    };
    for _ in 0..5 {
        // Its run's time is over.
        assert!(time::timeout(Duration::from_millis(50), look_up()).await.is_err());
    }
    assert_eq!(*begun.lock().unwrap(), 2);
    drop(release);
    look_up().await.unwrap();
    assert_eq!(*begun.lock().unwrap(), 3);
}
