//! Encrypted streams, whole and broken.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;

#[tokio::test]
async fn a_burst_of_records_of_any_size_is_read_whole() {
    let authority = Authority::default();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let server = authority.issue("localhost", FAR).server();
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(peer).await.unwrap();
        for size in [16_000, 16_384, 9_000, 100, 3, 16_384, 16_384, 700, 16_384, 5_000] {
            stream.write_all(&vec![b'x'; size]).await.unwrap();
        }
        // The end comes without close_notify.
    });
    connection.start_tls().await.unwrap();
    time::sleep(Duration::from_millis(100)).await;
    let mut count = 0;
    loop {
        let got = connection.read(65_536, None).await.unwrap().bytes.len();
        if got == 0 {
            break;
        }
        count += got;
    }
    serving.await.unwrap();
    assert_eq!(count, 96_339);
    assert!(connection.read(1, None).await.unwrap().bytes.is_empty());
}

#[tokio::test]
async fn a_close_notify_is_the_end_though_the_stream_stays_open() {
    let authority = Authority::default();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let server = authority.issue("localhost", FAR).server();
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(peer).await.unwrap();
        stream.get_mut().1.send_close_notify();
        stream.flush().await.unwrap();
        stream
    });
    connection.start_tls().await.unwrap();
    let _open = serving.await.unwrap();
    for _ in 0..2 {
        assert!(connection.read(512, None).await.unwrap().bytes.is_empty());
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_has_the_stream_is_said_to_be_why_the_next_is_refused() {
    let authority = Authority::default();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let server = authority.issue("localhost", FAR).server();
    let serving = tokio::spawn(async move { TlsAcceptor::from(server).accept(peer).await.unwrap() });
    connection.start_tls().await.unwrap();
    let _open = serving.await.unwrap();
    assert!(time::timeout(BRIEF, connection.read(512, None)).await.is_err());
    let refused = connection.write(b"NOOP\r\n").await.err().unwrap();
    assert_eq!(refused.host_error(), HostError::CheckState);
    assert!(refused.to_string().ends_with(": an earlier call was given up"), "{refused}");
}

#[tokio::test]
async fn when_the_time_is_over_nothing_of_what_waits_is_sent() {
    let listener = listener().await;
    let deadline = Instant::now() + BRIEF;
    let outbound = Outbound::new(reach("localhost", port(&listener)), quota(), deadline);
    let (mut connection, mut peer) = opened_from(&outbound, &listener).await;
    let tcp = &mut connection.stream.as_mut().unwrap().tcp;
    tcp.outgoing().write_all(b".\r\n").unwrap();
    time::sleep_until(deadline.into()).await;
    assert_eq!(tcp.flush().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(connection.write(b".\r\n").await.err().unwrap().host_error(), HostError::WriteTimeout);
    drop(connection);
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"");
}

/// More than rustls buffers of what it does not take any more.
const BEHIND_THE_END: usize = 100_000;

#[tokio::test]
async fn what_stands_behind_a_close_notify_is_nobodys() {
    let authority = Authority::default();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let server = authority.issue("localhost", FAR).server();
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(peer).await.unwrap();
        stream.write_all(b"221 bye\r\n").await.unwrap();
        stream.get_mut().1.send_close_notify();
        stream.flush().await.unwrap();
        stream.get_mut().0.write_all(&vec![0x17; BEHIND_THE_END]).await.unwrap();
        stream
    });
    connection.start_tls().await.unwrap();
    let _open = serving.await.unwrap();
    assert_eq!(connection.read(512, None).await.unwrap().bytes, b"221 bye\r\n");
    assert!(connection.read(512, None).await.unwrap().bytes.is_empty());
}

#[tokio::test]
async fn what_was_said_before_the_stream_broke_is_read_before_that() {
    let authority = Authority::default();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let server = authority.issue("localhost", FAR).server();
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(peer).await.unwrap();
        stream.write_all(b"535 5.7.8 no\r\n").await.unwrap();
        let broken = [&[0x17, 0x03, 0x03, 0x00, 0x20][..], &[b'x'; 32]].concat();
        stream.get_mut().0.write_all(&broken).await.unwrap();
        stream
    });
    connection.start_tls().await.unwrap();
    let _open = serving.await.unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(connection.read(512, None).await.unwrap().bytes, b"535 5.7.8 no\r\n");
    for _ in 0..2 {
        assert_eq!(connection.read(512, None).await.err().unwrap().host_error(), HostError::TlsFailed);
    }
}

