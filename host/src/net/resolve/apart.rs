//! What may wait for a disk, or for a name server in the system's own way: a function in; what it gives, out. It runs on a thread of its
//! own, and so many of a kind at once, whoever waits for them still. Refuses where no thread is to be had.

use std::{io, thread};

use tokio::sync::{Semaphore, oneshot};

use crate::text;

/// On a thread of its own, where there may be one more of its line.
pub(super) async fn apart<T: Send + 'static>(
    line: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let turn = line.acquire().await;
    let (done, result) = oneshot::channel();
    // The runtime's own would panic where none begins.
    let begun = thread::Builder::new().spawn(move || {
        let _turn = turn;
        drop(done.send(work()));
    });
    begun.map_err(|error| io::Error::other(text::no_thread(&error)))?;
    result.await.map_err(|_panicked| io::Error::other("the host failed over it; its log has the place"))
}
