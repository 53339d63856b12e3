//! From a component to a usable check: refuses an import that is not on the list, another version of the interface, and a
//! description that contradicts itself or is not the pinned one. It gets no network meanwhile.

use std::sync::Arc;

use tokio::time::timeout;
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

use super::{
    bindings::{Checker, CheckerPre},
    compile::Loaded,
    contradiction::Contradiction,
    convert,
    cpu::Crowd,
    error::{LoadError, chain},
    imports::wasi,
    limits::{self, Limits},
    log::Log,
    program::{Program, SMTP},
    source::Pinned,
    state::{HasState, State},
    store::{failure, store},
};
use crate::{description::Description, secret::Secrets, text};

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

/// Where a program comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// This program.
    BuiltIn,
    /// A file of somebody's: it may use up this much.
    File(Limits),
}

/// The version of WASI that there is: another one's import of the same name is another interface.
const WASI: (&str, &str) = ("wasi:", "@0.2.");

fn is_allowed(import: &str) -> bool {
    let (package, version) = WASI;
    let known = IMPORTS.iter().any(|(allowed, _)| import.starts_with(allowed));
    known && (!import.starts_with(package) || import.contains(version))
}

/// Refuses what is not on the list; gives the names.
fn imports(component: &Component, engine: &Engine) -> Result<Vec<String>, LoadError> {
    let shape = component.component_type();
    let named = shape.imports(engine).map(|(name, _)| name);
    for name in named.chain(shape.exports(engine).map(|(name, _)| name)) {
        if let Some((_, version)) = name.strip_prefix(INTERFACE).and_then(|name| name.split_once('@'))
            && !version.starts_with(COMPATIBLE)
        {
            return Err(LoadError::Version(version.to_owned()));
        }
    }
    let mut imports = Vec::new();
    for (import, _) in shape.imports(engine) {
        if !is_allowed(import) {
            return Err(LoadError::Import(text::clean(import)));
        }
        imports.push(import.to_owned());
    }
    Ok(imports)
}

/// Links a component and lets it describe itself.
pub(super) async fn program(
    engine: &Engine,
    crowd: &Crowd,
    name: &str,
    loaded: Loaded,
    origin: Origin,
) -> Result<Program, LoadError> {
    let Loaded { component, sha256 } = loaded;
    let imports = imports(&component, engine)?;
    let broken = |error: wasmtime::Error| LoadError::Component(chain(&error));
    let mut linker = Linker::new(engine);
    Checker::add_to_linker::<State, HasState>(&mut linker, |state| state).map_err(broken)?;
    let (limits, is_file) = match origin {
        Origin::BuiltIn => {
            // Its language's library links what it never calls.
            linker.define_unknown_imports_as_traps(&component).map_err(broken)?;
            (Limits::default(), false)
        }
        Origin::File(limits) => {
            wasi::link(&mut linker).map_err(broken)?;
            (limits, true)
        }
    };
    let pre = CheckerPre::new(linker.instantiate_pre(&component).map_err(broken)?).map_err(broken)?;
    let described = describe(engine, crowd, name, &pre, limits.log_lines).await?;
    // No other check writes the built-in one's lines.
    if is_file && described.measurement == SMTP {
        return Err(LoadError::Description(Contradiction::MeasurementOfBuiltIn(described.measurement)));
    }
    Ok(Program { pre, description: Arc::new(described), imports, sha256, limits })
}

/// Refuses what the operator has not looked at.
pub(super) fn is_pinned(described: &Description, pinned: &Pinned) -> Result<(), LoadError> {
    let sha256 = described.sha256();
    if !pinned.description_sha256.eq_ignore_ascii_case(&sha256) {
        return Err(LoadError::DescriptionDigest(sha256));
    }
    if pinned.measurement != described.measurement {
        return Err(LoadError::Measurement(described.measurement.clone()));
    }
    Ok(())
}

/// What a component says is a function of its bytes: it sees no clock and no chance, cannot wait, and gets the same limits
/// wherever it is.
async fn describe(
    engine: &Engine,
    crowd: &Crowd,
    name: &str,
    pre: &CheckerPre<State>,
    log_lines: u32,
) -> Result<Description, LoadError> {
    let log = Log::new(format!("check {name}"), Secrets::default(), log_lines);
    let limits = Limits { cpu_time: limits::DESCRIBE_CPU_TIME, ..Limits::default() };
    let state = State::describing(limits, log);
    let meter = state.meter.clone();
    let mut store = store(engine, state, crowd);
    store.set_hostcall_fuel(limits::DESCRIPTION_BYTES);
    let described = meter.count(timeout(limits::DESCRIBE_TIME, async {
        let check = pre.instantiate_async(&mut store).await?;
        check.sonde_check_check().call_describe(&mut store).await
    }));
    let described = match described.await {
        Ok(Ok(described)) => described,
        Ok(Err(error)) => return Err(LoadError::Describe(failure(&error, store.data()).text)),
        Err(_late) => {
            return Err(LoadError::Describe(format!("nothing within {:?}", limits::DESCRIBE_TIME)));
        }
    };
    convert::description(described).map_err(LoadError::Description)
}
