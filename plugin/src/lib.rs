//! The SMTP probe: a check component that tests a mail server by opening a session or by sending a mail.
//!
//! parameters → session (greeting, EHLO, TLS, AUTH, mail) over a transport → report. Only `component` knows wasm, so that
//! the dialogue can be tested natively over a scripted transport.

pub mod auth;
#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod component;
pub mod describe;
pub mod error;
pub mod field;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod mail;
pub mod message;
pub mod parameters;
pub mod queue_id;
pub mod reply;
pub mod report;
pub mod session;
mod table;
pub mod transport;
