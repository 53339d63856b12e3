//! `sonde execd` with a job for each session: a round at each newline.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::{AT_ONCE, Connection, SESSIONS, mail::NAME, process::cpu_time};

pub(crate) struct Sonde {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Sonde {
    /// Verifies the server's certificate where there is one, by `ca.pem` in that folder.
    pub(crate) fn start(folder: &Path, connection: Connection, port: u16, threads: usize) -> Self {
        let mut config =
            format!("max_concurrent = {AT_ONCE}\nthreads = {threads}\n[[job]]\nname = \"bench\"\nhosts = [");
        for host in 0..SESSIONS {
            write!(config, "\"127.0.{}.{}\",", host / 250, 1 + host % 250).unwrap();
        }
        let name = connection.name();
        write!(config, "]\nparameters = {{ port = {port}, connection = \"{name}\" }}\n").unwrap();
        write!(config, "[job.tls]\nca_file = \"ca.pem\"\nserver_name = \"{NAME}\"\n").unwrap();
        let file = folder.join(format!("sonde-{name}-{threads}.toml"));
        fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
        command.args(["execd", "-c"]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it computed for it.
    pub(crate) fn round(&mut self) -> Duration {
        let before = cpu_time(self.child.id());
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        for _ in 0..SESSIONS {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            assert!(line.contains("result=success"), "{line}");
        }
        cpu_time(self.child.id()).saturating_sub(before)
    }
}

impl Drop for Sonde {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
