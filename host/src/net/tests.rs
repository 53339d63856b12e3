//! Over loopback listeners.

mod elsewhere;
mod endpoints;
mod stream;
mod tls;

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use support::certificates::{Authority, FAR};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};

use self::tls::trusting;
use super::{outbound::connect_to, reach::OWN, run::Run, *};
use crate::{
    catalogue::HostError,
    grant::{Deny, Grant},
    host::with_port,
    measured::Contact,
    tls_rules::TlsRules,
};

/// A wait for what does not come.
const BRIEF: Duration = Duration::from_millis(100);

/// After the end of any of these tests.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// More than any of these tests needs.
fn quota() -> Quota {
    Quota::new(100, 64 << 20)
}

fn grant(host: &str, port: u16) -> Grant {
    Grant::new(&host.parse().unwrap(), Some(port), &[])
}

fn reach(host: &str, port: u16) -> Reach {
    Reach::new(grant(host, port), Arc::default())
}

/// What was measured so far of the first connection to the job's own endpoint.
fn contact(outbound: &Outbound) -> Contact {
    outbound.run.contacts().get(&OWN).map(|contact| (**contact).clone()).unwrap_or_default()
}

/// Of a job with this host and port.
fn outbound(host: &str, port: u16) -> Outbound {
    Outbound::new(reach(host, port), quota(), later())
}

/// Of one by these rules, with this share.
fn outbound_by(listener: &TcpListener, rules: &TlsRules, quota: Quota) -> Outbound {
    let grant = grant("localhost", port(listener));
    Outbound::new(Reach::new(grant, Arc::new(Tls::new(rules).unwrap())), quota, later())
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

async fn opened(listener: &TcpListener) -> (Connection, TcpStream) {
    opened_from(&outbound("localhost", port(listener)), listener).await
}

async fn opened_from(outbound: &Outbound, listener: &TcpListener) -> (Connection, TcpStream) {
    let connecting = outbound.connect("localhost", port(listener));
    let (connection, accepted) = tokio::join!(connecting, listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let denied = outbound("127.0.0.1", 25).connect("127.0.0.1", 26).await;
    assert_eq!(denied.err().unwrap().host_error(), HostError::Denied);
}

#[tokio::test]
async fn when_the_time_is_over_nobody_is_asked_and_nothing_connected() {
    let listener = listener().await;
    let port = port(&listener);
    for host in ["localhost", "127.0.0.1"] {
        let outbound = Outbound::new(reach(host, port), quota(), Instant::now());
        let late = outbound.connect(host, port).await;
        assert_eq!(late.err().unwrap().host_error(), HostError::ConnectTimeout);
        assert_eq!(contact(&outbound), Contact::default());
    }
    assert!(time::timeout(BRIEF, listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let port = port(&listener().await);
    let outbound = outbound("127.0.0.1", port);
    let refused = outbound.connect("127.0.0.1", port).await.err().unwrap();
    assert_eq!(refused.host_error(), HostError::ConnectionRefused);
    assert_eq!(refused.to_string(), format!("connect to 127.0.0.1:{port}: connection refused"));
    let measured = contact(&outbound);
    assert_eq!((measured.ip, measured.connect), (Some("127.0.0.1".parse().unwrap()), None));
}

#[tokio::test]
async fn the_first_connection_to_an_endpoint_is_the_one_that_is_measured() {
    let listener = listener().await;
    let outbound = outbound("localhost", port(&listener));
    outbound.connect("127.0.0.1", port(&listener)).await.err().unwrap();
    assert_eq!(contact(&outbound), Contact::default());
    opened_from(&outbound, &listener).await;
    let first = contact(&outbound);
    assert!(first.connect.is_some());
    opened_from(&outbound, &listener).await;
    assert_eq!(contact(&outbound), first);
    let measured = outbound.measured(Duration::from_secs(1));
    assert!(measured.total == Some(Duration::from_secs(1)) && measured.own.is_some());
}

#[tokio::test]
async fn of_two_lines_each_is_read_alone_and_the_end_is_empty() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"250-a\r\n250 b\r\n").await.unwrap();
    drop(peer);
    assert_eq!(connection.read(512, None).await.unwrap().bytes, b"250-a\r\n");
    assert_eq!(connection.read(512, None).await.unwrap().bytes, b"250 b\r\n");
    assert_eq!(connection.read(512, None).await.unwrap().bytes, b"");
}

#[tokio::test]
async fn what_arrives_before_anybody_looks_arrives_no_earlier_than_the_connection() {
    let listener = listener().await;
    let port = port(&listener);
    let outbound = outbound("127.0.0.1", port);
    // On one thread the peer greets while the connection waits to be looked at.
    let connecting = outbound.connect("127.0.0.1", port);
    let (connection, _peer) = tokio::join!(connecting, async {
        let listener = listener.into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"220 early\r\n").unwrap();
        peer
    });
    let mut connection = connection.unwrap();
    let connected_at = connection.opened().connected_at;
    let greeted_at = connection.read(512, None).await.unwrap().received_at;
    assert!(greeted_at >= connected_at, "{greeted_at:?} {connected_at:?}");
    // Nor does an answer come before what it answers, whatever the clocks say.
    let sent_at = connection.write(b"QUIT\r\n").await.unwrap();
    assert!(outbound.run.clock.at(connection.stream.as_ref().unwrap().tcp.last_arrival()) >= sent_at);
}

#[tokio::test]
async fn the_end_of_a_wait_is_told_from_the_end_of_the_jobs_time() {
    let listener = listener().await;
    let deadline = Instant::now() + 2 * BRIEF;
    let reach = Reach::new(grant("localhost", port(&listener)), Arc::default());
    let outbound = Outbound::new(reach, quota(), deadline);
    let (mut connection, _peer) = opened_from(&outbound, &listener).await;
    let silent = connection.read(512, Some(BRIEF)).await.err().unwrap();
    assert_eq!(silent.host_error(), HostError::WaitEnded);
    assert!(silent.to_string().ends_with(": silence for 0.1 s"), "{silent}");
    assert_eq!(connection.look(512).await.err().unwrap().host_error(), HostError::WaitEnded);
    for wait in [None, Some(Duration::ZERO), Some(BRIEF), Some(Duration::MAX)] {
        let silent = connection.read(512, wait).await.err().unwrap();
        assert_eq!(silent.host_error(), HostError::ReadTimeout, "{wait:?}");
        assert!(silent.to_string().ends_with(" until the job's time was over"), "{silent}");
        assert!(Instant::now() >= deadline, "{wait:?}");
    }
    // Who polls learns it, too.
    for _ in 0..2 {
        assert_eq!(connection.look(512).await.err().unwrap().host_error(), HostError::ReadTimeout);
    }
}

#[tokio::test]
async fn plaintext_behind_the_answer_to_starttls_refuses_tls() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"220 go\r\n250 injected\r\n").await.unwrap();
    assert_eq!(connection.read(512, None).await.unwrap().bytes, b"220 go\r\n");
    let refused = connection.start_tls().await;
    assert_eq!(refused.err().unwrap().host_error(), HostError::PlaintextBeforeTls);
}

