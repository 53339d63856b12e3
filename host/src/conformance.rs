//! Puts a check through what it will meet: a loaded check and a job for it in, what came of every case out. In each the
//! check must end in a report of its own, in time, with what it announced; what the sandbox had to end instead is a miss.

mod case;
mod cases;
mod endpoints;
mod peer;
mod table;

use std::{collections::BTreeMap, future::ready, iter};

use tokio::net::TcpStream;

pub use self::{
    case::{Came, ConformanceError, Subject, Verdict},
    table::table,
};
use self::{
    case::{Case, HOST, Must, READY, SOME_PORT, planned},
    cases::{Conversation, misbehaving, odd_values, wrong_values},
    peer::{Peer, Peers},
};
use crate::{
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
    let undisturbed = match verdicts.first().map(|verdict| &verdict.came) {
        // At this port: at another it did not.
        Some(Came::NotRun(refused)) => return Err(ConformanceError::Refused(refused.clone())),
        Some(Came::Report(report)) => report.outcome(),
        _ => Outcome::CheckError,
    };

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
        let (case, unfit) = (job.name.clone(), job.validate().await.err());
        if unfit.is_none() {
            jobs.push(job);
        }
        judged.push((case, must, unfit));
    }
    let mut reports = BTreeMap::new();
    let mut ends = schedule::round(subject.sandbox, jobs.into_iter().map(ready), AT_ONCE, RoundTime::now());
    while let Some(ended) = ends.recv().await {
        reports.insert(ended.job.name.clone(), ended.report);
    }
    let mut verdicts = Vec::new();
    for (case, must, unfit) in judged {
        let (came, miss) = match (unfit, reports.remove(&case)) {
            (Some(Unfit::Refused(refusal, others)), _) => {
                let all = iter::once(refusal).chain(others).map(|refusal| refusal.told("host"));
                (Came::NotRun(all.collect::<Vec<_>>().join("; ")), None)
            }
            (Some(Unfit::Unjudged(failure)), _) => {
                (Came::Nothing, Some(format!("validate: {}", failure.text)))
            }
            (None, Some(report)) => {
                let miss = miss(&report, &must);
                (Came::Report(report.into()), miss)
            }
            (None, None) => (Came::Nothing, Some("no report".to_owned())),
        };
        verdicts.push(Verdict { case, came, miss });
    }
    verdicts
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
