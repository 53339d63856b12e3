//! A mail client that does nothing else and has no sandbox: what a session costs such a program at least.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::{io, net::Ipv4Addr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::mail::NAME;

/// What verifies the server's certificate.
pub(crate) fn connector(authority: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

pub(crate) async fn plain(port: u16) -> io::Result<()> {
    let mut stream = connect(port).await?;
    reply(&mut stream).await?;
    converse(stream).await
}

pub(crate) async fn starttls(port: u16, connector: &TlsConnector) -> io::Result<()> {
    let mut stream = connect(port).await?;
    reply(&mut stream).await?;
    for command in ["EHLO bench.invalid\r\n", "STARTTLS\r\n"] {
        stream.get_mut().write_all(command.as_bytes()).await?;
        reply(&mut stream).await?;
    }
    converse(secure(stream.into_inner(), connector).await?).await
}

pub(crate) async fn tls(port: u16, connector: &TlsConnector) -> io::Result<()> {
    let mut stream = secure(connect(port).await?.into_inner(), connector).await?;
    reply(&mut stream).await?;
    converse(stream).await
}

async fn connect(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

async fn secure(
    stream: TcpStream,
    connector: &TlsConnector,
) -> io::Result<BufReader<impl AsyncRead + AsyncWrite + Unpin + use<>>> {
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    Ok(BufReader::new(connector.connect(name, stream).await?))
}

async fn converse(mut stream: BufReader<impl AsyncRead + AsyncWrite + Unpin>) -> io::Result<()> {
    for command in ["EHLO bench.invalid\r\n", "QUIT\r\n"] {
        stream.get_mut().write_all(command.as_bytes()).await?;
        stream.get_mut().flush().await?;
        reply(&mut stream).await?;
    }
    // The server closes, with TLS without saying so there.
    match stream.read_to_end(&mut Vec::new()).await {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(()),
    }
}

async fn reply(stream: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        match line.as_bytes() {
            [b'2', _, _, b' ', ..] => return Ok(()),
            [b'2', _, _, b'-', ..] => {}
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
