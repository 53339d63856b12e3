//! Replies (RFC 5321 section 4.2): lines in, a reply out. Refuses over-long ones, and what is no reply at all; loses no
//! refusal, also where it was cut off.

use crate::transport::{Fault, Instant, Transport};

/// Bytes of a line without its end; the RFC's 512 are exceeded in practice.
const LINE_BYTES: usize = 8192;
/// Lines of one reply.
const LINES: usize = 100;
/// What stands for it in texts.
const EMPTY_LINE: &[u8] = b"(an empty line)";
/// Bytes asked of the network at once.
const READ_BYTES: u32 = 4096;

/// A reply.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reply {
    /// 200 to 599; of lines that differ, the last one's.
    pub code: u16,
    /// The text of each line, without code and separator.
    pub lines: Vec<String>,
    /// When its last byte arrived.
    pub at: Instant,
    /// Its last line came. A refusal counts without: the server said no, and left or fell silent.
    pub whole: bool,
}

/// Why there is no reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoReply {
    /// A call failed.
    Fault(Fault),
    /// The stream ended.
    Closed,
    /// Not a reply; for a character that nobody sees, where there is one.
    Garbage(Option<char>),
    /// A line or the whole is too long.
    TooLong,
    /// A TLS record.
    Tls,
}

impl NoReply {
    fn is_loss(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Fault(fault) => fault.kind.is_loss(),
            Self::Garbage(_) | Self::TooLong | Self::Tls => false,
        }
    }
}

impl Reply {
    /// The enhanced status code (RFC 2034): its class must be the reply's.
    #[must_use]
    pub fn enhanced_status(&self) -> Option<&str> {
        let word = self.lines.last()?.trim_start().split(' ').next()?;
        let mut parts = word.split('.');
        let class = parts.next()?;
        let numbers: Vec<&str> = parts.collect();
        let number =
            |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        (numbers.len() == 2
            && numbers.iter().all(number)
            && matches!(class, "2" | "4" | "5")
            && class == (self.code / 100).to_string())
        .then_some(word)
    }

    /// Code and text, for people.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }

    /// The server refuses.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    fn push(&mut self, code: u16, line: &[u8]) {
        self.code = code;
        self.lines.push(lossy(line.get(4..).unwrap_or_default()));
    }
}

/// How long a whole reply is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Within {
    /// From here on.
    pub since: Instant,
    /// In milliseconds.
    pub ms: u32,
}

impl Within {
    /// What is there already.
    pub const NOW: Self = Self { since: 0, ms: 0 };

    fn left_ms(self, now: Instant) -> u32 {
        let passed = now.saturating_sub(self.since) / 1_000_000;
        self.ms.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX))
    }
}

/// Takes replies from a stream, byte by byte if need be.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    at: Instant,
    said: String,
}

impl Reader {
    /// All that came in answer to the last call, also where it is no reply.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Waits for a reply.
    pub fn reply(&mut self, transport: &mut dyn Transport, wait: Option<Within>) -> Result<Reply, NoReply> {
        self.said.clear();
        let mut reply = Reply::default();
        match self.complete(&mut reply, transport, wait) {
            Ok(()) => Ok(reply),
            Err(why) => {
                let rest = std::mem::take(&mut self.buffer);
                self.say(&rest);
                if why.is_loss() && self.cut_off(&mut reply, &rest) { Ok(reply) } else { Err(why) }
            }
        }
    }

    /// Looks for a reply that nobody asked for, and waits for nothing. None: nothing has come.
    pub fn unasked(&mut self, transport: &mut dyn Transport) -> Option<Result<Reply, NoReply>> {
        match self.reply(transport, Some(Within::NOW)) {
            Err(NoReply::Fault(fault)) if fault.kind.is_silence() && self.said.is_empty() => None,
            found => Some(found),
        }
    }

