//! All that a run does on the network, and what it measured there: a host and a port in; a connection out. Refuses what the job
//! does not grant, and what is over the run's time or share. Knows nothing of wasm.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    connection::Connection,
    deadline::until,
    error::{Fault, NetError, Tried},
    quota::Quota,
    reach::Reach,
    resolve::resolve,
    run::Run,
    stream::{Stream, To},
    tcp::Tcp,
};
use crate::{catalogue::HostError, host::Host, measured::Measured, thread_stack::ThreadStack};

/// Addresses of a name that are tried for one connection: a name server may give thousands.
const ADDRESSES: usize = 8;

/// So long an address is waited for that has others behind it: a SYN that was lost is sent again after 1 s, and after 3 s.
const LONGEST_ATTEMPT: Duration = Duration::from_millis(3_500);
/// An attempt that takes so long waits for somebody: RFC 8305 section 5 has the next one begun by then.
const SLOW: Duration = Duration::from_millis(250);

/// The way out, of one run.
pub struct Outbound {
    reach: Reach,
    pub(super) run: Arc<Run>,
}

impl Outbound {
    /// To what may be reached, from a share and until a deadline of the run's own, which begins now.
    #[must_use]
    pub fn new(reach: Reach, quota: Quota, deadline: Instant) -> Self {
        Self { reach, run: Arc::new(Run::new(quota, deadline)) }
    }

    /// Where it leaves what whoever polls the run is to poll: look-ups, connecting, TLS.
    pub(crate) fn thread_stack(&self) -> &ThreadStack {
        &self.run.thread_stack
    }

    /// Since the run began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.run.clock.elapsed()
    }

    /// When every wait ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.run.deadline
    }

    /// The same, since the run began.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.run.clock.at(self.run.deadline)
    }

    /// What was measured, of a run that took so long.
    #[must_use]
    pub fn measured(&self, total: Duration) -> Measured {
        let own = total.saturating_sub(self.run.clock.waited());
        let mut measured = Measured { total: Some(total), own: Some(own), ..Measured::default() };
        for (endpoint, contact) in self.run.contacts().iter() {
            match self.reach.name(*endpoint) {
                Some(name) => measured.further.push((name.to_owned(), (**contact).clone())),
                None => measured.contact = (**contact).clone(),
            }
        }
        measured
    }

    /// Connects to a granted endpoint. Charged as one attempt whatever comes of it – a look-up has its price, too – and with one
    /// more for each further address that is tried.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connection, NetError> {
        let run = Arc::clone(&self.run);
        run.quota.connection().map_err(|used_up| NetError::new(Tried::Connection, Fault::UsedUp(used_up)))?;
        let failed = |fault| NetError::new(Tried::Endpoint(host.to_owned(), port), fault);
        // What is no host at all nobody can have granted.
        let granted = host.parse::<Host>().ok().filter(|host| self.reach.grant.covers(host, port));
        let host = granted.ok_or_else(|| failed(Fault::NotGranted))?;
        let rules = self.reach.rules(&host, port);
        let first_to = run.first_to(rules.endpoint);
        // Nobody is asked for what nobody waits for.
        let in_time = || {
            if run.is_over() { Err(failed(run.no_time(HostError::ConnectTimeout))) } else { Ok(()) }
        };
        in_time()?;
        let resolved = resolve(&host, port, &self.reach.resolver(), &run).await;
        run.note(first_to, |contact| contact.dns = resolved.took);
        let found = resolved.found.map_err(|fault| NetError::new(Tried::Name(host.to_string()), fault))?;
        in_time()?;
        let granted = self.granted(found, &host).map_err(|fault| {
            if let Fault::Forbidden(address, _) = fault {
                run.note(first_to, |contact| contact.ip = Some(address));
            }
            failed(fault)
        })?;
        let (tcp, peer, passed) = connect_to(in_turn(granted), first_to, &run).await?;
        let to = To { host, rules, measured: first_to, peer };
        Ok(Connection::new(Stream::new(tcp, to, Arc::clone(&run)), peer, passed, run))
    }

    /// Those of a granted endpoint's addresses that may be connected to; refuses where there is none.
    pub(super) fn granted(&self, found: Vec<SocketAddr>, host: &Host) -> Result<Vec<SocketAddr>, Fault> {
        let (mut granted, mut fault) = (Vec::new(), Fault::NoAddress);
        for address in found {
            match self.reach.grant.judge(host, address.ip(), address.port()) {
                Ok(()) => granted.push(address),
                Err(refusal) => fault = Fault::Forbidden(address.ip(), refusal),
            }
        }
        if granted.is_empty() { Err(fault) } else { Ok(granted) }
    }
}

