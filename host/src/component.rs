//! A component's file in, its bytes and their digest out. Refuses what cannot be read; whether it is a usable check, the
//! sandbox says.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::Path,
};

use ring::digest::{SHA256, digest};

use crate::sandbox::limits::COMPONENT_BYTES;

/// What a file holds.
pub struct File {
    /// The file's bytes; of a larger file than the sandbox takes, enough for it to see that.
    pub wasm: Vec<u8>,
    /// SHA-256 of them, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// Reads a file once: what is digested is what runs.
pub fn read(path: &Path) -> io::Result<File> {
    let mut wasm = Vec::new();
    fs::File::open(path)?.take(COMPONENT_BYTES as u64 + 1).read_to_end(&mut wasm)?;
    let mut sha256 = String::new();
    for byte in digest(&SHA256, &wasm).as_ref() {
        let _infallible = write!(sha256, "{byte:02x}");
    }
    Ok(File { wasm, sha256 })
}
