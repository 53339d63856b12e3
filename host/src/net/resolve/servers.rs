//! Name servers, asked by DNS: a name in; its addresses, or why it has none, and how long that holds, out. Each server is asked by
//! itself, so that it is known which one said what, and so that the next one is asked where one fails or is silent for a while.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RecordType},
};
use nix::errno::Errno;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    exchange::{self, Broken},
    message::{Question, Says},
    progress::Progress,
    resolv_conf::{Asking, PORT},
};
use crate::net::{deadline::until, unresolved::Unresolved};

/// A server that is silent for so long has the next one beside it: well beyond a round trip, and well within a job's time.
const NEXT: Duration = Duration::from_secs(1);

/// So long addresses of IPv6 are waited for where there are such of IPv4, for some servers never answer for them: as long as a
/// question that was lost needs to be asked again.
const OTHER_FAMILY: Duration = Duration::from_millis(750);

/// A server that was silent for every name is asked after the others for so long.
const LAST_FOR: Duration = Duration::from_secs(30);

/// Questions for names that stand for one another, each of which a server only knows when it is asked for it: more than anybody means.
const ALIASES: usize = 8;

/// Name servers, and what they are asked for where a name is not whole.
pub(super) struct Servers {
    all: Vec<Arc<Server>>,
    search: Vec<Name>,
    /// A name with as many is tried as it is first.
    dots: usize,
    /// So long the others are waited for where one has failed: nearly as long as each has in all, so that it is the failure that is told,
    /// and not by chance the end of a job's time.
    patience: Duration,
}

/// What came of it, and how long it holds.
pub(super) type Found = (Result<Vec<IpAddr>, Unresolved>, Duration);

struct Server {
    address: SocketAddr,
    has_edns: bool,
    /// So long it has for its answer.
    in_all: Duration,
    heard: Mutex<Heard>,
}

/// What was heard of a server.
#[derive(Default)]
struct Heard {
    /// When it answered last.
    answered: Option<Instant>,
    /// It is asked after the others until then.
    last_until: Option<Instant>,
}

/// What one server says.
enum Said {
    Addresses(Vec<IpAddr>, Duration),
    /// Why not.
    None(Unresolved, Duration),
    Failed(Unresolved),
}

/// A look-up of one name at one server.
struct Turn {
    server: Arc<Server>,
    /// It as it is shown.
    by: String,
    end: Instant,
    progress: Arc<Progress>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.port() {
            PORT => write!(f, "{}", self.address.ip()),
            _ => write!(f, "{}", self.address),
        }
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.all.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

impl Servers {
    pub(super) fn new(asking: Asking) -> Self {
        let Asking { servers, search, dots, in_all, has_edns } = asking;
        let server = |address| Arc::new(Server { address, has_edns, in_all, heard: Mutex::default() });
        Self { all: servers.into_iter().map(server).collect(), search, dots, patience: in_all * 4 / 5 }
    }

    /// The names that one stands for, in the order in which they are asked for.
    fn meant(&self, name: &str) -> Vec<Name> {
        let Ok(name) = Name::from_ascii(name) else { return Vec::new() };
        let mut whole = name.clone();
        whole.set_fqdn(true);
        if name.is_fqdn() {
            return vec![whole];
        }
        let mut meant: Vec<_> =
            self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
        let is_first = usize::from(name.num_labels()) > self.dots;
        meant.insert(if is_first { 0 } else { meant.len() }, whole);
        meant.dedup();
        meant
    }

    /// Looks a name up, a dot at whose end says that it is whole.
    pub(super) async fn look_up(&self, name: &str, progress: &Arc<Progress>) -> Found {
        let (mut absent, mut failed) = ((Unresolved::NoName(None), Duration::ZERO), None);
        for meant in self.meant(name) {
            match self.ask(&meant, progress).await {
                Said::Addresses(found, holds) => return (Ok(found), holds),
                Said::None(why, holds) => absent = (why, holds),
                Said::Failed(why @ Unresolved::Silent(_)) => return (Err(why), Duration::ZERO),
                // Another domain of the list may be another server's.
                Said::Failed(why) => failed = failed.or(Some(why)),
            }
        }
        match failed {
            Some(why) => (Err(why), Duration::ZERO),
            None => (Err(absent.0), absent.1),
        }
    }

