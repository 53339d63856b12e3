//! What a server calls an accepted mail in its log: the text of its reply in, the id out. A table, a row a server.

/// Words that follow each other somewhere in a reply, in whatever case: `*` is any word; `ID` the id, also inside a word. And
/// what the id must look like, so that no word of a sentence is taken for one.
type Row = (&'static str, fn(&str) -> bool);

/// The first row that fits counts.
const ROWS: &[Row] = &[
    // Postfix, and all that say so
    ("queued as ID", is_no_word),
    ("queued on * as ID", is_no_word),
    // Exim
    ("OK id=ID", any),
    // sendmail and OpenSMTPD
    ("ID Message accepted for delivery", is_key),
    // qmail: the process that its log names
    ("ok * qp ID", any),
    // Exchange; the Message-ID before it is ours
    ("[InternalId=ID", any),
    // Exchange before 2010, and IIS
    ("<ID> Queued mail for delivery", any),
    // Amazon SES
    ("Ok ID", |id| id.ends_with("-000000")),
    // Gmail
    ("OK * ID - gsmtp", any),
    // Haraka
    ("Message Queued (ID)", any),
];

/// What a sentence puts around an id.
const AROUND: [char; 10] = ['<', '>', '(', ')', '[', ']', ',', ';', '.', '"'];

fn any(_: &str) -> bool {
    true
}

/// No word of a sentence ("queued as requested"): they have neither digits nor capitals.
fn is_no_word(id: &str) -> bool {
    id.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
}

/// Letters and digits, one digit at least.
fn is_key(id: &str) -> bool {
    id.len() >= 6
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && id.bytes().any(|byte| byte.is_ascii_digit())
}

/// Finds the id, if the reply has one.
#[must_use]
pub fn find(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    ROWS.iter().find_map(|(row, looks_right)| {
        let pattern: Vec<&str> = row.split(' ').collect();
        let mut places = words.windows(pattern.len());
        places.find_map(|words| id_in(words, &pattern).filter(|id| looks_right(id)))
    })
}

/// The id, if every word fits.
fn id_in<'a>(words: &[&'a str], pattern: &[&str]) -> Option<&'a str> {
    let mut found = None;
    for (word, wanted) in words.iter().zip(pattern) {
        if let Some((before, after)) = wanted.split_once("ID") {
            found = Some(inside(word, before, after)?);
        } else if *wanted != "*" && !word.eq_ignore_ascii_case(wanted) {
            return None;
        }
    }
    found
}

fn inside<'a>(word: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (begin, rest) = word.split_at_checked(before.len())?;
    let (id, end) = rest.split_at_checked(rest.len().checked_sub(after.len())?)?;
    let id = id.trim_matches(AROUND);
    (begin.eq_ignore_ascii_case(before) && end == after && !id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_id_of_each_server_is_found() {
        for (server, reply, id) in [
            ("Postfix", "2.0.0 Ok: queued as 4XyzAb1234z9Q", "4XyzAb1234z9Q"),
            ("Postfix, short", "2.0.0 Ok: queued as 8A3F21C0D", "8A3F21C0D"),
            ("amavis", "2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4Xyz", "4Xyz"),
            ("queued on", "2.0.0 Message queued on mx1.example.org as 4Xyz1", "4Xyz1"),
            ("queued as, on", "2.0.0 Ok: queued as 4Xyz2 on mx1.example.org", "4Xyz2"),
            ("Exim", "OK id=1rABCd-000123-Xy", "1rABCd-000123-Xy"),
            ("sendmail", "2.0.0 4A1B2C3 Message accepted for delivery", "4A1B2C3"),
            ("OpenSMTPD", "2.0.0 1234abcd Message accepted for delivery", "1234abcd"),
            ("OpenSMTPD, before 6", "2.0.0: 1234abcd Message accepted for delivery", "1234abcd"),
            ("qmail", "ok 1700000000 qp 12345", "12345"),
            (
                "Exchange",
                "2.6.0 <id1@host> [InternalId=123, Hostname=x] 456 bytes in 0.1, 3.4 KB/sec Queued mail for delivery",
                "123",
            ),
            ("Exchange 2007", "2.6.0 <id1@host> Queued mail for delivery", "id1@host"),
            (
                "Amazon SES",
                "Ok 0100018c2f3a4b5c-6d7e8f90-1234-4567-89ab-cdef01234567-000000",
                "0100018c2f3a4b5c-6d7e8f90-1234-4567-89ab-cdef01234567-000000",
            ),
            ("Amazon SES, behind a status", "2.0.0 Ok Ok 0100018c-6d7e-000000", "0100018c-6d7e-000000"),
            ("Gmail", "2.0.0 OK  1700000000 abc123def-45.67 - gsmtp", "abc123def-45.67"),
            (
                "Haraka",
                "Message Queued (4DAE4E25-1F6F-4E5C-9A4C-7C5B3C1F8F3A.1)",
                "4DAE4E25-1F6F-4E5C-9A4C-7C5B3C1F8F3A.1",
            ),
        ] {
            assert_eq!(find(reply), Some(id), "{server}");
        }
    }

    #[test]
    fn words_are_not_taken_for_an_id() {
        for reply in [
            "",
            "OK",
            "Ok dirdel",
            "accepted, valid=1",
            "OK id=",
            "2.0.0 Ok: queued as",
            "2.0.0 Message accepted for delivery",
            "2.0.0 Your Message accepted for delivery",
            "Queued (10.969 seconds)",
            "Message Queued ()",
            "2.6.0 Queued mail for delivery",
            "ok 1700000000 qp",
            "2.0.0 Ok: queued",
            "2.0.0 Message queued as requested",
            "2.0.0 OK 1700000000 - gsmtp",
        ] {
            assert_eq!(find(reply), None, "{reply}");
        }
    }
}
