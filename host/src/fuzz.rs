//! The targets of `cargo fuzz`, see the folder `fuzz`: any bytes in; a panic out where a promise is broken. Their short form
//! runs with the other tests.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a broken promise is to end the program"
)]

mod cache;
mod configuration;
mod description;
#[path = "../../tests/fuzz/input.rs"]
mod input;
mod line;
mod stream;

pub use self::{
    cache::cache, configuration::configuration, description::description, line::line, stream::stream,
};

#[cfg(test)]
mod tests {
    use super::input::run;

    const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/");

    #[test]
    fn nothing_is_loaded_from_the_cache_but_what_was_stored() {
        run(&format!("{SEEDS}cache"), 2_000, super::cache);
    }

    #[test]
    fn any_text_is_a_configuration_or_is_refused() {
        run(&format!("{SEEDS}configuration"), 20_000, super::configuration);
    }

    #[test]
    fn any_description_can_be_used_or_is_refused() {
        run(&format!("{SEEDS}description"), 50_000, super::description);
    }

    #[test]
    fn whatever_is_said_a_line_is_one_point_without_a_secret() {
        run(&format!("{SEEDS}line"), 10_000, super::line);
    }

    #[test]
    fn whatever_a_tls_peer_does_the_stream_ends_and_has_only_what_it_sent() {
        run(&format!("{SEEDS}stream"), 2_000, super::stream);
    }
}
