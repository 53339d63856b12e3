//! Waits that end: a moment and what is waited for in; what came of it, or that the time is over, out. What had come by then is
//! seen, however late we are.

use std::{pin::Pin, time::Instant};

use tokio::{
    task::yield_now,
    time::{error::Elapsed, timeout_at},
};

/// Waits no longer than until then.
pub(super) async fn until<T>(
    deadline: Instant,
    mut wait: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    if let Ok(came) = timeout_at(deadline.into(), wait.as_mut()).await {
        return Ok(came);
    }
    // When a stopped process goes on, its question what has come is interrupted, and the runtime knows of the clock alone. Now it
    // asks again.
    yield_now().await;
    timeout_at(deadline.into(), wait).await
}
