//! The further endpoints of a job: what its table or the command line says of them in; those that it has, out. Refuses by key one
//! that its check does not know, one that it needs and nobody named, and what is given for one that it does not have.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    error::{At, NoSuch, Problem},
    file,
    nearest::nearest,
    tls::Trusts,
};
use crate::{
    alarm::Limit,
    description::{Description, FurtherEndpoint, OWN_HOST, Parameter, ParameterKind},
    grant::Endpoint,
    host::{Host, NoHost},
    net::{NamedEndpoint, Tls},
    secret::{NoSecret, apart::Apart},
};

/// Which of a check's default hosts apply by themselves.
#[derive(Clone, Copy)]
pub(super) enum Defaults {
    /// All: it is built in.
    All,
    /// The job's own host and names below it: whoever named that on a command line has named these.
    Below,
    /// None: what a declared check may reach stands in the file.
    None,
}

/// What is said of the endpoints of a job.
#[derive(Clone)]
pub(super) struct Endpoints {
    given: BTreeMap<String, Given>,
    defaults: Defaults,
    /// Trust in those of which nothing is said.
    tls: Arc<Tls>,
}

#[derive(Clone)]
struct Given {
    /// None: it is to be the default.
    host: Option<Result<Host, NoHost>>,
    tls: Arc<Tls>,
}

fn key(name: &str) -> String {
    format!("endpoints.{name}.host")
}

impl Endpoints {
    /// From a file's tables; all that need not be known of the check is judged.
    pub(super) fn from_file(
        tables: BTreeMap<String, file::Endpoint>,
        defaults: Defaults,
        folder: &Path,
        trusts: &mut Trusts,
    ) -> Result<Self, At> {
        let mut given = BTreeMap::new();
        for (name, table) in tables {
            let host = table.host.map(|text| Host::bracketed(&text));
            // Of a port its parameter is to be told.
            if let Some(Err(wrong)) = &host
                && *wrong != NoHost::Port
            {
                return Err(At::key(key(&name), Problem::Expected(wrong.to_string())));
            }
            let tls = trusts.tls(table.tls, folder).map_err(|at| at.below(&format!("endpoints.{name}")))?;
            given.insert(name, Given { host, tls });
        }
        Ok(Self { given, defaults, tls: Arc::default() })
    }

    /// From hosts by their names, on a command line: TLS is there as strict as with the job's own host, and knows nothing of it.
    pub(super) fn from_texts(hosts: &BTreeMap<String, String>, defaults: Defaults, own: &Arc<Tls>) -> Self {
        let tls = own.elsewhere().map_or_else(|| Arc::clone(own), Arc::new);
        let given = |(name, host): (&String, &String)| {
            (name.clone(), Given { host: Some(Host::bracketed(host)), tls: Arc::clone(&tls) })
        };
        Self { given: hosts.iter().map(given).collect(), defaults, tls: Arc::clone(&tls) }
    }

    /// Those that a job with this host has, not yet with their ports.
    pub(super) fn of(&self, check: &Description, own: &Host) -> Result<Vec<NamedEndpoint>, At> {
        let all = || check.endpoints.iter().map(|endpoint| &*endpoint.name);
        if let Some(unknown) = self.given.keys().find(|name| !all().any(|known| known == *name)) {
            let meant = nearest(unknown, all()).map(ToOwned::to_owned);
            return Err(At::key(format!("endpoints.{unknown}"), Problem::Unknown(NoSuch::Endpoint, meant)));
        }
        let mut endpoints = Vec::new();
        for endpoint in &check.endpoints {
            let given = self.given.get(&endpoint.name);
            let host = match given.and_then(|given| given.host.clone()) {
                Some(host) => Some(host),
                None => self.default(endpoint, own).map(|default| Host::bracketed(&default)),
            };
            let Some(host) = host else {
                if endpoint.required || given.is_some() {
                    return Err(At::key(key(&endpoint.name), Problem::Missing));
                }
                continue;
            };
            let host = host.map_err(|wrong| {
                let port = check.port_of(Some(&endpoint.name)).filter(|_| wrong == NoHost::Port);
                let hint =
                    port.map_or_else(String::new, |port| format!(": the port is `parameters.{}`", port.name));
                At::key(key(&endpoint.name), Problem::Expected(format!("{wrong}{hint}")))
            })?;
            let tls = Arc::clone(given.map_or(&self.tls, |given| &given.tls));
            endpoints.push(NamedEndpoint { name: endpoint.name.clone(), host, port: None, tls });
        }
        Ok(endpoints)
    }

    /// Those that a job with this host and these parameters has.
    pub(super) fn complete(
        &self,
        check: &Description,
        own: &Host,
        parameters: &Map<String, Json>,
    ) -> Result<Arc<[NamedEndpoint]>, At> {
        with_ports(self.of(check, own)?, check, own, parameters)
    }

