//! When connections were made, as seen by neither end: the kernel's stamps of the packets that open them, from a packet
//! socket.

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    os::fd::AsRawFd,
    sync::{Arc, Mutex},
    thread,
};

use nix::{
    libc,
    sys::socket::{setsockopt, sockopt},
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::clock::receive;

/// Holds the packets of some thousand connections that begin at once.
const BUFFER: usize = 16 << 20;

const SYN: u8 = 2;
const ACK: u8 = 16;

/// The opening of one connection.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    /// The first SYN.
    pub(crate) asked: u64,
    /// The first answer to it.
    pub(crate) answered: Option<u64>,
}

/// A client's port, and the server's address: a port may lead to several at once.
pub(crate) type Ends = (u16, Ipv4Addr);

/// By their ends, which one connection may have after another.
#[derive(Default)]
pub(crate) struct Openings(HashMap<Ends, Vec<Opening>>);

impl Openings {
    /// Of the connection that these ends had at a moment.
    pub(crate) fn of(&self, ends: Ends, at: u64) -> Option<&Opening> {
        self.0.get(&ends)?.iter().rev().find(|opening| opening.asked <= at)
    }
}

/// Watches the connections to one port of this machine.
pub(crate) struct Packets(Arc<Mutex<Openings>>);

impl Packets {
    /// Begins. Who may: root, or a process with `CAP_NET_RAW`.
    pub(crate) fn watch(server: u16) -> io::Result<Self> {
        // Of this protocol the socket sees what arrives: on loopback that is what was sent, once.
        let protocol = Protocol::from(i32::from(u16::try_from(libc::ETH_P_IP).unwrap().to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        socket.attach_filter(&opens_tcp())?;
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            socket.set_recv_buffer_size(BUFFER)?;
        }
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let openings = Arc::new(Mutex::new(Openings::default()));
        let seen = Arc::clone(&openings);
        // It ends with the program.
        thread::spawn(move || {
            let mut packet = [0; 128];
            loop {
                let Ok((length, stamp)) = receive(socket.as_raw_fd(), &mut packet) else { return };
                // A packet from before the kernel stamps is none of ours.
                if let Some((packet, stamp)) = tcp(&packet[..length]).zip(stamp) {
                    note(&mut seen.lock().unwrap(), server, &packet, stamp);
                }
            }
        });
        Ok(Self(openings))
    }

    /// The connections since the last call.
    pub(crate) fn take(&self) -> Openings {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn note(openings: &mut Openings, server: u16, Packet { from, to, flags }: &Packet, stamp: u64) {
    if to.0 == server && flags & ACK == 0 {
        let of_ends = openings.0.entry((from.0, to.1)).or_default();
        // Asked again where nobody has answered.
        if of_ends.last().is_none_or(|opening| opening.answered.is_some()) {
            of_ends.push(Opening { asked: stamp, answered: None });
        }
    } else if from.0 == server
        && flags & ACK != 0
        && let Some(opening) = openings.0.get_mut(&(to.0, from.1)).and_then(|of_ends| of_ends.last_mut())
    {
        opening.answered.get_or_insert(stamp);
    }
}

/// Of IPv4 with TCP.
struct Packet {
    from: Ends,
    to: Ends,
    flags: u8,
}

fn tcp(packet: &[u8]) -> Option<Packet> {
    let header = usize::from(packet.first()? & 15) * 4;
    let port = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
    Some(Packet {
        from: (port(header)?, address(12)?),
        to: (port(header + 2)?, address(16)?),
        flags: *packet.get(header + 13)?,
    })
}

/// Lets IPv4 packets with TCP and SYN through, and none of the others.
fn opens_tcp() -> [SockFilter; 7] {
    let (load, index) = (libc::BPF_LD | libc::BPF_B, libc::BPF_LDX | libc::BPF_B);
    let step = |code: u32, yes, no, k| SockFilter::new(u16::try_from(code).unwrap(), yes, no, k);
    [
        step(load | libc::BPF_ABS, 0, 0, 9),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 4, 6),
        step(index | libc::BPF_MSH, 0, 0, 0),
        step(load | libc::BPF_IND, 0, 0, 13),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, SYN.into()),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 128),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}
