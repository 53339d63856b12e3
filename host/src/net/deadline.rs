//! Waits that end: a moment and what is waited for in; what came of it, or that the time is over, out. What had come by that moment
//! counts, however late it is looked at. What came after it is then taken with it, for of the bytes of one read only the last have a
//! time stamp.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use tokio::{
    task::yield_now,
    time::{error::Elapsed, timeout, timeout_at},
};

/// Whoever looks so long behind a moment was stopped, or waited for a machine that is too busy; and so did all others that what
/// came has to go through, such as a look-up's own task.
pub(super) const LATE: Duration = Duration::from_millis(50);
/// What they get then.
const MOMENT: Duration = Duration::from_millis(20);

/// Waits no longer than until then.
pub(super) async fn until<T>(
    deadline: Instant,
    mut wait: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    if let Ok(came) = timeout_at(deadline.into(), wait.as_mut()).await {
        return Ok(came);
    }
    // When a stopped process goes on, its question what has come is interrupted, and the runtime knows of the clock alone. Now it
    // asks again. And what gives way to others on its way has its turn.
    yield_now().await;
    timeout(if deadline.elapsed() < LATE { Duration::ZERO } else { MOMENT }, wait).await
}
