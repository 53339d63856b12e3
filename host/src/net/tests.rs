//! Over loopback listeners.

mod elsewhere;
mod tls;

use std::{io::Write as _, net::Ipv4Addr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use self::tls::{Authority, trusting};
use super::*;
use crate::{catalogue::HostError, grant::Deny};

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(500)
}

/// More than any of these tests needs.
fn quota() -> Quota {
    Quota::new(100, 64 << 20)
}

async fn opened(listener: &TcpListener) -> (Connection, tokio::net::TcpStream) {
    opened_with(listener, &quota()).await
}

async fn opened_with(listener: &TcpListener, quota: &Quota) -> (Connection, tokio::net::TcpStream) {
    let port = listener.local_addr().unwrap().port();
    let grant = Grant::new("localhost", Some(port), &[]);
    let mut measured = Measured::default();
    let clock = RunClock::start();
    let connecting = connect(&grant, "localhost", port, &clock, quota, soon(), &mut measured);
    let (connection, accepted) = tokio::join!(connecting, listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let grant = Grant::new("127.0.0.1", Some(25), &[]);
    let mut measured = Measured::default();
    let denied = connect(&grant, "127.0.0.1", 26, &RunClock::start(), &quota(), soon(), &mut measured).await;
    assert_eq!(denied.err().unwrap().host_error(), HostError::Denied);
}

#[tokio::test]
async fn when_the_time_is_over_nobody_is_asked_and_nothing_connected() {
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1"] {
        let (grant, mut measured) = (Grant::new(host, Some(port), &[]), Measured::default());
        let late =
            connect(&grant, host, port, &RunClock::start(), &quota(), Instant::now(), &mut measured).await;
        assert_eq!(late.err().unwrap().host_error(), HostError::ConnectTimeout);
        assert_eq!(measured, Measured::default());
    }
    assert!(time::timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let port = listener().await.local_addr().unwrap().port();
    let grant = Grant::new("127.0.0.1", Some(port), &[]);
    let mut measured = Measured::default();
    let refused = connect(&grant, "127.0.0.1", port, &RunClock::start(), &quota(), soon(), &mut measured)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.host_error(), HostError::ConnectionRefused);
    assert_eq!(refused.to_string(), format!("connect to 127.0.0.1:{port}: connection refused"));
    assert_eq!(measured.ip, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(measured.connect, None);
}

#[tokio::test]
async fn of_two_lines_each_is_read_alone_and_the_end_is_empty() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"250-a\r\n250 b\r\n").await.unwrap();
    drop(peer);
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"250-a\r\n");
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"250 b\r\n");
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"");
}

#[tokio::test]
async fn what_arrives_before_anybody_looks_arrives_no_earlier_than_the_connection() {
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    let (grant, mut measured) = (Grant::new("127.0.0.1", Some(port), &[]), Measured::default());
    // On one thread the peer greets while the connection waits to be looked at.
    let (clock, quota) = (RunClock::start(), quota());
    let connecting = connect(&grant, "127.0.0.1", port, &clock, &quota, soon(), &mut measured);
    let (connection, _peer) = tokio::join!(connecting, async {
        let listener = listener.into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"220 early\r\n").unwrap();
        peer
    });
    let mut connection = connection.unwrap();
    let connected_at = connection.opened().connected_at;
    let greeted_at = connection.read(512, soon()).await.unwrap().received_at;
    assert!(greeted_at >= connected_at, "{greeted_at:?} {connected_at:?}");
    // Nor does an answer come before what it answers, whatever the clocks say.
    let sent_at = connection.write(b"QUIT\r\n", soon()).await.unwrap();
    assert!(connection.clock.at(connection.tcp.last_arrival()) >= sent_at);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let listener = listener().await;
    let (mut connection, _peer) = opened(&listener).await;
    assert_eq!(connection.read(512, soon()).await.err().unwrap().host_error(), HostError::ReadTimeout);
}

#[tokio::test]
async fn plaintext_behind_the_answer_to_starttls_refuses_tls() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"220 go\r\n250 injected\r\n").await.unwrap();
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"220 go\r\n");
    let refused = connection.start_tls(&Tls::default(), soon(), &mut Measured::default()).await;
    assert_eq!(refused.err().unwrap().host_error(), HostError::PlaintextBeforeTls);
}

