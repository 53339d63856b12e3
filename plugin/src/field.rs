//! The fields that a report may have, as a table: the description is made from it, and a report is keyed by it.

use FieldKind::{Code, CodeAlways, Phase, Text, Time};

use crate::table::table;

/// What a field's value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// A time in milliseconds: a sum of phases.
    Time,
    /// The time of a phase, in milliseconds. The phases of a session follow each other.
    Phase,
    /// A code.
    Code,
    /// A code that is −1 on the line of a run that could not report.
    CodeAlways,
    /// Words.
    Text,
}

/// What is known of a field before a run.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its key on the line: lower-case letters, digits and `_`, a letter first, at most 64 bytes.
    pub name: &'static str,
    /// Its kind, always.
    pub kind: FieldKind,
    /// One sentence for the operator, at most 256 bytes.
    pub doc: &'static str,
}

const fn row(name: &'static str, kind: FieldKind, doc: &'static str) -> Row {
    Row { name, kind, doc }
}

table! {
    /// A field.
    pub enum Field of Row {
        SequenceCode = row("sequence_code", CodeAlways, "0, or the step that failed; −1: internal error.");
        ResponseCode = row("response_code", CodeAlways,
            "0, or the 4xx or 5xx that decided; −1: nobody refused, it failed otherwise.");
        LoginTime = row("login_time_ms", Time,
            "Greeting, EHLO, STARTTLS, TLS and AUTH together; only if all were accepted.");
        TransferTime = row("transfer_time_ms", Time,
            "MAIL, RCPT, DATA and message together; only if all were accepted.");
        BannerTime = row("banner_time_ms", Phase, "From connected (or TLS) to the end of the greeting.");
        EhloTime = row("ehlo_time_ms", Phase, "All EHLO and HELO exchanges.");
        StarttlsTime = row("starttls_time_ms", Phase, "STARTTLS to its reply.");
        AuthTime = row("auth_time_ms", Phase, "AUTH, all its exchanges.");
        MailTime = row("mail_time_ms", Phase, "MAIL to its reply.");
        RcptTime = row("rcpt_time_ms", Phase, "RCPT to its reply, summed over the recipients.");
        DataTime = row("data_time_ms", Phase, "DATA to its reply.");
        MessageTime = row("message_time_ms", Phase, "The message to the reply to its final dot.");
        QuitTime = row("quit_time_ms", Phase, "QUIT to its reply.");
        ReplyCode = row("reply_code", Code,
            "Code of the reply that decided; on success of the last one before QUIT's.");
        EnhancedStatus = row("enhanced_status", Text, "That reply's enhanced status code, such as 5.7.1.");
        Phase = row("phase", Text, "Last phase attempted.");
        Banner = row("banner", Text, "Text of the greeting: host, and software and version where given.");
        AuthMechanism = row("auth_mechanism", Text, "AUTH mechanism that was chosen.");
        QueueId = row("queue_id", Text, "What the server calls the accepted mail.");
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, FieldKind};

    #[test]
    fn no_two_fields_share_a_name_and_the_unit_stands_in_it() {
        for (at, field) in Field::ALL.iter().enumerate() {
            let row = field.row();
            assert!(!Field::ALL[..at].iter().any(|other| other.row().name == row.name), "{row:?}");
            assert_eq!(
                row.name.ends_with("_ms"),
                matches!(row.kind, FieldKind::Time | FieldKind::Phase),
                "{row:?}"
            );
        }
    }
}
