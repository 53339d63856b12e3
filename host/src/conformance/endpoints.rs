//! A check with further endpoints: a subject in; where each of its endpoints is meanwhile, and the cases in which one of them is
//! not as it should be while the others talk, out.

use std::collections::BTreeMap;

use super::{
    case::{Case, ConformanceError, Must, READY, SOME_PORT, Subject, job, planned},
    peer::{self, Manner, Peer, Peers},
};
use crate::description::{Parameter, ParameterKind};

/// The parameters of the subject with a port for each endpoint: of a server that says yes to everything, or of a relay to the
/// real one.
pub(super) fn with_ports(
    subject: &Subject<'_>,
    peers: &mut Peers,
) -> Result<BTreeMap<String, String>, ConformanceError> {
    let (mut parameters, check) = (subject.parameters.clone(), &subject.check.description);
    let is_known = |name: &&String| check.endpoints.iter().any(|known| known.name == **name);
    if let Some(unknown) = subject.endpoints.keys().find(|name| !is_known(name)) {
        return Err(ConformanceError::Endpoint(unknown.clone()));
    }
    let with_port = check.endpoints.iter().filter_map(|endpoint| {
        let name = &endpoint.name;
        Some((name, check.port_of(Some(name))?, subject.endpoints.get(name)))
    });
    for (_, port, _) in with_port.clone().filter(|(_, _, real)| real.is_none()) {
        let peer = peers.start(Peer::Talker(READY.to_vec()))?;
        parameters.insert(port.name.clone(), peer.to_string());
    }
    // Of a real server as it is given, or the check's default.
    let given = Subject { parameters: &parameters, against: None, ..*subject };
    let mut given = planned(&given, "", SOME_PORT, &[]);
    given.endpoints.extend(subject.endpoints.clone());
    let given = given.job()?;
    for (name, port, real) in with_port {
        let at = given.endpoints.iter().find(|known| known.name == *name);
        let at = at.filter(|_| real.is_some()).and_then(|known| Some((&known.host, known.port?)));
        if let Some((host, at)) = at {
            let server = (host.ascii().to_owned(), at);
            let relay = peers.start(Peer::Relay(server, Manner::Plainly))?;
            parameters.insert(port.name.clone(), relay.to_string());
        }
    }
    Ok(parameters)
}

/// Each endpoint absent, silent, talking nonsense, and left out where it may be; the job's own server is at this port.
pub(super) fn misbehaving(
    subject: &Subject<'_>,
    peers: &mut Peers,
    own: u16,
) -> Result<Vec<Case>, ConformanceError> {
    let mut cases = Vec::new();
    for endpoint in &subject.check.description.endpoints {
        let name = &endpoint.name;
        if let Some(parameter) = subject.check.description.port_of(Some(name)) {
            for (what, peer) in [
                ("nobody listens", Peer::Absent),
                ("silent", Peer::Silent),
                ("garbage", Peer::Talker(peer::garbage())),
            ] {
                let port = peers.start(peer)?.to_string();
                let changed = [(&*parameter.name, &*port)];
                cases.push((
                    job(subject, &format!("endpoint `{name}`: {what}"), own, &changed)?,
                    Must::Report,
                ));
            }
        }
        let only_there = |parameter: &&Parameter| {
            parameter.endpoint.as_ref() == Some(name)
                && matches!(parameter.kind, ParameterKind::Port | ParameterKind::Secret)
        };
        let mut without = planned(subject, &format!("endpoint `{name}`: not given"), own, &[]);
        without.endpoints.remove(name);
        for parameter in subject.check.description.parameters.iter().filter(only_there) {
            without.parameters.remove(&parameter.name);
        }
        // One that must be given, or has a default, is never left out.
        if let Ok(job) = without.job()
            && !job.endpoints.iter().any(|known| known.name == *name)
        {
            cases.push((job, Must::Report));
        }
    }
    Ok(cases)
}
