//! One connection, as a run holds it: calls in; what comes of them out. TLS computes on the stack of the thread, where a run that
//! waits keeps nothing of it; a call that is dropped meanwhile has the stream, and those behind it are refused.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    error::{Fault, NetError, Tried},
    run::Run,
    stream::{Opened, Received, Secured, Stream},
};

/// One connection.
pub struct Connection {
    opened: Opened,
    /// None: a call was given up while it had it.
    pub(super) stream: Option<Box<Stream>>,
    peer: SocketAddr,
    passed: Vec<SocketAddr>,
    run: Arc<Run>,
}

impl Connection {
    /// `passed`: other addresses of the name, for which time went by before this one was there.
    pub(super) fn new(stream: Stream, peer: SocketAddr, passed: Vec<SocketAddr>, run: Arc<Run>) -> Self {
        Self { opened: stream.opened(), stream: Some(Box::new(stream)), peer, passed, run }
    }

    /// Other addresses of the name, for which time went by before this one was there: who only looks at what succeeds would not learn
    /// that a half of it is dead.
    #[must_use]
    pub fn passed(&self) -> &[SocketAddr] {
        &self.passed
    }

    /// How it came about.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// Does a handshake by the endpoint's rules. Unread plaintext refuses it: someone may have injected it.
    pub async fn start_tls(&mut self) -> Result<Secured, NetError> {
        self.apart(|mut stream| async move { (stream.start_tls().await, stream) }).await
    }

    /// Waits for at most `max` bytes, and no longer than `wait`. Before TLS a read ends behind the first line feed, so that what
    /// stands behind the answer to STARTTLS stays here, where [`Self::start_tls`] sees it.
    pub async fn read(&mut self, max: usize, wait: Option<Duration>) -> Result<Received, NetError> {
        match self.plain() {
            Some(stream) => stream.read(max, wait).await,
            None => self.apart(move |mut stream| async move { (stream.read(max, wait).await, stream) }).await,
        }
    }

    /// Gives at most `max` of the bytes that are there already, as [`Self::read`] does, or the error that nothing is.
    pub async fn look(&mut self, max: usize) -> Result<Received, NetError> {
        match self.plain() {
            Some(stream) => stream.look(max).await,
            None => self.apart(move |mut stream| async move { (stream.look(max).await, stream) }).await,
        }
    }

    /// Sends all of `bytes`; gives the moment at which the first of them was handed to the kernel. Refuses to send any of them
    /// where another endpoint's secret is whole with them.
    pub async fn write(&mut self, bytes: impl Into<Vec<u8>>) -> Result<Duration, NetError> {
        let bytes = bytes.into();
        match self.plain() {
            Some(stream) => stream.write(&bytes).await,
            None => self.apart(move |mut stream| async move { (stream.write(&bytes).await, stream) }).await,
        }
    }

    /// Where nothing is encrypted, little is computed.
    fn plain(&mut self) -> Option<&mut Stream> {
        self.stream.as_deref_mut().filter(|stream| !stream.is_secured())
    }

    async fn apart<T: Send + 'static, F>(
        &mut self,
        work: impl FnOnce(Box<Stream>) -> F + Send + 'static,
    ) -> Result<T, NetError>
    where
        F: Future<Output = (Result<T, NetError>, Box<Stream>)> + Send + 'static,
    {
        let given_up = || NetError::new(Tried::Exchange(self.peer), Fault::CallGivenUp);
        let stream = self.stream.take().ok_or_else(given_up)?;
        let (came, stream) = self.run.thread_stack.run(move || work(stream)).await;
        self.stream = Some(stream);
        came
    }
}
