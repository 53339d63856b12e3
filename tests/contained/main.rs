//! Whatever a check does, nothing else is harmed: hostile components, each in a round with fifty good jobs beside it, and a
//! thousand rounds of them all in one process.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that breaks is to say where")]

mod components;
mod dear;
mod endpoints;
mod loading;
mod names;
mod parts;
mod process;
mod running;
mod servers;
mod soak;
mod threads;
mod validating;
mod yard;
