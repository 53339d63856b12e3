//! The interface in `wit/`, generated. Nothing is written by hand here, so that lints hold everywhere else.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated code"
)]

wit_bindgen::generate!({ path: "../wit", world: "checker", default_bindings_module: "crate::bindings" });
