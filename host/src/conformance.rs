//! Puts a check through what it will meet: a loaded check and a job for it in, what came of every case out. In each the
//! check must end in a report of its own, in time, with what it announced; what the sandbox had to end instead is a miss.

mod case;
mod cases;
mod endpoints;
mod peer;
mod table;

use std::{collections::BTreeMap, future::ready, iter};

use tokio::net::TcpStream;

use self::{
    case::{Case, HOST, Must, READY, SOME_PORT, planned},
    cases::{Conversation, misbehaving, odd_values, wrong_values},
    peer::{Peer, Peers},
};
pub use self::{
    case::{ConformanceError, Subject, Verdict},
    table::table,
};
use crate::{
    job::Job,
    report::{Outcome, Report},
    sandbox::Unfit,
    schedule::{self, RoundTime},
};

/// Cases at once: most of them only wait.
const AT_ONCE: usize = 16;

/// Runs every case.
pub async fn run(subject: &Subject<'_>) -> Result<Vec<Verdict>, ConformanceError> {
    let mut peers = Peers::default();
    let parameters = endpoints::with_ports(subject, &mut peers)?;
    let subject = &Subject { parameters: &parameters, against: subject.against.clone(), ..*subject };
    // What is given must make a job, or nothing is tested.
    drop(planned(subject, "", SOME_PORT, &[]).validated().await?);
    let conversation = if let Some((host, port)) = subject.against.clone() {
        let reached = TcpStream::connect((host.as_str(), port)).await;
        reached.map_err(|error| ConformanceError::Server(host.clone(), port, error))?;
        Conversation::new((host, port), "the server")
    } else {
        let port = peers.start(Peer::Talker(READY.to_vec()))?;
        Conversation::new((HOST.to_string(), port), "a server that says yes to everything")
    };
    let mut verdicts = round(subject, vec![conversation.undisturbed(subject, &mut peers)?]).await;
    let first = verdicts.first();
    // At this port: at another it did not.
    if let Some(refused) = first.and_then(|verdict| verdict.not_run.clone()) {
        return Err(ConformanceError::Refused(refused));
    }
    let report = first.and_then(|verdict| verdict.report.as_ref());
    let undisturbed = report.map_or(Outcome::CheckError, Report::outcome);

    verdicts.extend(wrong_values(subject));
    let mut cases = misbehaving(subject, &mut peers)?;
    cases.extend(conversation.disturbed(subject, &mut peers, undisturbed)?);
    let own = conversation.start(&mut peers)?;
    cases.extend(endpoints::misbehaving(subject, &mut peers, own)?);
    cases.extend(odd_values(subject, &mut peers)?);
    verdicts.extend(round(subject, cases).await);
    Ok(verdicts)
}

/// Runs the cases whose jobs the check does not refuse, as a configuration would.
async fn round(subject: &Subject<'_>, cases: Vec<Case>) -> Vec<Verdict> {
    let (mut jobs, mut judged) = (Vec::new(), Vec::new());
    for (job, must) in cases {
        let unfit = job.validate().await.err();
        judged.push((job.name.clone(), must, unfit));
        jobs.push(job);
    }
    let is_fit = |(_, (_, _, unfit)): &(Job, &(String, Must, Option<Unfit>))| unfit.is_none();
    let jobs: Vec<Job> = jobs.into_iter().zip(&judged).filter(is_fit).map(|(job, _)| job).collect();
    let mut came = BTreeMap::new();
    let mut reports =
        schedule::round(subject.sandbox, jobs.into_iter().map(ready), AT_ONCE, RoundTime::now());
    while let Some(ended) = reports.recv().await {
        came.insert(ended.job.name.clone(), ended.report);
    }
    judged
        .into_iter()
        .map(|(case, must, unfit)| {
            let report = came.remove(&case);
            let (not_run, miss) = match (unfit, &report) {
                (Some(Unfit::Refused(refusal, others)), _) => {
                    let all = iter::once(refusal).chain(others).map(|refusal| refusal.told("host"));
                    (Some(all.collect::<Vec<_>>().join("; ")), None)
                }
                (Some(Unfit::Unjudged(failure)), _) => (None, Some(format!("validate: {}", failure.text))),
                (None, Some(report)) => (None, miss(report, &must)),
                (None, None) => (None, Some("no report".to_owned())),
            };
            Verdict { case, report, not_run, miss }
        })
        .collect()
}

fn miss(report: &Report, must: &Must) -> Option<String> {
    match (report.outcome(), must) {
        (Outcome::CheckError, _) => {
            let failure = report.failure.as_ref();
            Some(failure.map_or_else(String::new, |failure| format!("{}: {}", failure.code.0, failure.text)))
        }
        (Outcome::Success, Must::Fail) => Some("success, and there is no server".to_owned()),
        (came, Must::End(undisturbed)) if came != *undisturbed => {
            Some(format!("{} when not disturbed", undisturbed.name()))
        }
        _ => None,
    }
}
