//! The same dialogue by Prometheus' `blackbox_exporter`: its TCP prober, asked over HTTP as Prometheus would.

use std::{fmt::Write as _, fs, io, net::Ipv4Addr, ops::Range, path::Path, process::Command};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use support::{Server, free_port, program, start};

pub(crate) struct Blackbox {
    port: u16,
    _process: Server,
}

impl Blackbox {
    /// Starts it with a module for each of so many jobs, by whose number the server tells the sessions apart.
    pub(crate) fn start(folder: &Path, jobs: usize) -> Option<Self> {
        let program = program("prometheus-blackbox-exporter", &["/usr/bin/prometheus-blackbox-exporter"])?;
        let mut config = "modules:\n".to_owned();
        for job in 0..jobs {
            write!(config, "  job{job}:\n    prober: tcp\n    timeout: 30s\n    tcp:\n").unwrap();
            config.push_str("      preferred_ip_protocol: ip4\n      query_response:\n");
            for (expect, send) in [
                ("^220 ", format!("EHLO job{job}.truth.invalid")),
                ("^250 ", "MAIL FROM:<probe@truth.invalid>".to_owned()),
                ("^250 ", "RCPT TO:<box@truth.invalid>".to_owned()),
                ("^250 ", "DATA".to_owned()),
                ("^354 ", "Subject: Sonde\\r\\n\\r\\nSonde\\r\\n.".to_owned()),
                ("^250 ", "QUIT".to_owned()),
            ] {
                // It sends a line feed behind it.
                write!(config, "      - expect: \"{expect}\"\n        send: \"{send}\\r\"\n").unwrap();
            }
            config.push_str("      - expect: \"^221 \"\n");
        }
        let file = folder.join("blackbox.yml");
        fs::write(&file, config).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command.arg("--config.file").arg(file).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Some(Self { port, _process: start(&mut command, port) })
    }

    /// Probes the server so many times at once, until all jobs are done; what it says that each took, in milliseconds.
    pub(crate) fn probe(&self, server: u16, jobs: Range<usize>, at_once: usize) -> Vec<(usize, f64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let jobs: Vec<usize> = jobs.collect();
        runtime.block_on(async {
            let mut took = Vec::new();
            for jobs in jobs.chunks(at_once) {
                let mut asked = JoinSet::new();
                for &job in jobs {
                    asked.spawn(ask(self.port, server, job));
                }
                for answer in asked.join_all().await {
                    // A failed probe is missing in the table.
                    took.extend(answer.ok().flatten());
                }
            }
            took
        })
    }
}

async fn ask(blackbox: u16, server: u16, job: usize) -> io::Result<Option<(usize, f64)>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, blackbox)).await?;
    let get = format!("GET /probe?target=127.0.0.1:{server}&module=job{job} HTTP/1.0\r\n\r\n");
    stream.write_all(get.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let value =
        |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    let succeeded = value("probe_success ") == Some(1.0);
    Ok(value("probe_duration_seconds ").filter(|_| succeeded).map(|seconds| (job, seconds * 1e3)))
}
