//! What this process uses, from `/proc`, and its standard error, which the tests read.

use std::{
    fs::{self, File},
    io::Write,
    os::fd::OwnedFd,
    sync::OnceLock,
};

use tempfile::NamedTempFile;
use tokio::sync::Mutex;

/// Kilobytes in a line of `/proc/self/status`.
fn status_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Memory in use.
pub(crate) fn resident_kib() -> u64 {
    status_kib("VmRSS")
}

/// The most memory since the last [`forget_peak`].
pub(crate) fn peak_kib() -> u64 {
    status_kib("VmHWM")
}

/// See `proc_pid_clear_refs(5)`.
pub(crate) fn forget_peak() {
    File::options().write(true).open("/proc/self/clear_refs").unwrap().write_all(b"5").unwrap();
}

pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) fn threads() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap()
}

/// Those that run jobs.
pub(crate) fn threads_for_runs() -> usize {
    let names = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
    // One may have ended.
    names.filter(|name| fs::read_to_string(name).is_ok_and(|name| name.trim_end() == "runs")).count()
}

/// One test of this binary at a time: each looks at the process as a whole.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// Standard error, into a file until this is dropped.
pub(crate) struct Log {
    read_bytes: usize,
    usual: OwnedFd,
}

impl Log {
    pub(crate) fn begin() -> Self {
        let (file, usual) = (Self::file(), nix::unistd::dup(std::io::stderr()).unwrap());
        nix::unistd::dup2_stderr(file.as_file()).unwrap();
        Self { read_bytes: fs::read(file.path()).unwrap().len(), usual }
    }

    fn file() -> &'static NamedTempFile {
        static FILE: OnceLock<NamedTempFile> = OnceLock::new();
        FILE.get_or_init(|| NamedTempFile::new().unwrap())
    }

    /// What was written since the last call: lines as the agent wants them, whoever wrote them.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let all = fs::read(Self::file().path()).unwrap();
        let new = String::from_utf8(all[self.read_bytes..].to_vec()).unwrap();
        self.read_bytes = all.len();
        for line in new.lines() {
            let prefixed = ["E! ", "W! ", "I! ", "D! "].iter().any(|prefix| line.starts_with(prefix));
            assert!(prefixed && line.len() <= 2048 && !line.contains(char::is_control), "{line:?}");
        }
        new.lines().map(ToOwned::to_owned).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        nix::unistd::dup2_stderr(&self.usual).unwrap();
    }
}
