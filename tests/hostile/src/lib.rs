//! A check that does harm in the way its parameter `harm` names, in a run or while it judges a job; while it describes itself, in
//! the way that the word names which the tests write into the component: calls in; descriptions, refusals and reports out, or none.

#![cfg(target_family = "wasm")]
#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code, and harm"
)]

mod describing;
mod parts;
mod running;
mod validating;

wit_bindgen::generate!({ path: "../../wit", world: "checker" });

use exports::sonde::check::check::{Description, Guest, Job, Refusal, Report};

struct Component;

export!(Component);

impl Guest for Component {
    fn describe() -> Description {
        describing::describe()
    }

    fn validate(job: Job) -> Vec<Refusal> {
        validating::validate(job)
    }

    fn run(job: Job) -> Report {
        running::run(job)
    }
}

/// Fields of text that mode `texts` announces.
pub(crate) const TEXTS: usize = 90;

/// So many bytes of the host's.
pub(crate) fn random(bytes: u64) -> Vec<u8> {
    wasip2::random::random::get_random_bytes(bytes)
}