#[tokio::test]
async fn line_feeds_alone_are_taken_one_by_one_as_fast_as_they_come() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(&vec![b'\n'; 4 * 65_536]).await.unwrap();
    for _ in 0..4 * 65_536 {
        assert_eq!(connection.read(65_536, None).await.unwrap().bytes, b"\n");
    }
}

#[tokio::test]
async fn a_look_takes_what_has_arrived_and_waits_for_nothing() {
    let authority = Authority::default();
    let server = authority.issue("localhost", FAR).server();
    let listener = listener().await;
    for encrypted in [false, true] {
        let outbound = outbound_by(&listener, &trusting(&authority), quota());
        let (mut connection, mut peer) = opened_from(&outbound, &listener).await;
        let mut serving = None;
        if encrypted {
            let server = Arc::clone(&server);
            let accepting = tokio_rustls::TlsAcceptor::from(server).accept(peer);
            let (secured, accepted) = tokio::join!(connection.start_tls(), accepting);
            secured.unwrap();
            serving = Some(accepted.unwrap());
            peer = opened(&listener).await.1;
        }
        let mut say = async |text: &'static [u8]| {
            match &mut serving {
                Some(stream) => stream.write_all(text).await.unwrap(),
                None => peer.write_all(text).await.unwrap(),
            }
            // Not the runtime's: it is to know of nothing that the kernel has.
            std::thread::sleep(BRIEF);
        };
        let nothing = connection.look(512).await.err().unwrap();
        assert_eq!(nothing.host_error(), HostError::WaitEnded, "{nothing}");
        say(b"421 bye\r\n").await;
        assert_eq!(connection.look(512).await.unwrap().bytes, b"421 bye\r\n");
        let nothing = connection.look(512).await.err().unwrap();
        assert_eq!(nothing.host_error(), HostError::WaitEnded, "{nothing}");
        drop((serving, peer));
        std::thread::sleep(BRIEF);
        assert!(connection.look(512).await.unwrap().bytes.is_empty());
    }
}