    fn complete(
        &mut self,
        reply: &mut Reply,
        transport: &mut dyn Transport,
        wait: Option<Within>,
    ) -> Result<(), NoReply> {
        let mut differ = false;
        for _ in 0..LINES {
            let line = self.line(transport, wait)?;
            self.say(if line.is_empty() { EMPTY_LINE } else { &line });
            let (code, last) = parse(&line).ok_or_else(|| NoReply::Garbage(unseen(&line)))?;
            differ |= !reply.lines.is_empty() && code != reply.code;
            reply.push(code, &line);
            if last {
                (reply.at, reply.whole) = (self.at, true);
                return if differ && !reply.is_refusal() { Err(NoReply::Garbage(None)) } else { Ok(()) };
            }
        }
        Err(NoReply::TooLong)
    }

    /// Whether what came before the loss is a refusal; its last line may lack its end.
    fn cut_off(&self, reply: &mut Reply, rest: &[u8]) -> bool {
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        if let Some((code, _)) = parse(rest) {
            reply.push(code, rest);
        }
        reply.at = self.at;
        reply.is_refusal()
    }

    fn say(&mut self, bytes: &[u8]) {
        if !self.said.is_empty() && !bytes.is_empty() {
            self.said.push(' ');
        }
        self.said.push_str(&String::from_utf8_lossy(bytes));
    }

    fn line(&mut self, transport: &mut dyn Transport, wait: Option<Within>) -> Result<Vec<u8>, NoReply> {
        loop {
            // Record types alert and handshake; no reply begins with a control character.
            if matches!(self.buffer.first(), Some(0x15 | 0x16)) {
                return Err(NoReply::Tls);
            }
            let end = self.buffer.iter().position(|byte| *byte == b'\n');
            let bytes = end.unwrap_or(self.buffer.len());
            let content =
                bytes - usize::from(self.buffer.get(..bytes).is_some_and(|line| line.ends_with(b"\r")));
            if content > LINE_BYTES {
                return Err(NoReply::TooLong);
            }
            if let Some(end) = end {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(content);
                return Ok(line);
            }
            let wait_ms = wait.map(|wait| wait.left_ms(self.at));
            let (bytes, at) = transport.read(READ_BYTES, wait_ms).map_err(NoReply::Fault)?;
            if bytes.is_empty() {
                return Err(NoReply::Closed);
            }
            self.buffer.extend_from_slice(&bytes);
            self.at = at;
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A byte order mark, a NUL, a tab in place of a space: what nobody sees where a code, and what follows it, is due.
pub(crate) fn unseen(line: &[u8]) -> Option<char> {
    let text = String::from_utf8_lossy(line);
    let is_wrong = |(at, c): &(usize, char)| match at {
        0..3 => !c.is_ascii_digit(),
        _ => !matches!(c, ' ' | '-'),
    };
    let (at, wrong) = text.chars().take(4).enumerate().find(is_wrong)?;
    let is_unseen = match wrong {
        ' ' => at == 0,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => true,
        _ => wrong.is_control() || wrong.is_whitespace(),
    };
    is_unseen.then_some(wrong)
}

/// The code, and whether this is the last line: a code is followed by a space, a hyphen or nothing.
fn parse(line: &[u8]) -> Option<(u16, bool)> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(digits.first()?) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match line.get(3) {
        None | Some(b' ') => Some((code, true)),
        Some(b'-') => Some((code, false)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Reply, unseen};

    #[test]
    fn an_enhanced_status_is_found_behind_more_than_one_space() {
        let status = |text: &str| {
            let reply = Reply { code: 550, lines: vec![text.to_owned()], ..Reply::default() };
            reply.enhanced_status().map(ToOwned::to_owned)
        };
        assert_eq!(status(" 5.1.1 no such user").as_deref(), Some("5.1.1"));
        assert_eq!(status("no 5.1.1"), None);
    }

    #[test]
    fn what_nobody_sees_in_a_code_is_told_and_what_is_seen_is_not() {
        for (line, expected) in [
            ("\u{feff}220 mx1", Some('\u{feff}')),
            ("220\tmx1", Some('\t')),
            ("22\u{0}0 mx1", Some('\u{0}')),
            (" 220 mx1", Some(' ')),
            ("22 hello", None),
            ("220\u{2013}mx1", None),
            ("\u{1f600} hello", None),
            ("HTTP/1.1 400", None),
            ("", None),
            ("220 \tmx1", None),
        ] {
            assert_eq!(unseen(line.as_bytes()), expected, "{line:?}");
        }
    }
}