    fn default(&self, endpoint: &FurtherEndpoint, own: &Host) -> Option<String> {
        let default = endpoint.default.as_deref()?;
        let applies = match self.defaults {
            Defaults::All => true,
            Defaults::Below => default
                .strip_suffix(OWN_HOST)
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
            Defaults::None => false,
        };
        if applies { endpoint.default_beside(own.written()) } else { None }
    }
}

/// The parameter is about an endpoint that the job does not have.
pub(super) fn is_absent(parameter: &Parameter, endpoints: &[NamedEndpoint]) -> bool {
    let about = parameter.endpoint.as_ref();
    about.is_some_and(|name| !endpoints.iter().any(|endpoint| endpoint.name == *name))
}

/// Refuses what only an endpoint that the job does not have could use.
pub(super) fn are_used(
    given: &Map<String, Json>,
    check: &Description,
    endpoints: &[NamedEndpoint],
) -> Result<(), At> {
    let is_given = |parameter: &&Parameter| {
        matches!(parameter.kind, ParameterKind::Port | ParameterKind::Secret)
            && given.contains_key(&parameter.name)
            && is_absent(parameter, endpoints)
    };
    match check.parameters.iter().find(is_given) {
        Some(Parameter { name, endpoint: Some(endpoint), .. }) => {
            Err(At::key(format!("parameters.{name}"), Problem::NoEndpoint(endpoint.clone())))
        }
        _ => Ok(()),
    }
}

/// Refuses a limit on what is measured at an endpoint that the job does not have.
pub(super) fn are_measured(
    limits: &[Limit],
    check: &Description,
    endpoints: &[NamedEndpoint],
) -> Result<(), At> {
    for (name, _, endpoint) in check.endpoint_fields() {
        let is_limited = limits.iter().any(|limit| limit.part.is_none() && limit.field == name);
        if is_limited && !endpoints.iter().any(|known| known.name == endpoint) {
            return Err(At::key(format!("alarm.{name}"), Problem::NoEndpoint(endpoint.to_owned())));
        }
    }
    Ok(())
}

/// What each endpoint must not be told: the job's own, and then the others in their order.
pub(super) fn apart(
    check: &Description,
    parameters: &Map<String, Json>,
    endpoints: &[NamedEndpoint],
) -> Result<Apart, NoSecret> {
    let secrets_of = |endpoint: Option<&str>| -> Vec<String> {
        let own = check.parameters.iter().filter(|parameter| {
            parameter.kind == ParameterKind::Secret && parameter.endpoint.as_deref() == endpoint
        });
        let texts = own.filter_map(|parameter| parameters.get(&parameter.name)?.as_str());
        texts.map(ToOwned::to_owned).collect()
    };
    let named = endpoints.iter().map(|endpoint| Some(&*endpoint.name));
    Apart::new(&[None].into_iter().chain(named).map(secrets_of).collect::<Vec<_>>())
}

/// A job's own endpoint's, or a further one's; none where the check has no parameter for it.
pub(super) fn port(
    check: &Description,
    endpoint: Option<&str>,
    parameters: &Map<String, Json>,
) -> Result<Option<u16>, At> {
    let Some(parameter) = check.port_of(endpoint) else { return Ok(None) };
    let port = parameters.get(&parameter.name).and_then(Json::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let expected = || {
        let key = format!("parameters.{}", parameter.name);
        At::key(key, Problem::Expected("a port, 1 to 65535".into()))
    };
    port.map(Some).ok_or_else(expected)
}

/// With their ports. Refuses two that are the same, for each is to have trust and facts of its own.
fn with_ports(
    endpoints: Vec<NamedEndpoint>,
    check: &Description,
    own: &Host,
    parameters: &Map<String, Json>,
) -> Result<Arc<[NamedEndpoint]>, At> {
    let mut known = vec![("the job's own endpoint".to_owned(), own.clone(), port(check, None, parameters)?)];
    let with_port = |endpoint: NamedEndpoint| {
        let port = port(check, Some(&endpoint.name), parameters)?;
        let granted = |host: &Host| port.map(|port| Endpoint::new(host, Some(port)));
        let is_same = |(_, host, at): &&(String, Host, Option<u16>)| {
            port.is_some() && *at == port && granted(host) == granted(&endpoint.host)
        };
        if let Some((other, ..)) = known.iter().find(is_same) {
            return Err(At::key(key(&endpoint.name), Problem::SameEndpoint(other.clone())));
        }
        known.push((format!("endpoint `{}`", endpoint.name), endpoint.host.clone(), port));
        Ok(NamedEndpoint { port, ..endpoint })
    };
    endpoints.into_iter().map(with_port).collect()
}