#[tokio::test]
async fn our_own_time_is_in_no_wait() {
    // The kernel stamps from a moment after it was asked to.
    start().ok();
    time::sleep(BRIEF).await;
    let listener = listener().await;
    let outbound = outbound("localhost", port(&listener));
    let (mut connection, mut peer) = opened_from(&outbound, &listener).await;
    let (ours, clock) = (Duration::from_millis(300), &outbound.run.clock);
    let before = clock.waited();
    connection.write(b"EHLO a\r\n").await.unwrap();
    peer.write_all(b"250 b\r\n").await.unwrap();
    // On one thread: late to look, and then busy.
    std::thread::sleep(ours);
    connection.read(512, Some(ours)).await.unwrap();
    std::thread::sleep(ours);
    assert!(connection.look(512).await.is_err());
    let waited = clock.waited().saturating_sub(before);
    assert!(waited < ours / 2, "{waited:?}");
    assert!(connection.read(512, Some(BRIEF)).await.is_err());
    assert!(clock.waited() >= before + BRIEF);
}

#[tokio::test]
async fn ipv6_loopback_is_reached() {
    let listener = match TcpListener::bind("[::1]:0").await {
        Ok(listener) => listener,
        Err(error) => {
            // Past the test runner's capture.
            io::stderr().write_all(format!("skipped: ::1: {error}\n").as_bytes()).unwrap();
            return;
        }
    };
    let port = port(&listener);
    let outbound = outbound("::1", port);
    let connection = outbound.connect("::1", port).await.unwrap();
    assert_eq!(connection.opened().address.to_string(), "::1");
    let measured = contact(&outbound);
    assert!(measured.dns.is_none() && measured.connect.is_some());
}

