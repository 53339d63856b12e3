//! What a job lets its runs reach, and by which rules: its own endpoint, its further ones by their names, and whatever it grants
//! besides. A granted endpoint in; the rules that hold there out. Nothing of one endpoint's holds at another.

use std::sync::Arc;

use super::{resolve::Resolver, tls::Tls};
use crate::{
    grant::{Grant, Whose},
    host::Host,
    secret::apart::{Apart, Watch},
};

/// A further endpoint of a job.
#[derive(Clone, Debug)]
pub struct NamedEndpoint {
    /// From its check's description.
    pub name: String,
    /// Tag `NAME_server`.
    pub host: Host,
    /// What is granted there; none: its check has no port for it.
    pub port: Option<u16>,
    /// Trust in this server's TLS.
    pub tls: Arc<Tls>,
}

/// What a job lets its runs reach.
#[derive(Default)]
pub struct Reach {
    pub(super) grant: Grant,
    tls: Arc<Tls>,
    named: Arc<[NamedEndpoint]>,
    apart: Apart,
    /// None: one of its own, which asks the system's name servers; what runs by a sandbox shares that one's.
    resolver: Option<Arc<Resolver>>,
}

/// Number of the job's own endpoint, and of whatever has no name.
pub(super) const OWN: usize = 0;

/// The number of the further endpoint in this place.
pub(super) fn number(place: usize) -> usize {
    place + 1
}

/// What holds for a connection.
pub(super) struct Rules {
    /// The endpoint's number, if it is to be measured.
    pub(super) endpoint: Option<usize>,
    pub(super) tls: Arc<Tls>,
    /// These are not the rules of an endpoint, but what is left of the job's own for others.
    pub(super) elsewhere: bool,
    /// For other endpoints' secrets.
    pub(super) watch: Option<Watch>,
}

impl Reach {
    /// What is granted, with the rules of the job's own host.
    #[must_use]
    pub fn new(grant: Grant, tls: Arc<Tls>) -> Self {
        Self { grant, tls, ..Self::default() }
    }

    /// And its further endpoints, each by its own rules; and what they must not be told, by the number: the job's own endpoint's,
    /// and then theirs in their order.
    #[must_use]
    pub fn naming(self, named: &Arc<[NamedEndpoint]>, apart: &Apart) -> Self {
        let grant = self.grant.naming(named.iter().map(|endpoint| (&endpoint.host, endpoint.port)));
        Self { grant, named: Arc::clone(named), apart: apart.clone(), ..self }
    }

    /// And by whom names are looked up, for all runs of the process.
    #[must_use]
    pub fn asking(self, resolver: &Arc<Resolver>) -> Self {
        Self { resolver: Some(Arc::clone(resolver)), ..self }
    }

    pub(super) fn resolver(&self) -> Arc<Resolver> {
        self.resolver.clone().unwrap_or_default()
    }

    /// The endpoint of this number.
    pub(super) fn name(&self, endpoint: usize) -> Option<&str> {
        let place = endpoint.checked_sub(number(0))?;
        self.named.get(place).map(|named| &*named.name)
    }

    /// Those for a granted endpoint.
    pub(super) fn rules(&self, host: &Host, port: u16) -> Rules {
        let own = |endpoint| Rules {
            endpoint,
            tls: Arc::clone(&self.tls),
            elsewhere: false,
            watch: self.apart.watch(OWN),
        };
        match self.grant.whose(host, port) {
            Whose::Own => own(Some(OWN)),
            Whose::OwnHost => own(None),
            Whose::Named(place) => Rules {
                endpoint: Some(number(place)),
                // The grant was made of the same list.
                tls: self.named.get(place).map_or_else(Arc::default, |named| Arc::clone(&named.tls)),
                elsewhere: false,
                watch: self.apart.watch(number(place)),
            },
            Whose::Elsewhere => match self.tls.elsewhere() {
                Some(tls) => Rules { tls: Arc::new(tls), elsewhere: true, ..own(None) },
                None => own(None),
            },
        }
    }
}