    /// One server after the other, until one can tell.
    async fn ask(&self, name: &Name, progress: &Arc<Progress>) -> Said {
        progress.starts_over();
        let mut turns = self.all.clone();
        turns.sort_by_key(|server| server.is_last());
        let mut turns = turns.into_iter();
        let (mut asking, mut last) = (JoinSet::new(), None);
        loop {
            if let Some(server) = turns.next() {
                progress.asks(server.to_string());
                asking.spawn(Arc::clone(&server).ask(name.clone(), Arc::clone(progress)));
                last = Some((server, Instant::now()));
            }
            tokio::select! {
                // Behind a stop of the process all of it is there.
                biased;
                said = asking.join_next() => match said {
                    Some(Ok(Said::Failed(Unresolved::Silent(_)))) => {}
                    Some(Ok(Said::Failed(why))) => progress.failed(why),
                    Some(Ok(said)) => return said,
                    Some(Err(gone)) => progress.failed(Unresolved::System(gone.to_string())),
                    None => return Said::Failed(progress.why()),
                },
                () = sleep(self.patience), if turns.len() == 0 && progress.has_failed() => {
                    return Said::Failed(progress.why());
                }
                () = sleep(NEXT), if turns.len() > 0 => if let Some((server, since)) = &last {
                    server.is_silent_since(*since);
                }
            }
        }
    }
}

impl Server {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_last(&self) -> bool {
        self.heard().last_until.is_some_and(|until| Instant::now() < until)
    }

    /// For one name. That another one is slow to find says nothing of the server.
    fn is_silent_since(&self, since: Instant) {
        let mut heard = self.heard();
        if heard.answered.is_none_or(|answered| answered < since) {
            heard.last_until = Some(Instant::now() + LAST_FOR);
        }
    }

    async fn ask(self: Arc<Self>, name: Name, progress: Arc<Progress>) -> Said {
        let (by, end) = (self.to_string(), Instant::now() + self.in_all);
        let turn = Turn { server: self, by, end, progress };
        let said = turn.both(&name).await;
        if !matches!(said, Said::Failed(Unresolved::Silent(_))) {
            *turn.server.heard() = Heard { answered: Some(Instant::now()), last_until: None };
        }
        said
    }
}

impl Turn {
    /// For both families at once; addresses of one are enough.
    async fn both(&self, name: &Name) -> Said {
        let mut v6 = pin!(self.family(name, RecordType::AAAA));
        let mut v4 = pin!(self.family(name, RecordType::A));
        let both = tokio::select! {
            v6 = &mut v6 => (v6, v4.await),
            v4 = &mut v4 => {
                let v6 = match v4 {
                    Said::Addresses(..) => timeout(OTHER_FAMILY, v6).await.ok(),
                    _ => Some(v6.await),
                };
                (v6.unwrap_or_else(|| Said::Failed(self.silent())), v4)
            }
        };
        match both {
            (Said::Addresses(first, one), Said::Addresses(second, other)) => {
                Said::Addresses([first, second].concat(), one.min(other))
            }
            (Said::Addresses(found, holds), Said::None(..))
            | (Said::None(..), Said::Addresses(found, holds)) => Said::Addresses(found, holds),
            // Those of the other family are to be asked for again.
            (Said::Addresses(found, _), Said::Failed(_)) | (Said::Failed(_), Said::Addresses(found, _)) => {
                Said::Addresses(found, Duration::ZERO)
            }
            (Said::None(why, one), Said::None(_, other)) => Said::None(why, one.min(other)),
            // There may be addresses.
            (Said::Failed(why), _) | (_, Said::Failed(why)) => Said::Failed(why),
        }
    }

    /// Of one family, also where the name stands for others.
    async fn family(&self, name: &Name, family: RecordType) -> Said {
        let (mut names, mut least) = (vec![name.clone()], Duration::MAX);
        while let Some(name) = names.last().filter(|_| names.len() <= ALIASES) {
            let message = match self.message(name, family).await {
                Ok(message) => message,
                Err(why) => return Said::Failed(why),
            };
            let by = self.by.clone();
            match Says::of(&message, name, family) {
                Says::Addresses(found, holds) => return Said::Addresses(found, holds.min(least)),
                Says::NoName(holds) => return Said::None(Unresolved::NoName(Some(by)), holds.min(least)),
                Says::NoAddress(holds) => return Said::None(Unresolved::NoAddress(by), holds.min(least)),
                Says::Referral => return Said::Failed(Unresolved::Refused(by, REFERRAL.to_owned())),
                Says::Failed(code) => return Said::Failed(of_code(by, code)),
                Says::Alias(other, holds) if !names.contains(&other) => {
                    least = least.min(holds);
                    names.push(other);
                }
                Says::Alias(..) | Says::Endless => break,
            }
        }
        Said::None(Unresolved::Endless(self.by.clone()), Duration::ZERO)
    }

    async fn message(&self, name: &Name, family: RecordType) -> Result<Box<Message>, Unresolved> {
        let answer = self.answer(name, family, self.server.has_edns).await?;
        let code = answer.metadata.response_code;
        if self.server.has_edns
            && matches!(code, ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS)
        {
            // It does not know that (RFC 6891 section 7).
            return self.answer(name, family, false).await;
        }
        Ok(answer)
    }

