//! A small, well-behaved SMTP server on loopback ports that it picks: nothing in; addresses, a certificate authority
//! made on the spot and the mails received out. Logins need TLS; one recipient has a mailbox.

mod session;

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{self, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use self::session::{Flow, Mails, Mode, Session};
pub use self::session::{Mail, PASSWORD, RECIPIENT, USERNAME};

/// Who gets none.
pub const REFUSED: &str = "nobody@example.org";

/// A certificate that is not to be mistaken for one in use.
const VALID: Duration = Duration::from_hours(30 * 24);

/// The server; it takes no more connections once dropped.
pub struct Server {
    /// Plain text only.
    pub plain: SocketAddr,
    /// With STARTTLS.
    pub starttls: SocketAddr,
    /// TLS from the first byte.
    pub tls: SocketAddr,
    /// PEM of the authority; the server's certificate is for `localhost` and 127.0.0.1.
    pub ca_pem: String,
    mails: Mails,
    _listeners: JoinSet<()>,
}

impl Server {
    /// Starts it.
    pub async fn start() -> io::Result<Self> {
        let (config, ca_pem) = certificates().map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(config);
        let mails = Mails::default();
        let mut listeners = JoinSet::new();
        let mut listen = async |mode| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            let (acceptor, mails) = (acceptor.clone(), Arc::clone(&mails));
            listeners.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let served = serve(stream, mode, acceptor.clone(), Arc::clone(&mails));
                    // A client that breaks off is its own affair.
                    task::spawn(async move { drop(served.await) });
                }
            });
            io::Result::Ok(address)
        };
        let plain = listen(Mode::Plain).await?;
        let starttls = listen(Mode::StartTls).await?;
        let tls = listen(Mode::Tls).await?;
        Ok(Self { plain, starttls, tls, ca_pem, mails, _listeners: listeners })
    }

    /// The mails received so far.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn certificates() -> Result<(Arc<ServerConfig>, String), Box<dyn Error + Send + Sync>> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let not_before = epoch + SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let named = |names: &[&str], common_name: &str| {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        // Of a lifetime that makes sense of what is left of it.
        (params.not_before, params.not_after) = (not_before, not_before + VALID);
        Ok::<_, rcgen::Error>(params)
    };
    let mut params = named(&[], "Sonde demonstration authority")?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut params = named(&["localhost", "127.0.0.1"], "localhost")?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    Ok((Arc::new(config), issuer.pem()))
}

async fn serve(stream: TcpStream, mode: Mode, acceptor: TlsAcceptor, mails: Mails) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if mode == Mode::Tls {
        let mut session = Session::new(acceptor.accept(stream).await?, Mode::Tls, mails);
        session.greet().await?;
        return session.converse().await.map(drop);
    }
    let mut session = Session::new(stream, mode, Arc::clone(&mails));
    session.greet().await?;
    if session.converse().await? == Flow::StartTls {
        // What was sent ahead of the handshake goes with the buffer: it was not protected (RFC 3207 section 4.2).
        let stream = acceptor.accept(session.stream.into_inner()).await?;
        Session::new(stream, Mode::Tls, mails).converse().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
