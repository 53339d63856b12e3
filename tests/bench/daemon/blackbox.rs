//! Prometheus' `blackbox_exporter`: its TCP prober, asked over HTTP as Prometheus would.

use std::{
    fmt::Write as _,
    fs, io,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    runtime::Runtime,
};

use support::{Server, free_port, listening, program};

use crate::{Connection, all, mail::NAME, process::cpu_time};

pub(crate) struct Blackbox {
    process: Server,
    port: u16,
}

impl Blackbox {
    /// Verifies the server's certificate where there is one, by `ca.pem` in that folder.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let program = program("prometheus-blackbox-exporter", &["/usr/bin/prometheus-blackbox-exporter"])?;
        let mut config = "modules:\n".to_owned();
        for connection in Connection::ALL {
            let name = connection.name();
            write!(config, "  {name}:\n    prober: tcp\n    timeout: 10s\n    tcp:\n").unwrap();
            config.push_str("      preferred_ip_protocol: ip4\n");
            writeln!(config, "      tls: {}", connection == Connection::Tls).unwrap();
            let authority = folder.join("ca.pem");
            write!(config, "      tls_config:\n        ca_file: {}\n", authority.display()).unwrap();
            write!(config, "        server_name: {NAME}\n      query_response:\n").unwrap();
            let mut exchange = |expect: &str, send: &str| {
                // It sends a line feed behind what it sends.
                write!(config, "      - expect: \"^{expect}\"\n        send: \"{send}\\r\"\n").unwrap();
            };
            exchange("220 ", "EHLO bench.invalid");
            if connection == Connection::StartTls {
                exchange("250 STARTTLS", "STARTTLS");
                config.push_str("      - expect: \"^220 \"\n      - starttls: true\n");
                config.push_str("      - send: \"EHLO bench.invalid\\r\"\n");
            }
            config.push_str(
                "      - expect: \"^250 AUTH\"\n        send: \"QUIT\\r\"\n      - expect: \"^221 \"\n",
            );
        }
        let file = folder.join("blackbox.yml");
        fs::write(&file, config).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command.arg("--config.file").arg(file).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut process = Server(child);
        listening(&mut process, port);
        Some(Self { process, port })
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.0.id()
    }

    /// What it computed for it.
    pub(crate) fn round(&self, runtime: &Runtime, connection: Connection, server: u16) -> Duration {
        let before = cpu_time(self.process());
        all(runtime, |sessions| probe(sessions, self.port, connection, server));
        cpu_time(self.process()).saturating_sub(before)
    }
}

/// Over one connection, as Prometheus has it.
async fn probe(sessions: usize, port: u16, connection: Connection, server: u16) -> io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
    let name = connection.name();
    let get = format!("GET /probe?target=127.0.0.1:{server}&module={name} HTTP/1.1\r\nHost: bench\r\n\r\n");
    for _ in 0..sessions {
        stream.get_mut().write_all(get.as_bytes()).await?;
        let (mut length, mut is_chunked, mut line) = (0, false, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let header = line.to_ascii_lowercase();
            is_chunked |= header.starts_with("transfer-encoding: chunked");
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        while is_chunked {
            line.clear();
            stream.read_line(&mut line).await?;
            let chunk = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let mut bytes = vec![0; chunk + 2];
            stream.read_exact(&mut bytes).await?;
            body.extend(bytes);
            is_chunked = chunk > 0;
        }
        if !String::from_utf8_lossy(&body).contains("\nprobe_success 1") {
            return Err(io::Error::other(String::from_utf8_lossy(&body).into_owned()));
        }
    }
    Ok(())
}
