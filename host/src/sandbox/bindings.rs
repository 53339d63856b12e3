//! Generated from `wit/`: the only place that names the generator.

#![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "checker",
    imports: { default: async | trappable },
    exports: { default: async },
    // The built-in check's description, which the build script writes.
    additional_derives: [serde::Deserialize],
    with: { "sonde:check/network.connection": crate::net::Connection },
});