#[tokio::test]
async fn behind_a_dead_address_the_next_is_tried_and_a_forbidden_one_never() {
    let listener = listener().await;
    let alive = listener.local_addr().unwrap();
    let mut dead = alive;
    dead.set_ip("127.0.0.2".parse().unwrap());
    let mut forbidden = alive;
    forbidden.set_ip("169.254.169.254".parse().unwrap());
    let (outbound, localhost) = (outbound("localhost", alive.port()), "localhost".parse().unwrap());
    let addresses = outbound.granted(vec![forbidden, dead, alive], &localhost).unwrap();
    let (_, connected, passed) = connect_to(addresses, Some(OWN), &outbound.run).await.unwrap();
    assert_eq!((connected, contact(&outbound).ip), (alive, Some(alive.ip())));
    // It took no time, and mostly is a family that is not to be had.
    assert!(passed.is_empty(), "{passed:?}");
    let (refused, text) = outbound.granted(vec![forbidden], &localhost).unwrap_err().says();
    assert_eq!(refused, HostError::Denied);
    assert!(text.contains("169.254.169.254"), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_does_not_answer_is_told_though_the_next_one_does() {
    let listener = listener().await;
    let alive = listener.local_addr().unwrap();
    let mut silent = alive;
    silent.set_ip("127.0.0.2".parse().unwrap());
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&silent.into()).unwrap();
    full.listen(0).unwrap();
    // Until no more are taken.
    let mut held = Vec::new();
    while let Ok(stream) = time::timeout(BRIEF, TcpStream::connect(silent)).await {
        held.push(stream);
    }
    let run = || Arc::new(Run::new(Quota::new(8, 0), Instant::now() + 6 * BRIEF));
    let (_, connected, passed) = connect_to(vec![silent, alive], Some(OWN), &run()).await.unwrap();
    assert_eq!((connected, &*passed), (alive, &[silent][..]));
    // Much of a job's time is left for the session.
    let patient = Arc::new(Run::new(Quota::new(8, 0), Instant::now() + Duration::from_hours(1)));
    let connecting = connect_to(vec![silent, alive], Some(OWN), &patient);
    assert_eq!(time::timeout(Duration::from_mins(1), connecting).await.unwrap().unwrap().1, alive);
    let mut closed = alive;
    closed.set_ip("127.0.0.3".parse().unwrap());
    let failed = connect_to(vec![silent, closed], Some(OWN), &run()).await.err().unwrap().to_string();
    let text = format!("connect to {closed}: connection refused; before that, {silent} did not answer");
    assert_eq!(failed, text);
}

#[tokio::test]
async fn every_address_that_is_tried_is_charged() {
    let listener = listener().await;
    let alive = listener.local_addr().unwrap();
    let mut addresses: Vec<SocketAddr> =
        (2..9).map(|host| ([127, 0, 0, host], alive.port()).into()).collect();
    addresses.push(alive);
    let run = |connections| Arc::new(Run::new(Quota::new(connections, 0), later()));
    // The first is paid for by whoever resolves the name.
    let enough = run(7);
    assert_eq!(connect_to(addresses.clone(), Some(OWN), &enough).await.unwrap().1, alive);
    assert_eq!(
        enough.quota.connection().map_err(|used_up| used_up.to_string()),
        Err("the run's share of connections is used up: see `limits.connections`, 7".to_owned())
    );
    let last = connect_to(addresses, Some(OWN), &run(6)).await.err().unwrap();
    assert_eq!(last.to_string(), format!("connect to 127.0.0.8:{}: connection refused", alive.port()));
    let none = outbound_by(&listener, &TlsRules::default(), Quota::new(0, 0));
    let refused = none.connect("localhost", alive.port()).await.err().unwrap();
    assert_eq!(refused.host_error(), HostError::CheckLimit);
    assert_eq!(refused.to_string(), "the run's share of connections is used up: see `limits.connections`, 0");
    assert_eq!(contact(&none), Contact::default());
}

#[tokio::test]
async fn what_the_configuration_denies_is_not_connected_to_though_it_is_the_jobs_own_host() {
    let listener = listener().await;
    let port = port(&listener);
    let deny = Deny::new(&["127.0.0.0/8".to_owned()]).unwrap();
    for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
        let grant = grant(host, port).denying(&deny);
        let outbound = Outbound::new(Reach::new(grant, Arc::default()), quota(), later());
        let denied = outbound.connect(host, port).await.err().unwrap();
        assert_eq!(denied.host_error(), HostError::Denied);
        let at = with_port(host, port);
        let text = format!("connect to {at}: it is {host}, which `deny` of the configuration forbids");
        assert_eq!(denied.to_string(), text);
        assert_eq!(contact(&outbound).ip, Some(host.parse().unwrap()));
    }
    assert!(time::timeout(BRIEF, listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_read_given_up_loses_nothing() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    assert_eq!(connection.read(512, Some(BRIEF)).await.err().unwrap().host_error(), HostError::WaitEnded);
    peer.write_all(b"220 late\r\n").await.unwrap();
    assert_eq!(connection.read(512, None).await.unwrap().bytes, b"220 late\r\n");
}

#[tokio::test]
async fn nothing_is_received_over_the_runs_share_and_the_end_is_still_told() {
    let listener = listener().await;
    for (said, over) in [(&b"220 a\r\n"[..], false), (b"220 a\r\n2", true)] {
        let outbound = outbound_by(&listener, &TlsRules::default(), Quota::new(1, 7));
        let (mut connection, mut peer) = opened_from(&outbound, &listener).await;
        peer.write_all(said).await.unwrap();
        drop(peer);
        assert_eq!(connection.read(512, None).await.unwrap().bytes, b"220 a\r\n");
        let next = connection.read(512, None).await;
        if over {
            let refused = next.err().unwrap();
            assert_eq!(refused.host_error(), HostError::CheckLimit);
            assert!(
                refused
                    .to_string()
                    .ends_with(": the run's share of received bytes is used up: see `limits.traffic_mib`, 0"),
                "{refused}"
            );
        } else {
            assert!(next.unwrap().bytes.is_empty());
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_over_the_runs_share() {
    let listener = listener().await;
    let outbound = outbound_by(&listener, &TlsRules::default(), Quota::new(1, 8));
    let (mut connection, mut peer) = opened_from(&outbound, &listener).await;
    connection.write(b"EHLO\r\n").await.unwrap();
    for _ in 0..2 {
        let refused = connection.write(b"QUIT\r\n").await.err().unwrap();
        assert_eq!(refused.host_error(), HostError::CheckLimit);
        assert!(
            refused
                .to_string()
                .ends_with(": the run's share of sent bytes is used up: see `limits.traffic_mib`, 0"),
            "{refused}"
        );
    }
    drop(connection);
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"EHLO\r\n");
}

/// More than the kernel takes for a peer that does not read, and what is surely left of it.
const MUCH: usize = 60 << 20;
const REST: usize = 32 << 20;

#[tokio::test]
async fn a_write_given_up_leaves_little_behind_however_often_it_is_tried() {
    let listener = listener().await;
    let deadline = Instant::now() + Duration::from_millis(200);
    let (grant, quota) = (grant("localhost", port(&listener)), Quota::new(1, MUCH as u64));
    let outbound = Outbound::new(Reach::new(grant, Arc::default()), quota, deadline);
    let (mut connection, _peer) = opened_from(&outbound, &listener).await;
    let much = vec![b'x'; MUCH];
    for _ in 0..100 {
        let given_up = connection.write(&*much).await.err().unwrap();
        assert_eq!(given_up.host_error(), HostError::WriteTimeout);
    }
    // What waits is charged: so little waits.
    assert!(outbound.run.quota.send(REST).is_ok());
}