#[tokio::test]
async fn a_write_given_up_leaves_the_encrypted_stream_whole() {
    let authority = Authority::default();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let server = authority.issue("localhost", FAR).server();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(peer).await.unwrap();
        gone.await.unwrap();
        let (mut all, mut buffer) = (0, vec![0; 65_536]);
        // A torn record would be an error here.
        loop {
            let count = stream.read(&mut buffer).await.unwrap();
            all += count;
            if buffer[..count].ends_with(b"!") {
                return all;
            }
        }
    });
    connection.start_tls().await.unwrap();
    let (much, mut stalled) = (vec![b'x'; 65_536], false);
    for _ in 0..1_000 {
        let stream = connection.stream.as_mut().unwrap();
        if time::timeout(BRIEF, stream.write(&much)).await.is_err() {
            stalled = true;
            break;
        }
    }
    assert!(stalled);
    go.send(()).unwrap();
    connection.write(b"!").await.unwrap();
    let all = time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
    assert!(all > 65_536);
}

/// A wait that ends before the next byte is sent.
const NO_TIME: Duration = Duration::from_millis(1);

/// Sends the bytes one by one, each when the client has given up waiting for what it is a part of.
async fn a_byte_at_a_time(wire: &[u8], peer: &mut TcpStream, connection: &mut Connection) -> Vec<u8> {
    let mut read = Vec::new();
    for byte in wire {
        peer.write_all(&[*byte]).await.unwrap();
        // Waits, and then only looks.
        loop {
            let got = connection.read(5, Some(NO_TIME)).await;
            let Ok(got) = got else {
                assert_eq!(got.unwrap_err().host_error(), HostError::WaitEnded);
                break;
            };
            read.extend(got.bytes);
        }
        assert_eq!(connection.look(5).await.err().unwrap().host_error(), HostError::WaitEnded);
    }
    read
}

#[tokio::test]
async fn a_read_that_is_given_up_at_any_byte_loses_none_and_the_connection_stays_usable() {
    let said = [&b"* 1 EXISTS\r\n"[..], &[b'x'; 100], b"* BYE\r\n"];
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    assert_eq!(a_byte_at_a_time(&said.concat(), &mut peer, &mut connection).await, said.concat());

    let authority = Authority::default();
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let server = authority.issue("localhost", FAR).server();
    let accepting = tokio::spawn(async move { TlsAcceptor::from(server).accept(peer).await.unwrap() });
    connection.start_tls().await.unwrap();
    let mut stream = accepting.await.unwrap();
    let (peer, tls) = stream.get_mut();
    let mut wire = Vec::new();
    for record in said {
        tls.writer().write_all(record).unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut wire).unwrap();
        }
    }
    assert_eq!(a_byte_at_a_time(&wire, peer, &mut connection).await, said.concat());
    connection.write(b"a1 NOOP\r\n").await.unwrap();
    let mut heard = vec![0; 9];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, b"a1 NOOP\r\n");
}

/// A run's bytes, and records of one byte each which are that many only with what TLS adds to them.
const SHARE: u64 = 100_000;
const RECORDS: usize = 10_000;

#[tokio::test]
async fn what_tls_itself_adds_counts_as_received() {
    let authority = Authority::default();
    let server = authority.issue("localhost", FAR).server();
    let listener = listener().await;
    for look in [false, true] {
        let outbound = outbound_by(&listener, &trusting(&authority), Quota::new(1, SHARE));
        let (mut connection, peer) = opened_from(&outbound, &listener).await;
        let server = Arc::clone(&server);
        let serving = tokio::spawn(async move {
            let mut stream = TlsAcceptor::from(server).accept(peer).await.unwrap();
            for _ in 0..RECORDS {
                if stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        });
        connection.start_tls().await.unwrap();
        let mut count = 0;
        let ended = loop {
            let got = if look { connection.look(512).await } else { connection.read(512, None).await };
            match got {
                Ok(got) => count += got.bytes.len(),
                Err(nothing_yet) if nothing_yet.host_error() == HostError::WaitEnded => {
                    tokio::task::yield_now().await;
                }
                Err(error) => break error,
            }
        };
        assert_eq!(ended.host_error(), HostError::CheckLimit, "{ended}");
        assert!(count < RECORDS / 2, "{count}");
        drop(connection);
        serving.await.unwrap();
    }
}
