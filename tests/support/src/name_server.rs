//! A name server that answers as a test says, by UDP and TCP, and knows what it was asked.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

/// Type of records with an address of IPv4.
pub const A: u16 = 1;
/// Of those with a server that knows more.
pub const NS: u16 = 2;
/// Of those with another name.
pub const CNAME: u16 = 5;
/// Of one that says how long there is nothing.
pub const SOA: u16 = 6;
/// Of those with an address of IPv6.
pub const AAAA: u16 = 28;

/// There is the name.
pub const NO_ERROR: u8 = 0;
/// The server does not understand the question.
pub const FORMERR: u8 = 1;
/// The server does not know now.
pub const SERVFAIL: u8 = 2;
/// There is no such name.
pub const NXDOMAIN: u8 = 3;
/// The server does not answer such questions.
pub const NOTIMP: u8 = 4;
/// The server does not answer us.
pub const REFUSED: u8 = 5;

/// One question.
pub struct Question {
    /// In lower case, without a dot at its end.
    pub name: String,
    /// Of the records that are asked for.
    pub kind: u16,
    /// Else by UDP.
    pub is_by_tcp: bool,
    /// Of its connection; each is by UDP.
    pub is_first: bool,
    /// It says what more who asks understands (EDNS0).
    pub has_edns: bool,
    id: [u8; 2],
    /// As it came.
    section: Vec<u8>,
}

/// One record of an answer.
pub struct Record {
    /// Whose.
    pub name: String,
    /// Its type.
    pub kind: u16,
    /// Seconds for which it holds.
    pub ttl: u32,
    /// As it is sent.
    pub data: Vec<u8>,
}

/// Questions: the name, the type, the number, and whether by TCP.
type Asked = Arc<Mutex<BTreeSet<(String, u16, [u8; 2], bool)>>>;

/// It runs as long as the process that started it.
pub struct NameServer {
    /// By UDP and TCP.
    pub address: SocketAddr,
    asked: Asked,
}

impl NameServer {
    /// Whatever messages `answers` makes of a question are sent in their order; none: it is silent.
    pub fn start(answers: impl Fn(&Question) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            // Somebody may have it.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let (address, asked) = (udp.local_addr().unwrap(), Asked::default());
        let answers: Arc<dyn Fn(Question) -> Vec<Vec<u8>> + Send + Sync> = Arc::new({
            let asked = Arc::clone(&asked);
            move |question: Question| {
                let Question { name, kind, id, is_by_tcp, .. } = &question;
                asked.lock().unwrap().insert((name.clone(), *kind, *id, *is_by_tcp));
                answers(&question)
            }
        });
        let by_tcp = Arc::clone(&answers);
        thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut message) {
                for answer in answers(Question::read(&message[..length], false, true)) {
                    // Who asked may have left.
                    let _gone: io::Result<usize> = udp.send_to(&answer, from);
                }
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let answers = Arc::clone(&by_tcp);
                thread::spawn(move || drop(serve(stream, &*answers)));
            }
        });
        Self { address, asked }
    }

    /// Answers each question with those addresses of its name that are of the type that is asked for, to hold for so many seconds.
    pub fn of_addresses(ttl: u32, addresses: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        Self::start(move |question| {
            let records: Vec<_> = addresses(&question.name)
                .into_iter()
                .map(|address| Record::address(&question.name, ttl, address))
                .filter(|record| record.kind == question.kind)
                .collect();
            vec![question.answer(NO_ERROR, &records)]
        })
    }

    /// How often it was asked for a name, for any type; one that was sent again, since the answer took long, is one question.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, ..)| asked == name).count()
    }
}

fn serve(mut stream: TcpStream, answers: &dyn Fn(Question) -> Vec<Vec<u8>>) -> io::Result<()> {
    for number in 0.. {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut message)?;
        for answer in answers(Question::read(&message, true, number == 0)) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat())?;
        }
    }
    Ok(())
}

impl Question {
    fn read(message: &[u8], is_by_tcp: bool, is_first: bool) -> Self {
        let (mut at, mut labels) = (12, Vec::new());
        while message[at] > 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        Self {
            name: labels.join("."),
            kind: u16::from_be_bytes([message[at + 1], message[at + 2]]),
            is_by_tcp,
            is_first,
            has_edns: message[11] > 0,
            id: [message[0], message[1]],
            section: message[12..at + 5].to_vec(),
        }
    }

    /// With this code and these records; one of a SOA says how long there is nothing, and one of NS who may know.
    pub fn answer(&self, code: u8, records: &[Record]) -> Vec<u8> {
        let (authority, answers): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| matches!(record.kind, SOA | NS));
        let count = |records: &[&Record]| u16::try_from(records.len()).unwrap().to_be_bytes();
        let mut message = self.id.to_vec();
        message.extend([0x81, 0x80 | code, 0, 1]);
        message.extend(count(&answers));
        message.extend(count(&authority));
        message.extend([0, 0]);
        message.extend(&self.section);
        for record in answers.into_iter().chain(authority) {
            // The name of the question stands at its beginning.
            let name = if record.name == self.name { vec![0xc0, 12] } else { in_labels(&record.name) };
            message.extend(name);
            message.extend(record.kind.to_be_bytes());
            message.extend([0, 1]);
            message.extend(record.ttl.to_be_bytes());
            message.extend(u16::try_from(record.data.len()).unwrap().to_be_bytes());
            message.extend(&record.data);
        }
        message
    }

    /// Of a server that asks no others.
    pub fn without_recursion(&self, records: &[Record]) -> Vec<u8> {
        let mut message = self.answer(NO_ERROR, records);
        message[3] &= !0x80;
        message
    }

    /// What says no more than that it is too long.
    pub fn truncated(&self) -> Vec<u8> {
        let mut message = self.answer(NO_ERROR, &[]);
        message[2] |= 0x02;
        message
    }
}

impl Record {
    /// Of either family.
    pub fn address(name: &str, ttl: u32, address: IpAddr) -> Self {
        let (kind, data) = match address {
            IpAddr::V4(address) => (A, address.octets().to_vec()),
            IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
        };
        Self { name: name.to_owned(), kind, ttl, data }
    }

    /// The name stands for another.
    pub fn alias(name: &str, ttl: u32, of: &str) -> Self {
        Self { name: name.to_owned(), kind: CNAME, ttl, data: in_labels(of) }
    }

    /// Another server is to be asked for what is in the zone.
    pub fn server(zone: &str, ttl: u32, server: &str) -> Self {
        Self { name: zone.to_owned(), kind: NS, ttl, data: in_labels(server) }
    }

    /// There is nothing for so long.
    pub fn nothing_for(zone: &str, seconds: u32) -> Self {
        let mut data = [in_labels("ns"), in_labels("admin")].concat();
        for number in [1, 3600, 600, 86400, seconds] {
            data.extend(u32::to_be_bytes(number));
        }
        Self { name: zone.to_owned(), kind: SOA, ttl: seconds, data }
    }
}

fn in_labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let labels = labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    labels.chain([0]).collect()
}
