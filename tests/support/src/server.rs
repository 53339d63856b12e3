//! Servers: processes that end with their test, and one that says a line.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

/// A port that nobody listens on, for a server that is about to.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A port of all IPv4 addresses that refuses connections, and that nobody else is given while the socket is held.
pub fn refusing() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// A server that says a line and closes; gives its port.
pub fn greeter(line: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // The other side may have left.
            drop(stream.and_then(|mut stream| stream.write_all(format!("{line}\r\n").as_bytes())));
        }
    });
    port
}

/// A server that ends with its test.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM first: master processes end their own children on it.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ended_already: nix::Result<()> = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        for _ in 0..50 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a server and waits until a port of it answers.
pub fn start(command: &mut Command, port: u16) -> Server {
    let mut server = spawn(command);
    listening(&mut server, port);
    server
}

/// Starts a server.
pub fn spawn(command: &mut Command) -> Server {
    Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Waits until a port of it answers.
pub fn listening(server: &mut Server, port: u16) {
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < until, "nobody listens on {port}: {:?}", server.0.try_wait());
        thread::sleep(Duration::from_millis(50));
    }
}