#[tokio::test]
async fn a_look_takes_what_has_arrived_and_waits_for_nothing() {
    let authority = Authority::new();
    let server = authority.server("localhost", 2100);
    let listener = listener().await;
    for encrypted in [false, true] {
        let (mut connection, mut peer) = opened(&listener).await;
        let mut serving = None;
        if encrypted {
            let server = Arc::clone(&server);
            let accepting = tokio_rustls::TlsAcceptor::from(server).accept(peer);
            let mut measured = Measured::default();
            let rules = Tls::new(&trusting(&authority)).unwrap();
            let (secured, accepted) =
                tokio::join!(connection.start_tls(&rules, soon(), &mut measured), accepting);
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
            std::thread::sleep(Duration::from_millis(100));
        };
        let nothing = connection.look(512, soon()).await.err().unwrap();
        assert_eq!(nothing.host_error(), HostError::ReadTimeout, "{nothing}");
        say(b"421 bye\r\n").await;
        assert_eq!(connection.look(512, soon()).await.unwrap().bytes, b"421 bye\r\n");
        let nothing = connection.look(512, soon()).await.err().unwrap();
        assert_eq!(nothing.host_error(), HostError::ReadTimeout, "{nothing}");
        drop((serving, peer));
        std::thread::sleep(Duration::from_millis(100));
        assert!(connection.look(512, soon()).await.unwrap().bytes.is_empty());
    }
}

#[tokio::test]
async fn our_own_time_is_in_no_wait() {
    // The kernel stamps from a moment after it was asked to.
    start();
    time::sleep(Duration::from_millis(100)).await;
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    let ours = Duration::from_millis(300);
    let before = connection.clock.waited();
    connection.write(b"EHLO a\r\n", soon()).await.unwrap();
    peer.write_all(b"250 b\r\n").await.unwrap();
    // On one thread: late to look, and then busy.
    std::thread::sleep(ours);
    connection.read(512, Instant::now() + ours).await.unwrap();
    std::thread::sleep(ours);
    assert!(connection.look(512, soon()).await.is_err());
    let waited = connection.clock.waited().saturating_sub(before);
    assert!(waited < ours / 2, "{waited:?}");
    let deadline = Instant::now() + Duration::from_millis(100);
    assert!(connection.read(512, deadline).await.is_err());
    assert!(connection.clock.waited() >= before + Duration::from_millis(100));
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
    let port = listener.local_addr().unwrap().port();
    let mut measured = Measured::default();
    let connection = connect(
        &Grant::new("::1", Some(port), &[]),
        "::1",
        port,
        &RunClock::start(),
        &quota(),
        soon(),
        &mut measured,
    )
    .await;
    assert_eq!(connection.unwrap().opened().address.to_string(), "::1");
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
    let grant = Grant::new("localhost", Some(alive.port()), &[]);
    let mut measured = Measured::default();
    let addresses = granted(vec![forbidden, dead, alive], &grant, "localhost", &mut measured).unwrap();
    let found = connect_to(addresses, "localhost", &RunClock::start(), &quota(), soon(), &mut measured)
        .await
        .unwrap();
    assert_eq!(found.opened().address, alive.ip());
    assert_eq!(measured.ip, Some(alive.ip()));
    let refused = granted(vec![forbidden], &grant, "localhost", &mut measured).unwrap_err();
    assert_eq!(refused.host_error(), HostError::Denied);
    assert!(refused.to_string().contains("169.254.169.254"), "{refused}");
}

#[test]
fn of_a_name_with_many_addresses_few_are_tried_and_the_families_in_turn() {
    let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 25);
    let order = |texts: &[&str]| -> Vec<String> {
        let addresses = texts.iter().map(|text| address(text)).collect();
        in_turn(addresses).into_iter().map(|address| address.ip().to_string()).collect()
    };
    assert_eq!(
        order(&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2", "::4"]),
        ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3", "::4"]
    );
    assert_eq!(order(&["10.0.0.1", "10.0.0.2", "::1"]), ["10.0.0.1", "::1", "10.0.0.2"]);
    assert!(order(&[]).is_empty());
    let many: Vec<SocketAddr> = (0..1000).map(|number: u32| (Ipv4Addr::from(number), 25).into()).collect();
    let mixed = [many.clone(), vec![address("::1")]].concat();
    let tried = in_turn(mixed);
    assert_eq!((tried.len(), tried[1], &tried[2..]), (ADDRESSES, address("::1"), &many[1..7]));
}

