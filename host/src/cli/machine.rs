//! How many of a plan's jobs this machine can run at once, and why, where that is fewer than the plan says. What is counted is open
//! files and mappings of memory, of each job the most that it may use.

use std::{fs, net::IpAddr};

use rustix::process::{Resource, getrlimit};

use super::start::FILES;
use crate::{
    config::{Plan, Planned},
    net::NameServers,
    output::{self, Level},
    sandbox::{Limits, limits::MEMORIES},
    text::counted,
};

/// Open files of a check: what its memory begins with, for runs that have one after the other and for others.
const FILES_OF_A_CHECK: u64 = 2;
/// Open files of a thread: what its runtime waits with, what wakes it, and its signals.
const FILES_OF_A_THREAD: u64 = 3;
/// Sockets by which a server is asked for a name, for both families.
const FILES_OF_A_SERVER: u64 = 2;
/// Servers that are asked beside one another where all are silent: as many as `resolv.conf` names.
const SERVERS: u64 = 3;
/// Of those in the configuration: one more each second, until the first has had its time.
const MOST_SERVERS: u64 = 10;
/// Mappings of a run of the built-in check: its memory with image and guards, and its stack. Seven were counted.
const MAPPINGS: u64 = 8;
/// Of a run of any other: as much for each memory that it may have.
const MAPPINGS_OF_A_COMPONENT: u64 = 4 * MEMORIES as u64 + MAPPINGS;
/// Bytes of data of a run of the built-in check, most of them a stack that is hardly used: what may be written to counts.
const DATA: u64 = 3 << 20;
/// Of all else: threads have stacks, too.
const DATA_OF_A_THREAD: u64 = 3 << 20;
const DATA_OF_THE_PROGRAM: u64 = 24 << 20;
/// What all else has of the mappings – code, libraries, threads, whatever is allocated – is one of so many parts.
const PARTS: u64 = 8;
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

/// How many may run at once; says which limit it is, where that makes them fewer.
pub(super) fn at_once(plan: &Plan) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    // Elsewhere there is no such limit.
    let mappings = fs::read_to_string(MAX_MAP_COUNT).ok().and_then(|text| text.trim().parse().ok());
    let data = getrlimit(Resource::Data).current;
    let Some((most, why)) = fewer(plan, files, mappings, data) else { return plan.max_concurrent };
    let (jobs, run) = (counted(most, "job"), if most == 1 { "runs" } else { "run" });
    let text = format!("at most {jobs} {run} at once, not {}: {why}", plan.max_concurrent);
    output::log(Level::Warning, &text);
    most
}

/// How many, and why, with so many open files, mappings and bytes of data; none: as many as there may be.
fn fewer(
    plan: &Plan,
    files: Option<u64>,
    mappings: Option<u64>,
    data: Option<u64>,
) -> Option<(usize, String)> {
    let of_files = files.map(|files| {
        let of_threads = FILES_OF_A_THREAD * plan.threads as u64;
        let of_checks = FILES_OF_A_CHECK * plan.checks.len() as u64;
        let of_name = files_of_a_name(&plan.name_servers);
        let need = |job: &Planned, limits: Option<&Limits>| open_files(job, limits, of_name);
        let most = fit(plan, files.saturating_sub(FILES + of_threads + of_checks), need);
        (most, format!("{files} files may be open: raise LimitNOFILE= of the agent's unit (`ulimit -n`)"))
    });
    let of_mappings = mappings.map(|mappings| {
        let most = fit(plan, mappings - mappings / PARTS, |_, limits| match limits {
            None => MAPPINGS,
            Some(_) => MAPPINGS_OF_A_COMPONENT,
        });
        (
            most,
            format!("a process may have {mappings} mappings of memory: raise `vm.max_map_count` (`sysctl`)"),
        )
    });
    let of_data = data.map(|bytes| {
        let others = DATA_OF_THE_PROGRAM + DATA_OF_A_THREAD * plan.threads as u64;
        let most = fit(plan, bytes.saturating_sub(others), |_, limits| {
            DATA + limits.map_or(0, |limits| limits.memory_bytes as u64)
        });
        let mib = bytes >> 20;
        (
            most,
            format!("data is limited to {mib} MiB: leave LimitDATA= of the agent's unit (`ulimit -d`) unset"),
        )
    });
    let fewest = [of_files, of_mappings, of_data].into_iter().flatten().min_by_key(|(most, _)| *most);
    fewest.filter(|(most, _)| *most < plan.max_concurrent.min(plan.jobs.len()))
}

fn files_of_a_name(servers: &NameServers) -> u64 {
    FILES_OF_A_SERVER
        * match servers {
            NameServers::These(these) => MOST_SERVERS.min(these.len() as u64),
            NameServers::Usual | NameServers::System => SERVERS,
        }
}

