//! What the tests have in common: the binary and its lines, jobs, certificates, servers, components. A failure panics and says
//! where.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::print_stderr,
    reason = "a test that breaks is to say where, and whoever ignores a line sees that"
)]

pub mod agent;
pub mod certificates;
mod command;
mod component;
mod job;
pub mod name_server;
mod point;
mod server;
mod skip;

pub use self::{
    command::{binary, run, run_text, sonde, stderr, stdout, succeed, with_path},
    component::{authors, component, hostile, root},
    job::Job,
    point::{FieldText, Point, points},
    server::{Server, free_port, greeter, listening, refusing, spawn, start},
    skip::{program, say_skipped, skip},
};
