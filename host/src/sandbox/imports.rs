//! What a check may call: each interface, as a run's state answers it.

mod log;
mod network;
pub(super) mod wasi;
