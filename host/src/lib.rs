//! Sonde's host: runs sandboxed checks for a monitoring agent and prints InfluxDB line protocol.
//!
//! config → job → schedule → sandbox ⇄ net → report → alarm → point → line → output

pub mod alarm;
pub mod catalogue;
pub mod check;
pub mod cli;
pub mod config;
pub mod conformance;
#[cfg(feature = "demo")]
pub mod demo;
pub mod describe;
pub mod description;
pub mod digest;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod grant;
pub mod host;
pub mod job;
pub mod kit;
pub mod line;
pub mod measured;
pub mod memory;
pub mod net;
pub mod outcome;
pub mod output;
pub mod point;
mod regular;
pub mod report;
pub mod restraint;
pub mod sandbox;
pub mod schedule;
pub mod secret;
pub mod span;
pub mod text;
mod thread_stack;
pub mod tls_rules;
pub mod value;
pub mod waterfall;
pub mod workers;