    async fn answer(
        &self,
        name: &Name,
        family: RecordType,
        has_edns: bool,
    ) -> Result<Box<Message>, Unresolved> {
        let question = Question::new(name, family, has_edns)
            .map_err(|error| Unresolved::Failed(self.by.clone(), error.to_string()))?;
        let goes_over = || self.progress.asks_by_tcp(&self.by);
        match until(self.end, pin!(exchange::ask(self.server.address, &question, goes_over))).await {
            Ok(answer) => answer.map_err(|broken| of_system(self.by.clone(), &broken)),
            Err(_silent) => Err(self.silent()),
        }
    }

    fn silent(&self) -> Unresolved {
        Unresolved::Silent(self.by.clone())
    }
}

/// What stands in the place of a code.
const REFERRAL: &str = "it only says who else might know (it is no resolver)";

fn of_code(by: String, code: ResponseCode) -> Unresolved {
    let (is_refusal, code) = match code {
        ResponseCode::Refused => (true, "REFUSED".to_owned()),
        ResponseCode::NotAuth => (true, "NOTAUTH".to_owned()),
        ResponseCode::NotImp => (true, "NOTIMP".to_owned()),
        ResponseCode::ServFail => (false, "SERVFAIL".to_owned()),
        ResponseCode::FormErr => (false, "FORMERR".to_owned()),
        other => (false, other.to_string()),
    };
    if is_refusal { Unresolved::Refused(by, code) } else { Unresolved::Failed(by, code) }
}

/// What the system says of the sockets.
fn of_system(by: String, broken: &Broken) -> Unresolved {
    let why = match broken.error.raw_os_error().map(Errno::from_raw) {
        // Not the server's fault.
        Some(errno @ (Errno::EMFILE | Errno::ENFILE)) => return Unresolved::Os(errno as i32),
        Some(Errno::EPERM) => {
            "this machine does not let the question out (a firewall of its own?)".to_owned()
        }
        Some(errno) => errno.desc().to_lowercase(),
        None if broken.error.kind() == io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        None => broken.error.to_string(),
    };
    let how = if broken.is_by_tcp { "by UDP its answer was not whole, and by TCP: " } else { "" };
    Unresolved::Failed(by, format!("{how}{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(resolv_conf: &str, name: &str) -> String {
        let servers = Servers::new(Asking::of_system(resolv_conf.as_bytes()).0);
        let names: Vec<_> = servers.meant(name).iter().map(Name::to_ascii).collect();
        names.join(" ")
    }

    #[test]
    fn a_name_is_completed_as_the_c_library_does() {
        let text = "nameserver 192.0.2.53\nsearch a.example b.example\n";
        assert_eq!(meant(text, "mx1"), "mx1.a.example. mx1.b.example. mx1.");
        assert_eq!(meant(text, "mx1.c"), "mx1.c. mx1.c.a.example. mx1.c.b.example.");
        assert_eq!(meant(text, "mx1."), "mx1.");
        let many_dots = text.to_owned() + "options ndots:2\n";
        assert_eq!(meant(&many_dots, "mx1.c"), "mx1.c.a.example. mx1.c.b.example. mx1.c.");
        assert_eq!(meant(&many_dots, "mx1.c.d"), "mx1.c.d. mx1.c.d.a.example. mx1.c.d.b.example.");
        assert_eq!(meant("nameserver 192.0.2.53\ndomain c.example\n", "mx1"), "mx1.c.example. mx1.");
        assert_eq!(meant("nameserver 192.0.2.53\nsearch .\n", "mx1"), "mx1.");
        assert_eq!(meant(text, "_mx1.a"), "_mx1.a. _mx1.a.a.example. _mx1.a.b.example.");
        assert_eq!(meant(text, &"a".repeat(64)), "");
        let alone = Servers::new(Asking::these(vec!["192.0.2.53:53".parse().unwrap()]));
        assert_eq!(alone.meant("mx1").iter().map(Name::to_ascii).collect::<String>(), "mx1.");
    }

    #[test]
    fn a_server_is_shown_with_its_port_where_that_is_not_the_usual_one() {
        let addresses = ["192.0.2.53:5353", "192.0.2.53:53", "[::1]:5353", "[::1]:53"];
        let servers = addresses.map(|address| address.parse().unwrap()).to_vec();
        let shown = Servers::new(Asking::these(servers)).to_string();
        assert_eq!(shown, "192.0.2.53:5353, 192.0.2.53, [::1]:5353, ::1");
    }

    #[test]
    fn it_is_said_what_the_system_says_of_a_question() {
        let said = |errno: Errno, is_by_tcp| {
            let broken = Broken { is_by_tcp, error: errno.into() };
            of_system("192.0.2.53".to_owned(), &broken).says().map(|said| said.1).ok()
        };
        let firewall =
            "192.0.2.53 cannot tell: this machine does not let the question out (a firewall of its own?)";
        assert_eq!(said(Errno::EPERM, false).unwrap(), firewall);
        let refused =
            "192.0.2.53 cannot tell: by UDP its answer was not whole, and by TCP: connection refused";
        assert_eq!(said(Errno::ECONNREFUSED, true).unwrap(), refused);
        assert_eq!(said(Errno::EMFILE, true), None);
    }
}
