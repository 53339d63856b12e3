//! The probe's own error codes, as a table. Those of name resolution, network and TLS are the host's.

use Kind::{AuthFailed, ProtocolError, ReadFailed, Rejected, TlsError};

use crate::table::table;

/// What kind of failure it is: see `wit/check.wit`.
pub use crate::bindings::exports::sonde::check::check::FailureKind as Kind;

/// What is known of a code before a run.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// 1000 or more, never used again for something else.
    pub number: u32,
    /// Lower-case letters, digits and `-`, at most 64 bytes.
    pub name: &'static str,
    /// Becomes tag `result`.
    pub kind: Kind,
    /// One sentence for the operator, at most 256 bytes.
    pub doc: &'static str,
}

const fn row(number: u32, name: &'static str, kind: Kind, doc: &'static str) -> Row {
    Row { number, name, kind, doc }
}

table! {
    /// An error code.
    pub enum ErrorCode of Row {
        NotSmtp = row(1001, "not-smtp", ProtocolError, "What the server sent is not an SMTP reply.");
        UnexpectedReply = row(1002, "unexpected-reply", ProtocolError,
            "A reply that neither accepts nor refuses, such as 250 to DATA.");
        ReplyTooLong = row(1003, "reply-too-long", ProtocolError,
            "A reply of more than 8192 bytes a line or 100 lines.");
        SpeaksTls = row(1004, "speaks-tls", ProtocolError,
            "A TLS record where a plain reply was due: the port wants TLS from the first byte.");
        UnexpectedData = row(1005, "unexpected-data", ProtocolError,
            "Something behind a reply that nobody asked for: what follows cannot be told apart.");
        SpeaksLmtp = row(1006, "speaks-lmtp", Rejected,
            "EHLO and HELO are refused and LHLO is accepted: the port speaks LMTP, not SMTP.");
        GreetingRefused = row(1010, "greeting-refused", Rejected,
            "The server greets with a refusal: it may refuse us, and be up for others.");
        EhloRefused = row(1011, "ehlo-refused", Rejected,
            "EHLO is refused, and HELO is as well or has no answer.");
        StarttlsNotOffered = row(1012, "starttls-not-offered", TlsError,
            "The server does not offer STARTTLS.");
        StarttlsRefused = row(1013, "starttls-refused", TlsError, "The server refuses STARTTLS.");
        AuthNotOffered = row(1014, "auth-not-offered", AuthFailed,
            "The server offers no mechanism that can be used.");
        PlaintextAuthNotAllowed = row(1015, "plaintext-auth-not-allowed", AuthFailed,
            "Only a readable password would do, and there is no TLS.");
        AuthRefused = row(1016, "auth-refused", AuthFailed, "The server refuses the login.");
        CredentialsHeldBack = row(1017, "credentials-held-back", AuthFailed,
            "The server's certificate failed verification: no login.");
        MailRefused = row(1018, "mail-refused", Rejected, "The sender is refused.");
        RecipientRefused = row(1019, "recipient-refused", Rejected,
            "A recipient is refused, or deferred (greylisting).");
        DataRefused = row(1020, "data-refused", Rejected, "DATA is refused.");
        MessageRefused = row(1021, "message-refused", Rejected, "The message is refused.");
        // Of silence the kind is Timeout.
        DeliveryAmbiguous = row(1022, "delivery-ambiguous", ReadFailed,
            "No answer to the end of the mail: it may have been delivered, and is not sent again.");
        ServiceClosing = row(1023, "service-closing", Rejected, "The server closes the session with 421.");
        AuthDeferred = row(1024, "auth-deferred", AuthFailed,
            "The server refuses the login for now (4xx): a rate limit, or its directory is down.");
        ParameterInvalid = row(1030, "parameter-invalid", ProtocolError, "A parameter cannot be used.");
        MessageTooLarge = row(1031, "message-too-large", Rejected,
            "The mail is larger than the server's SIZE.");
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn numbers_are_ours_and_no_two_codes_share_a_number_or_a_name() {
        let rows: Vec<_> = ErrorCode::ALL.iter().map(|code| code.row()).collect();
        for (at, row) in rows.iter().enumerate() {
            assert!(row.number >= 1000, "{row:?}");
            let earlier = rows[..at].iter().any(|other| other.number == row.number || other.name == row.name);
            assert!(!earlier, "{row:?}");
        }
    }
}
