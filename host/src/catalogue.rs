//! The host's error codes: field `error_code`. One table, here and (checked against it) in `REFERENCE.md`. Numbers are never
//! reused. Below 1000 they are the host's, from 1000 on each check's own, announced by its `describe`.

use crate::outcome::Outcome;

/// An error code: the host's or a check's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorCode(pub u32);

/// The first code of a check's own.
pub const FIRST_OWN_CODE: u32 = 1000;

macro_rules! host_errors {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal $name:literal $outcome:ident;)+) => {
        /// A fault that the host names.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum HostError { $($(#[doc = $doc])+ $variant,)+ }

        impl HostError {
            /// All, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number.
            #[must_use]
            pub fn code(self) -> ErrorCode {
                ErrorCode(match self { $(Self::$variant => $code,)+ })
            }

            /// The name, as in the reference.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means.
            #[must_use]
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }.trim_ascii()
            }

            /// The result that it leads to.
            #[must_use]
            pub fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)+ }
            }
        }
    };
}

host_errors! {
    /// The check trapped: it crashed or ran into an unreachable state.
    CheckTrapped = 201 "check-trapped" CheckError;
    /// The check had not reported by its hard deadline.
    CheckDeadline = 202 "check-deadline" CheckError;
    /// The check used up its CPU time.
    CheckCpu = 203 "check-cpu" CheckError;
    /// The check wanted more memory than it may have.
    CheckMemory = 204 "check-memory" CheckError;
    /// The check made more calls, connections or traffic, or handed over more, than it may.
    CheckLimit = 205 "check-limit" CheckError;
    /// The check's report contradicts its own description.
    CheckReport = 206 "check-report" CheckError;
    /// The check's component cannot be read, or is none.
    CheckLoad = 207 "check-load" CheckError;
    /// The check used a connection in an impossible order.
    CheckState = 208 "check-state" CheckError;
    /// The check's component is not the pinned one.
    CheckDigest = 209 "check-digest" CheckError;
    /// The check's component imports what no check gets.
    CheckImport = 210 "check-import" CheckError;
    /// The check's component is built for another version of the interface.
    CheckVersion = 211 "check-version" CheckError;
    /// The check does not describe itself, or contradicts itself.
    CheckDescribe = 212 "check-describe" CheckError;
    /// The check cannot be compiled here, or not in time.
    CheckCompile = 213 "check-compile" CheckError;
    /// The check describes itself otherwise than the configuration pins.
    CheckPinned = 214 "check-pinned" CheckError;
    /// The job is not one that the check can run.
    CheckJob = 215 "check-job" CheckError;
    /// The host name does not exist or has no address.
    NameNotFound = 301 "name-not-found" DnsError;
    /// The host name could not be looked up now.
    ResolverFailed = 302 "resolver-failed" DnsError;
    /// The name server was silent.
    ResolverTimeout = 303 "resolver-timeout" Timeout;
    /// The name server refused to answer.
    ResolverRefused = 304 "resolver-refused" DnsError;
    /// Reserved: the name server's answer is not signed as its zone must be.
    DnssecBogus = 305 "dnssec-bogus" DnsError;
    /// The job does not grant this endpoint or this address.
    Denied = 401 "denied" ConnectionFailed;
    /// No answer to the connection attempt.
    ConnectTimeout = 402 "connect-timeout" Timeout;
    /// Nobody listens there.
    ConnectionRefused = 403 "connection-refused" ConnectionFailed;
    /// No route to the address, or it is filtered.
    Unreachable = 404 "unreachable" ConnectionFailed;
    /// The peer reset the connection.
    ConnectionReset = 405 "connection-reset" ReadFailed;
    /// The peer closed the connection.
    ConnectionClosed = 406 "connection-closed" ReadFailed;
    /// The peer was silent until the job's time was over.
    ReadTimeout = 407 "read-timeout" Timeout;
    /// Another network fault.
    NetworkOther = 408 "network-other" ConnectionFailed;
    /// The peer did not take what was sent.
    WriteTimeout = 409 "write-timeout" Timeout;
    /// The peer was silent for as long as the check would wait.
    WaitEnded = 410 "wait-ended" Timeout;
    /// The check was about to send a secret of another endpoint, or what looks like it: nothing of it was sent.
    SecretElsewhere = 411 "secret-elsewhere" CheckError;
    /// A certificate in the chain is past its end.
    CertificateExpired = 501 "certificate-expired" CertInvalid;
    /// A certificate in the chain is not valid yet.
    CertificateNotYetValid = 502 "certificate-not-yet-valid" CertInvalid;
    /// The certificate was issued for another name.
    CertificateNameMismatch = 503 "certificate-name-mismatch" CertInvalid;
    /// The chain does not end at a trusted root.
    CertificateUnknownIssuer = 504 "certificate-unknown-issuer" CertInvalid;
    /// A certificate in the chain is revoked, by a list in `crl_file`.
    CertificateRevoked = 505 "certificate-revoked" CertInvalid;
    /// The certificate is unusable for another reason.
    CertificateInvalid = 506 "certificate-invalid" CertInvalid;
    /// Reserved: the certificate is none that the name's TLSA records allow.
    CertificateTlsaMismatch = 507 "certificate-tlsa-mismatch" CertInvalid;
    /// Reserved: the certificate is not the one that the job pins.
    CertificatePinMismatch = 508 "certificate-pin-mismatch" CertInvalid;
    /// The server refused the handshake with an alert.
    TlsAlert = 511 "tls-alert" TlsError;
    /// What came in answer to the handshake is not TLS.
    TlsNotTls = 512 "tls-not-tls" TlsError;
    /// The server closed or reset the connection inside the handshake.
    TlsClosed = 513 "tls-closed" TlsError;
    /// The server lacks another part of TLS that is needed.
    TlsUnsupported = 514 "tls-unsupported" TlsError;
    /// The handshake, or the encrypted stream behind it, failed for another reason.
    TlsFailed = 515 "tls-failed" TlsError;
    /// The server was silent inside the handshake.
    TlsTimeout = 516 "tls-timeout" Timeout;
    /// Plaintext was left over when TLS was to start: possibly injected.
    PlaintextBeforeTls = 517 "plaintext-before-tls" ProtocolError;
    /// The server takes no TLS from 1.2, or `min_version`, on; one that is to take 1.3 alone may have no usable certificate.
    TlsVersion = 518 "tls-version" TlsError;
    /// No cipher suite in common: the server may have no usable certificate, or know only RSA key exchange.
    TlsNoCipher = 519 "tls-no-cipher" TlsError;
    /// The server wants a client certificate: see `client_cert`.
    TlsClientCertificate = 520 "tls-client-certificate" TlsError;
}
