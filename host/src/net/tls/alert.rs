//! TLS alerts: one in; what RFC 8446 and its forerunners call it, in words, out.

use rustls::AlertDescription as Alert;

/// Without an article.
pub(super) fn alert_name(alert: Alert) -> String {
    let name = match alert {
        Alert::CloseNotify => "close notify",
        Alert::UnexpectedMessage => "unexpected message",
        Alert::BadRecordMac => "bad record MAC",
        Alert::DecryptionFailed => "decryption failed",
        Alert::RecordOverflow => "record overflow",
        Alert::DecompressionFailure => "decompression failure",
        Alert::HandshakeFailure => "handshake failure",
        Alert::NoCertificate => "no certificate",
        Alert::BadCertificate => "bad certificate",
        Alert::UnsupportedCertificate => "unsupported certificate",
        Alert::CertificateRevoked => "certificate revoked",
        Alert::CertificateExpired => "certificate expired",
        Alert::CertificateUnknown => "certificate unknown",
        Alert::IllegalParameter => "illegal parameter",
        Alert::UnknownCA => "unknown authority",
        Alert::AccessDenied => "access denied",
        Alert::DecodeError => "decode error",
        Alert::DecryptError => "decrypt error",
        Alert::ExportRestriction => "export restriction",
        Alert::ProtocolVersion => "protocol version",
        Alert::InsufficientSecurity => "insufficient security",
        Alert::InternalError => "internal error",
        Alert::InappropriateFallback => "inappropriate fallback",
        Alert::UserCanceled => "user canceled",
        Alert::NoRenegotiation => "no renegotiation",
        Alert::MissingExtension => "missing extension",
        Alert::UnsupportedExtension => "unsupported extension",
        Alert::CertificateUnobtainable => "certificate unobtainable",
        Alert::UnrecognisedName => "unrecognized name",
        Alert::BadCertificateStatusResponse => "bad certificate status response",
        Alert::BadCertificateHashValue => "bad certificate hash value",
        Alert::UnknownPSKIdentity => "unknown PSK identity",
        Alert::CertificateRequired => "certificate required",
        Alert::NoApplicationProtocol => "no application protocol",
        Alert::EncryptedClientHelloRequired => "encrypted client hello required",
        other => return format!("number {}", u8::from(other)),
    };
    name.to_owned()
}
