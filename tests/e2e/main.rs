//! End to end: the real binary against scripted, misbehaving and real servers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that breaks is to say where, and one that is skipped to say so"
)]

mod agent;
mod certificates;
mod command_line;
mod crowds;
mod deployment;
mod environment;
mod examples;
mod exim;
mod frozen;
mod handshakes;
mod influx;
mod kit;
mod layers;
mod mail_servers;
mod mails;
mod names;
mod parts;
mod readme;
mod security;
mod shards;
mod telegraf;
mod third_party;
mod thousands;