/// A run's at once: a name is looked up before there is its connection. None: it is the built-in check, which has one.
fn open_files(job: &Planned, limits: Option<&Limits>, of_name: u64) -> u64 {
    match limits {
        Some(limits) => u64::from(limits.connections.saturating_sub(1)) + of_name,
        None if job.host().parse::<IpAddr>().is_ok() => 1,
        None => of_name,
    }
}

/// How many of the jobs fit into so much, whichever they are; one always does.
fn fit(plan: &Plan, there: u64, need: impl Fn(&Planned, Option<&Limits>) -> u64) -> usize {
    let limits = |job: &Planned| plan.checks.iter().find(|check| check.source.name == job.check());
    let mut needs: Vec<u64> =
        plan.jobs.iter().map(|job| need(job, limits(job).map(|check| &check.source.limits))).collect();
    needs.sort_unstable_by(|one, other| other.cmp(one));
    let sums = needs.into_iter().scan(0_u64, |sum, need| {
        *sum += need;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= there).count().max(1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::of_text;

    /// So many jobs: of a check with so many connections, of names, of addresses.
    fn plan(declared: usize, connections: u32, names: usize, addresses: usize) -> Plan {
        let digest = "0".repeat(64);
        let check = format!(
            "[[check]]\nname = \"c\"\ncomponent = \"c.wasm\"\nsha256 = \"{digest}\"\ndescription_sha256 = \"{digest}\"\n\
             measurement = \"c\"\nlimits.connections = {connections}\n"
        );
        let job = |name: String, host: &str, check: &str| {
            format!("[[job]]\nname = \"{name}\"\nhost = \"{host}\"\ncheck = \"{check}\"\n")
        };
        let mut text = format!("max_concurrent = 5000\nthreads = 2\n{check}");
        text.extend((0..declared).map(|number| job(format!("d{number}"), "mx", "c")));
        text.extend((0..names).map(|number| job(format!("n{number}"), "mx", "smtp")));
        text.extend((0..addresses).map(|number| job(format!("a{number}"), "192.0.2.25", "smtp")));
        of_text(Path::new("sonde.toml"), &text).ok().unwrap()
    }

    fn most(plan: &Plan, files: Option<u64>, mappings: Option<u64>) -> Option<usize> {
        fewer(plan, files, mappings, None).map(|(most, _)| most)
    }

    #[test]
    fn no_more_run_at_once_than_there_may_be_data_of() {
        let most = |plan: &Plan, mib: u64| fewer(plan, None, None, Some(mib << 20)).map(|(most, _)| most);
        // Two threads, and what each job needs.
        assert_eq!(most(&plan(0, 1, 0, 100), 30 + 300), None);
        assert_eq!(most(&plan(0, 1, 0, 100), 30 + 299), Some(99));
        assert_eq!(most(&plan(10, 1, 0, 0), 30 + 5 * 67), Some(5));
        assert_eq!(most(&plan(0, 1, 0, 100), 1), Some(1));
    }

    #[test]
    fn no_more_run_at_once_than_there_are_files_for_whichever_they_are() {
        assert_eq!(most(&plan(0, 1, 0, 100), Some(140), None), None);
        assert_eq!(most(&plan(0, 1, 0, 100), Some(139), None), Some(99));
        assert_eq!(most(&plan(0, 1, 100, 0), Some(1024), None), None);
        assert_eq!(most(&plan(0, 1, 100, 0), Some(140), None), Some(16));
        let one = NameServers::These(vec![([127, 0, 0, 1], 53).into()]);
        let asking_one = Plan { name_servers: one, ..plan(0, 1, 100, 0) };
        assert_eq!(most(&asking_one, Some(140), None), Some(50));
        assert_eq!(most(&plan(10, 8, 0, 100), Some(140), None), Some(7));
        assert_eq!(most(&plan(10, 2, 0, 100), Some(140), None), Some(40));
        // One always runs: what it lacks is on its line.
        assert_eq!(most(&plan(10, 240, 0, 0), Some(64), None), Some(1));
        assert_eq!(most(&plan(10, 240, 0, 0), None, None), None);
    }

    #[test]
    fn no_more_run_at_once_than_there_are_mappings_for() {
        assert_eq!(most(&plan(0, 1, 0, 2000), None, Some(65_530)), None);
        assert_eq!(most(&plan(0, 1, 0, 2000), None, Some(8000)), Some(875));
        assert_eq!(most(&plan(300, 8, 0, 0), None, Some(8000)), Some(175));
        let (_, why) = fewer(&plan(300, 8, 0, 0), Some(20_000), Some(8000), None).unwrap();
        assert_eq!(why, "a process may have 8000 mappings of memory: raise `vm.max_map_count` (`sysctl`)");
    }
}
