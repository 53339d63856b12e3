//! The server, talked to by a plain client.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    session::{base64, hex, hmac_md5},
    *,
};

struct Client<S>(BufStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            self.0.read_line(&mut reply).await.unwrap();
            assert!(reply.ends_with("\r\n"), "{reply}");
            if reply.as_bytes()[start + 3] == b' ' {
                return reply;
            }
        }
    }

    async fn ask(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
        self.reply().await
    }

    async fn dialogue(&mut self, steps: &[(&str, &str)]) {
        for (line, begin) in steps {
            let reply = self.ask(line).await;
            assert!(reply.starts_with(begin), "{line}: {reply}");
        }
    }
}

async fn plain(address: SocketAddr) -> Client<TcpStream> {
    let mut client = Client(BufStream::new(TcpStream::connect(address).await.unwrap()));
    assert_eq!(client.reply().await, "220 demo.sonde.invalid ESMTP Sonde demonstration\r\n");
    client
}

async fn handshake(server: &Server, stream: TcpStream, name: &str) -> Client<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    Client(BufStream::new(stream))
}

async fn tls(server: &Server) -> Client<TlsStream<TcpStream>> {
    let mut client = handshake(server, TcpStream::connect(server.tls).await.unwrap(), "127.0.0.1").await;
    assert!(client.reply().await.starts_with("220 "));
    assert!(client.ask("EHLO me").await.contains("250-AUTH PLAIN LOGIN CRAM-MD5\r\n"));
    client
}

#[tokio::test]
async fn a_plain_session_offers_neither_tls_nor_a_login() {
    let server = Server::start().await.unwrap();
    let mut client = plain(server.plain).await;
    let offer = client.ask("EHLO me").await;
    assert!(!offer.contains("STARTTLS") && !offer.contains("AUTH"), "{offer}");
    client.dialogue(&[("STARTTLS", "502 "), ("AUTH PLAIN eA==", "538 5.7.11"), ("quit", "221 ")]).await;
    assert_eq!(client.0.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_mail_for_the_recipient_arrives_as_it_was_written() {
    let server = Server::start().await.unwrap();
    let mut client = plain(server.plain).await;
    client
        .dialogue(&[
            ("EHLO me", "250-demo"),
            ("MAIL FROM:<a@b> SIZE=9", "250 "),
            ("RCPT TO:<postmaster@example.org>", "250 "),
            ("DATA", "354 "),
            ("Subject: x\r\n\r\n..dot\r\n.", "250 2.0.0 ok: queued as DEMO1\r\n"),
            ("QUIT", "221 "),
        ])
        .await;
    let text = "Subject: x\r\n\r\n.dot\r\n".to_owned();
    assert_eq!(server.mails(), [Mail { from: "a@b".to_owned(), to: vec![RECIPIENT.to_owned()], text }]);
}

#[tokio::test]
async fn mail_for_anybody_else_is_refused() {
    let server = Server::start().await.unwrap();
    let mut client = plain(server.plain).await;
    client
        .dialogue(&[
            ("HELO me", "250 "),
            ("RCPT TO:<postmaster@example.org>", "503 "),
            ("MAIL FROM:<>", "250 "),
            ("MAIL FROM:<>", "503 "),
            (&format!("RCPT TO:<{REFUSED}>"), "550 5.1.1 "),
            ("DATA", "554 "),
            ("RSET", "250 "),
            ("MAIL FROM:<> SIZE=1048577", "552 "),
        ])
        .await;
    assert_eq!(server.mails(), []);
}

#[tokio::test]
async fn starttls_leads_to_a_session_where_one_can_log_in() {
    let server = Server::start().await.unwrap();
    let mut client = plain(server.starttls).await;
    assert!(client.ask("EHLO me").await.contains("250-STARTTLS\r\n"));
    client.dialogue(&[("STARTTLS", "220 ")]).await;
    let mut client = handshake(&server, client.0.into_inner(), "localhost").await;
    client
        .dialogue(&[
            ("AUTH PLAIN AHByb2JlAG9wZW4tc2VzYW1l", "503 "),
            ("EHLO me", "250-"),
            ("STARTTLS", "502 "),
            ("AUTH PLAIN AHByb2JlAG9wZW4tc2VzYW1l", "235 "),
            ("AUTH PLAIN AHByb2JlAG9wZW4tc2VzYW1l", "503 "),
            ("QUIT", "221 "),
        ])
        .await;
}

#[tokio::test]
async fn all_mechanisms_tell_right_from_wrong() {
    let server = Server::start().await.unwrap();
    let mut client = tls(&server).await;
    let (name, password) = (base64(USERNAME.as_bytes()), base64(PASSWORD.as_bytes()));
    client
        .dialogue(&[
            ("AUTH NTLM", "504 "),
            ("AUTH PLAIN", "334 \r\n"),
            ("*", "501 "),
            ("AUTH PLAIN AHByb2JlAHdyb25n", "535 5.7.8 "),
            ("AUTH CRAM-MD5", "334 "),
            (&name, "535 "),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6\r\n"),
            (&name, "334 UGFzc3dvcmQ6\r\n"),
            (&name, "535 "),
            ("AUTH LOGIN", "334 "),
            (&name, "334 "),
            (&password, "235 "),
        ])
        .await;
}

#[tokio::test]
async fn a_digest_of_the_challenge_logs_in() {
    let server = Server::start().await.unwrap();
    let mut client = tls(&server).await;
    let question = client.ask("AUTH CRAM-MD5").await;
    let question = question.strip_prefix("334 ").unwrap().trim_end();
    let answer = format!(
        "{USERNAME} {}",
        hex(&hmac_md5(PASSWORD.as_bytes(), &BASE64_STANDARD.decode(question).unwrap()))
    );
    client.dialogue(&[(&base64(answer.as_bytes()), "235 "), ("QUIT", "221 ")]).await;
}

#[tokio::test]
async fn a_line_without_cr_ends_the_session() {
    let server = Server::start().await.unwrap();
    let mut client = plain(server.plain).await;
    client.0.write_all(b"NOOP\n").await.unwrap();
    client.0.flush().await.unwrap();
    assert!(client.reply().await.starts_with("500 "));
    assert_eq!(client.0.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
