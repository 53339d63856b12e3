//! The test mail (RFC 5322): parameters in, bytes out; HTML with a plain-text alternative, in lines that every server takes.

use mail_send::mail_builder::{
    MessageBuilder,
    headers::{HeaderType, address::Address, content_type::ContentType, date::Date, raw::Raw},
    mime::{BodyPart, MimePart},
};

use crate::parameters::Parameters;

/// The mail, without dot-stuffing.
#[must_use]
pub fn build(parameters: &Parameters, time: u64, run_id: &str) -> Vec<u8> {
    let html = lines(&parameters.body);
    let part =
        |kind: &'static str, text: String| MimePart::new(ContentType::new(kind), BodyPart::Text(text.into()));
    let alternatives = vec![part("text/plain", plain_text(&html)), part("text/html", html)];
    // Stated, for the library would ask a clock.
    let kind = ContentType::new("multipart/alternative").attribute("boundary", format!("=_{run_id}"));
    let mail = MessageBuilder::new()
        .from(parameters.from.as_str())
        .header("To", to(&parameters.to))
        .subject(parameters.subject.as_str())
        .date(Date::new(i64::try_from(time).unwrap_or_default()))
        .message_id(format!("{run_id}@{}", domain(&parameters.from)))
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .body(MimePart::new(kind, BodyPart::Multipart(alternatives)));
    // Writing into memory does not fail.
    mail.write_to_vec().unwrap_or_default()
}

/// Those that are addresses in a header (RFC 5322 section 3.4.1): in RCPT `postmaster` may stand without a domain, here it may not,
/// and servers refuse the mail for it. Which domain is meant only the server knows. A mail without any `To` looks like spam.
fn to(recipients: &[String]) -> HeaderType<'_> {
    let whole: Vec<&str> = recipients.iter().map(String::as_str).filter(|to| to.contains('@')).collect();
    if whole.is_empty() {
        // As mail programs write it; the library would put quotes around the name of the group.
        return Raw::new("undisclosed-recipients:;").into();
    }
    Address::from(whole).into()
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("sonde.invalid", |(_, domain)| domain)
}

/// Every line end becomes CRLF.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// Dot-stuffed, and with the end-of-mail indicator (RFC 5321 section 4.5.2).
#[must_use]
pub fn on_the_wire(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 5);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Elements that end a line.
const BLOCKS: [&str; 12] =
    ["br", "p", "/p", "div", "/div", "/li", "/tr", "/h1", "/h2", "/h3", "/table", "/title"];
/// Elements whose content is not text.
const UNSEEN: [&str; 2] = ["script", "style"];
const ENTITIES: [(&str, &str); 6] =
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];

/// The words of an HTML text.
fn plain_text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
        rest = after;
        let name = tag.split([' ', '\r', '\n', '\t']).next().unwrap_or_default().to_ascii_lowercase();
        let name = name.strip_suffix('/').filter(|name| !name.is_empty()).unwrap_or(&name);
        if UNSEEN.contains(&name) {
            let end = rest.to_ascii_lowercase().find(&format!("</{name}")).unwrap_or(rest.len());
            rest = rest.get(end..).unwrap_or_default();
        } else if BLOCKS.contains(&name) {
            text.push('\n');
        }
    }
    text.push_str(rest);
    for (entity, character) in ENTITIES {
        text = text.replace(entity, character);
    }
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let filled: Vec<String> = text.lines().map(words).filter(|line| !line.is_empty()).collect();
    format!("{}\r\n", filled.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, body: &str) -> String {
        let parameters = Parameters {
            from: "probe@example.org".into(),
            to: vec!["a@example.org".into(), "b@example.org".into()],
            subject: subject.into(),
            body: body.into(),
            ..Parameters::default()
        };
        String::from_utf8(build(&parameters, 1_700_000_000, "abc123")).unwrap()
    }

    #[test]
    fn a_mail_has_the_headers_that_make_it_a_good_citizen() {
        let mail = mail("Grüße", "<p>Hello</p>");
        for header in [
            "From: <probe@example.org>\r\n",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
            "Message-ID: <abc123@example.org>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Subject: =?utf-8?",
        ] {
            assert!(mail.contains(header), "{header} is not in\n{mail}");
        }
    }

    #[test]
    fn who_has_no_domain_stands_in_no_header() {
        let to = |recipients: &[&str]| {
            let parameters = Parameters {
                from: "probe@example.org".into(),
                to: recipients.iter().map(|to| (*to).to_owned()).collect(),
                ..Parameters::default()
            };
            let mail = String::from_utf8(build(&parameters, 1_700_000_000, "abc123")).unwrap();
            mail.lines().find(|line| line.starts_with("To:")).unwrap().to_owned()
        };
        assert_eq!(to(&["postmaster"]), "To: undisclosed-recipients:;");
        assert_eq!(to(&["Postmaster", "a@example.org"]), "To: <a@example.org>");
        assert_eq!(to(&["a@example.org", "b@example.org"]), "To: <a@example.org>, <b@example.org>");
    }

    #[test]
    fn no_line_is_longer_than_76_and_every_line_ends_with_crlf() {
        let mail =
            mail(&"Grüße ".repeat(40), &format!("<p>{}</p>\n.\n{}", "Wörter ".repeat(300), "x".repeat(2000)));
        for line in mail.split("\r\n") {
            assert!(line.len() <= 76 && !line.contains(['\r', '\n']) && line.is_ascii(), "{line}");
        }
    }

    #[test]
    fn the_text_part_holds_the_words_of_the_html() {
        let html = "<style>p{}</style><p class=x>Hello &lt;you&gt;</p>\r\n<div>a<br/>b</div>";
        assert_eq!(plain_text(html), "Hello <you>\r\na\r\nb\r\n");
    }

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another() {
        assert_eq!(on_the_wire(b".\r\na\r\n..b"), b"..\r\na\r\n...b\r\n.\r\n");
    }
}
