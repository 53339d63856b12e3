//! A process as a benchmark sees it: its number in; what it has used and uses, out.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::{fs, time::Duration};

use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// Of all its threads, those that are gone too.
pub(crate) fn cpu_time(process: u32) -> Duration {
    let process = Pid::from_raw(process.try_into().unwrap());
    clock_gettime(clock_getcpuclockid(process).unwrap()).unwrap().into()
}

/// Of the thread that asks.
pub(crate) fn own_cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Memory in use.
pub(crate) fn resident_mib(process: u32) -> u64 {
    kib(process, "VmRSS:") >> 10
}

/// Memory in use that is no file's: what is mapped of one file in a thousand places is in memory once, and resident in each.
pub(crate) fn own_kib(process: u32) -> u64 {
    kib(process, "RssAnon:")
}

fn kib(process: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

pub(crate) fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

/// What else the machine does: of the last minute.
pub(crate) fn load() -> String {
    let all = fs::read_to_string("/proc/loadavg").unwrap();
    all.split(' ').next().unwrap_or_default().to_owned()
}

/// Allows this process, and with it its children, all the open files that may be.
pub(crate) fn allow_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// The middle one.
pub(crate) fn median<T: Copy + Default + Ord>(mut all: Vec<T>) -> T {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