#[tokio::test]
async fn every_address_that_is_tried_is_charged() {
    let listener = listener().await;
    let alive = listener.local_addr().unwrap();
    let mut addresses: Vec<SocketAddr> =
        (2..9).map(|host| ([127, 0, 0, host], alive.port()).into()).collect();
    addresses.push(alive);
    let tried = async |quota: &Quota| {
        let clock = RunClock::start();
        connect_to(addresses.clone(), "many", &clock, quota, soon(), &mut Measured::default()).await
    };
    // The first is paid for by whoever resolves the name.
    let enough = Quota::new(7, 0);
    assert_eq!(tried(&enough).await.unwrap().opened().address, alive.ip());
    assert_eq!(
        enough.connection().map_err(|used_up| used_up.to_string()),
        Err("the run's share of connections is used up".to_owned())
    );
    let last = tried(&Quota::new(6, 0)).await.err().unwrap();
    assert_eq!(last.to_string(), format!("connect to 127.0.0.8:{}: connection refused", alive.port()));
    let (grant, none) = (Grant::new("127.0.0.1", Some(alive.port()), &[]), Quota::new(0, 0));
    let (clock, mut measured) = (RunClock::start(), Measured::default());
    let refused = connect(&grant, "127.0.0.1", alive.port(), &clock, &none, soon(), &mut measured);
    let refused = refused.await.err().unwrap();
    assert_eq!(refused.host_error(), HostError::CheckLimit);
    assert_eq!(measured, Measured::default());
}

#[tokio::test]
async fn what_the_configuration_denies_is_not_connected_to_though_it_is_the_jobs_own_host() {
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    let deny = Deny::new(&["127.0.0.0/8".to_owned()]).unwrap();
    for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
        let grant = Grant::new(host, Some(port), &[]).denying(&deny);
        let mut measured = Measured::default();
        let denied = connect(&grant, host, port, &RunClock::start(), &quota(), soon(), &mut measured).await;
        let denied = denied.err().unwrap();
        assert_eq!(denied.host_error(), HostError::Denied);
        let text =
            format!("connect to {host}:{port}: it is {host}, which `deny` of the configuration forbids");
        assert_eq!(denied.to_string(), text);
        assert_eq!(measured.ip, Some(host.parse().unwrap()));
    }
    assert!(time::timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_read_given_up_loses_nothing() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    let brief = Instant::now() + Duration::from_millis(20);
    assert_eq!(connection.read(512, brief).await.err().unwrap().host_error(), HostError::ReadTimeout);
    peer.write_all(b"220 late\r\n").await.unwrap();
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"220 late\r\n");
}

#[tokio::test]
async fn nothing_is_received_over_the_runs_share_and_the_end_is_still_told() {
    let listener = listener().await;
    for (said, over) in [(&b"220 a\r\n"[..], false), (b"220 a\r\n2", true)] {
        let (mut connection, mut peer) = opened_with(&listener, &Quota::new(1, 7)).await;
        peer.write_all(said).await.unwrap();
        drop(peer);
        assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"220 a\r\n");
        let next = connection.read(512, soon()).await;
        if over {
            let refused = next.err().unwrap();
            assert_eq!(refused.host_error(), HostError::CheckLimit);
            assert!(
                refused.to_string().ends_with(": the run's share of received bytes is used up"),
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
    let (mut connection, mut peer) = opened_with(&listener, &Quota::new(1, 8)).await;
    connection.write(b"EHLO\r\n", soon()).await.unwrap();
    for _ in 0..2 {
        let refused = connection.write(b"QUIT\r\n", soon()).await.err().unwrap();
        assert_eq!(refused.host_error(), HostError::CheckLimit);
        assert!(refused.to_string().ends_with(": the run's share of sent bytes is used up"), "{refused}");
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
    let quota = Quota::new(1, MUCH as u64);
    let (mut connection, _peer) = opened_with(&listener, &quota).await;
    let (much, brief) = (vec![b'x'; MUCH], Instant::now() + Duration::from_millis(200));
    for _ in 0..100 {
        let given_up = connection.write(&much, brief).await.err().unwrap();
        assert_eq!(given_up.host_error(), HostError::ReadTimeout);
    }
    // What waits is charged: so little waits.
    assert!(quota.send(REST).is_ok());
}
