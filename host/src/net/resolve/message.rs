//! DNS on the wire: a name and a type in, as a question; and what a server says of them, out of its message. Pure. Refuses what is not
//! an answer to this question.

use std::{io, net::IpAddr, time::Duration};

use hickory_resolver::proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};

/// So long an address holds, whatever its server says: names move while a process runs.
const HOLDS: Duration = Duration::from_hours(1);

/// So long it holds that there is none: whoever has just added a name is not to wait.
const ABSENT_HOLDS: Duration = Duration::from_secs(30);

/// Addresses of each family that are looked at; an answer has room for thousands.
const ADDRESSES: usize = 256;

/// Names that stand for one another, one behind the other: more than anybody means.
const ALIASES: usize = 16;

/// Bytes by UDP where `edns0` is asked for: what passes everywhere in one piece.
const PAYLOAD: u16 = 1232;

/// One question.
pub(super) struct Question {
    id: u16,
    query: Query,
    pub(super) bytes: Vec<u8>,
}

/// A message that has come.
pub(super) enum Read {
    Answer(Box<Message>),
    /// What there is of one.
    Part,
    /// To another question, or from somebody who only guesses.
    Other,
}

/// What one says of a name.
#[derive(Debug)]
pub(super) enum Says {
    Addresses(Vec<IpAddr>, Duration),
    /// It stands for this one, of which nothing is said.
    Alias(Name, Duration),
    NoName(Duration),
    NoAddress(Duration),
    /// Its aliases have no end.
    Endless,
    /// Others are to be asked: the server looks nothing up for anybody.
    Referral,
    Failed(ResponseCode),
}

impl Question {
    /// Refuses what does not go into a message.
    pub(super) fn new(name: &Name, kind: RecordType, has_edns: bool) -> io::Result<Self> {
        let query = Query::query(name.clone(), kind);
        // Its number is a random one.
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        if has_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(PAYLOAD);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().map_err(io::Error::other)?;
        Ok(Self { id: message.metadata.id, query, bytes })
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Read {
        let is_answer = bytes.get(2).is_some_and(|flags| flags & 0x80 != 0);
        if !is_answer || !bytes.starts_with(&self.id.to_be_bytes()) {
            return Read::Other;
        }
        let Ok(message) = Message::from_vec(bytes) else { return Read::Part };
        let is_to_this = match &*message.queries {
            [query] => *query == self.query,
            // Some do not repeat what they cannot read, or do not want to.
            [] => !matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain),
            _ => false,
        };
        match is_to_this {
            true if message.metadata.truncation => Read::Part,
            true => Read::Answer(Box::new(message)),
            false => Read::Other,
        }
    }
}

impl Says {
    /// Of a name's addresses of this family.
    pub(super) fn of(message: &Message, name: &Name, family: RecordType) -> Self {
        let code = message.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Self::Failed(code);
        }
        let (mut of, mut holds) = (name, HOLDS);
        for _ in 0..ALIASES {
            let records = || message.answers.iter().filter(|record| is_of(record, of));
            let family = records().filter(|record| record.record_type() == family).take(ADDRESSES);
            let found: Vec<_> = family.clone().filter_map(|record| record.data.ip_addr()).collect();
            if !found.is_empty() {
                return Self::Addresses(found, family.map(ttl).fold(holds, Duration::min));
            }
            let alias = records().find_map(|record| match &record.data {
                RData::CNAME(alias) => Some((&alias.0, ttl(record))),
                _ => None,
            });
            let Some((alias, ttl)) = alias else { return Self::without(message, name, of, holds) };
            (of, holds) = (alias, holds.min(ttl));
        }
        Self::Endless
    }

    /// There is no address of the name that the last alias leads to.
    fn without(message: &Message, name: &Name, last: &Name, holds: Duration) -> Self {
        let authority = message.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(ttl(record).min(seconds(soa.minimum))),
            _ => None,
        });
        let absent = authority.unwrap_or_default().min(holds).min(ABSENT_HOLDS);
        let metadata = &message.metadata;
        match metadata.response_code {
            ResponseCode::NXDomain => Self::NoName(absent),
            _ if authority.is_some() => Self::NoAddress(absent),
            _ if last != name => Self::Alias(last.clone(), holds),
            // RFC 2308 section 2.2: that is not to say that there is nothing.
            _ if !metadata.authoritative && !metadata.recursion_available => Self::Referral,
            _ => Self::NoAddress(absent),
        }
    }
}

fn is_of(record: &Record, name: &Name) -> bool {
    record.dns_class == DNSClass::IN && record.name == *name
}

fn ttl(record: &Record) -> Duration {
    seconds(record.ttl)
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}
