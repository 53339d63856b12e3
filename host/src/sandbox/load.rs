//! From a component to a usable check: refuses an import that is not on the list, another version of the interface, and a
//! description that contradicts itself or is not the pinned one. It gets no network meanwhile.

use std::sync::Arc;

use wasmtime::{
    Engine,
    component::{Component, Linker},
};

use super::{
    bindings::{Checker, CheckerPre},
    compile::Code,
    contradiction::Contradiction,
    convert,
    cpu::Crowd,
    error::{INTERFACE_VERSION, LoadError, chain},
    imports::wasi,
    in_place,
    limits::Limits,
    program::{Program, SMTP},
    source::Pinned,
    state::{HasState, State},
    timeless,
};
use crate::{
    description::{Description, is_within},
    text,
};

/// What the versions that mean the same begin with: see `wit/README.md`.
const COMPATIBLE: &str = "0.1.";
const INTERFACE: &str = "sonde:check/";

/// What a component may import, by the beginning of the name, and what it gets, in plain words. Of WASI, version 0.2.
pub(crate) const IMPORTS: &[(&str, &str)] = &[
    ("sonde:check/network@", "network through the host, to what the job grants"),
    ("sonde:check/check@", "types"),
    ("sonde:check/log@", "lines in the log"),
    ("wasi:cli/environment@", "no variables, no arguments"),
    ("wasi:cli/exit@", "the end of its run"),
    ("wasi:cli/stdin@", "nothing to read"),
    ("wasi:cli/stdout@", "lines in the log"),
    ("wasi:cli/stderr@", "lines in the log"),
    ("wasi:cli/terminal-", "no terminal"),
    ("wasi:clocks/monotonic-clock@", "clock, waiting included"),
    ("wasi:clocks/wall-clock@", "clock"),
    ("wasi:filesystem/", "no files"),
    ("wasi:io/", "types, and waiting"),
    ("wasi:random/", "random bytes"),
    ("wasi:sockets/", "no sockets, no name look-up"),
];

/// The version of WASI that there is: another one's import of the same name is another interface.
const WASI: (&str, &str) = ("wasi:", "@0.2.");

fn is_allowed(import: &str) -> bool {
    let (package, version) = WASI;
    let known = IMPORTS.iter().any(|(allowed, _)| import.starts_with(allowed));
    known && (!import.starts_with(package) || import.contains(version))
}

/// The last number of a compatible version, which counts what was added.
fn additions(version: &str) -> u64 {
    version.strip_prefix(COMPATIBLE).and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Refuses what is not on the list; gives the names, and the version of the interface where that is later than the host's.
fn imports(component: &Component, engine: &Engine) -> Result<(Vec<String>, Option<String>), LoadError> {
    let shape = component.component_type();
    let mut later = None;
    let named = shape.imports(engine).map(|(name, _)| name);
    for name in named.chain(shape.exports(engine).map(|(name, _)| name)) {
        let of_ours = name.strip_prefix(INTERFACE).and_then(|name| name.split_once('@'));
        let Some((_, version)) = of_ours else { continue };
        if !version.starts_with(COMPATIBLE) {
            return Err(LoadError::Version(version.to_owned()));
        }
        if additions(version) > additions(INTERFACE_VERSION) {
            later = Some(version.to_owned());
        }
    }
    let mut imports = Vec::new();
    for (import, _) in shape.imports(engine) {
        if !is_allowed(import) {
            let name = text::clean(import);
            return Err(match later.filter(|_| import.starts_with(INTERFACE)) {
                Some(version) => LoadError::Later(version, name),
                None => LoadError::Import(name),
            });
        }
        imports.push(import.to_owned());
    }
    Ok((imports, later))
}

/// Links a component and lets it describe itself.
pub(super) async fn program(
    engine: &Engine,
    crowd: &Crowd,
    name: &str,
    loaded: Code,
    limits: Limits,
) -> Result<Program, LoadError> {
    let Code { component, pooled, sha256 } = loaded;
    let is_file = sha256.is_some();
    let (imports, later) = imports(&component, engine)?;
    let broken = |error: wasmtime::Error| LoadError::Component(chain(&error));
    let pre = linked(&component, is_file).map_err(|error| match later {
        Some(version) => LoadError::Later(version, chain(&error)),
        None => broken(error),
    })?;
    let described = if is_file {
        let described = timeless::describe(crowd, name, &pre, limits.log_lines).await;
        described.map_err(|failure| LoadError::Describe(failure.text))?
    } else {
        in_place::described().map_err(|error| LoadError::Describe(error.to_string()))?
    };
    let described = convert::description(described).map_err(LoadError::Description)?;
    // No other check writes the built-in one's lines, nor what could be those of its parts.
    if is_file && is_within(&described.measurement, SMTP) {
        return Err(LoadError::Description(Contradiction::MeasurementOfBuiltIn(described.measurement)));
    }
    let pooled = match pooled {
        Some(component) => tried(&component, is_file, crowd, name).await,
        None => None,
    };
    Ok(Program { pre, pooled, description: Arc::new(described), imports, sha256, limits })
}

/// Links it where there are places, and lets it begin there once: what is made with the first instance, such as a file of what its
/// memory begins with, is there for all then. None: it runs elsewhere, whatever went wrong.
async fn tried(component: &Component, is_file: bool, crowd: &Crowd, name: &str) -> Option<CheckerPre<State>> {
    let pre = linked(component, is_file).ok()?;
    timeless::describe(crowd, name, &pre, 0).await.ok()?;
    Some(pre)
}

fn linked(component: &Component, is_file: bool) -> wasmtime::Result<CheckerPre<State>> {
    let mut linker = Linker::new(component.engine());
    Checker::add_to_linker::<State, HasState>(&mut linker, |state| state)?;
    // The built-in check imports none of it.
    if is_file {
        wasi::link(&mut linker)?;
    }
    CheckerPre::new(linker.instantiate_pre(component)?)
}

/// Refuses what the operator has not looked at.
pub(super) fn is_pinned(described: &Description, pinned: &Pinned) -> Result<(), LoadError> {
    let sha256 = described.sha256();
    if pinned.description_sha256 != sha256 {
        return Err(LoadError::DescriptionDigest(sha256));
    }
    if pinned.measurement != described.measurement {
        return Err(LoadError::Measurement(described.measurement.clone()));
    }
    Ok(())
}