/// The first of them, the families in turn as RFC 8305 section 4 has it: where one family is dead, the other's turn comes soon.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    let turns = std::iter::from_fn(|| {
        let turn: Vec<_> = first.next().into_iter().chain(other.next()).collect();
        (!turn.is_empty()).then_some(turn)
    });
    turns.flatten().take(ADDRESSES).collect()
}

/// Tries one address after the other; the first attempt is paid for already. Gives, with the connection, those before it that did not
/// answer: to have no way to a whole family is usual, and takes no time.
pub(super) async fn connect_to(
    addresses: Vec<SocketAddr>,
    first_to: Option<usize>,
    run: &Arc<Run>,
) -> Result<(Tcp, SocketAddr, Vec<SocketAddr>), NetError> {
    let (mut last, mut passed) = (NetError::new(Tried::Connection, Fault::NoAddress), Vec::new());
    let mut silent = None;
    let count = addresses.len();
    for (index, address) in addresses.into_iter().enumerate() {
        if index > 0 {
            if run.is_over() || run.quota.connection().is_err() {
                break;
            }
            passed.extend(silent.take());
        }
        run.note(first_to, |contact| contact.ip = Some(address.ip()));
        let began = Instant::now();
        // A dead address must leave time for those behind it, and for the session.
        let left = run.deadline.saturating_duration_since(began);
        let share = match count - index {
            1 => left,
            more => (left / u32::try_from(more).unwrap_or(u32::MAX)).min(LONGEST_ATTEMPT),
        };
        let tried = until(began + share, pin!(Tcp::connect(address, run))).await;
        let ended = tried
            .as_ref()
            .map_or(began + share, |tried| tried.as_ref().map_or_else(|_| Instant::now(), Tcp::connected));
        run.clock.count_wait(began, ended.min(began + share));
        let fault = match tried {
            // One that was there too late was not waited for.
            Ok(Ok(tcp)) if tcp.connected() > began + share => Fault::NoAnswer(share),
            Ok(Ok(tcp)) => {
                run.note(first_to, |contact| contact.connect = Some(tcp.connected() - tcp.started()));
                return Ok((tcp, address, passed));
            }
            Ok(Err(error)) => Fault::Connect(error),
            Err(_late) => Fault::NoAnswer(share),
        };
        last = NetError::new(Tried::Address(address), fault);
        let is_silent = match last.host_error() {
            HostError::ConnectTimeout => true,
            // Of a neighbour that is gone the kernel says so, after seconds.
            HostError::Unreachable => ended.saturating_duration_since(began) >= SLOW,
            _ => false,
        };
        silent = is_silent.then_some(address);
    }
    Err(last.behind(passed))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn of_a_name_with_many_addresses_few_are_tried_and_the_families_in_turn() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 25);
        let order = |texts: &[&str]| -> Vec<String> {
            let addresses = texts.iter().map(|text| address(text)).collect();
            in_turn(addresses).into_iter().map(|address| address.ip().to_string()).collect()
        };
        assert_eq!(
            order(&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2", "::4"]),
            ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3", "::4"]
        );
        assert_eq!(order(&["10.0.0.1", "10.0.0.2", "::1"]), ["10.0.0.1", "::1", "10.0.0.2"]);
        assert!(order(&[]).is_empty());
        let many: Vec<SocketAddr> =
            (0..1000).map(|number: u32| (Ipv4Addr::from(number), 25).into()).collect();
        let mixed = [many.clone(), vec![address("::1")]].concat();
        let tried = in_turn(mixed);
        assert_eq!((tried.len(), tried[1], &tried[2..]), (ADDRESSES, address("::1"), &many[1..7]));
    }
}
