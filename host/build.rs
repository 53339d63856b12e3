//! Compiles the SMTP probe ahead of time with the wasmtime that the host runs, and lets it describe itself, so that the host starts
//! in milliseconds.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Number, Value as Json};
use wasmtime::{
    Engine, Store,
    component::{Component, Linker, Val},
};

#[path = "src/sandbox/engine.rs"]
mod engine;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let lock = manifest.join("../Cargo.lock");
    for input in [&lock, &manifest.join("src/sandbox/engine.rs")] {
        println!("cargo:rerun-if-changed={}", input.display());
    }

    let version = engine_version(&lock)?;
    println!("cargo:rustc-env=SONDE_ENGINE_VERSION={version}");

    let mut config = engine::config(&version);
    // Also for a host without a compiler, whose engine has no such setting.
    config.cranelift_nan_canonicalization(true);
    // Not the features of the machine that builds, but those of every machine of its kind.
    let target = env::var("TARGET")?;
    config.target(&target)?;
    let engine = Engine::new(&config)
        .map_err(|error| format!("for {target} it is to be built on a machine of that kind ({error})"))?;
    let compiled = engine.precompile_component(sonde_smtp_component::WASM)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("smtp.cwasm"), compiled)?;
    fs::write(out.join("smtp.json"), describe(sonde_smtp_component::WASM)?.to_string())?;
    Ok(())
}

/// What a component says of itself, as the host's generated types are read.
fn describe(wasm: &[u8]) -> Result<Json, Box<dyn Error>> {
    // For the machine that builds.
    let engine = Engine::default();
    let component = Component::from_binary(&engine, wasm)?;
    let mut linker = Linker::<()>::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let shape = component.component_type();
    let mut exports = shape.exports(&engine).map(|(name, _)| name);
    let check = exports.find(|name| name.starts_with("sonde:check/check@")).ok_or("it exports no check")?;
    let check = instance.get_export_index(&mut store, None, check).ok_or("it exports no check")?;
    let describe = instance.get_export_index(&mut store, Some(&check), "describe").ok_or("no `describe`")?;
    let describe = instance.get_func(&mut store, describe).ok_or("`describe` is no function")?;
    let mut described = [Val::Bool(false)];
    describe.call(&mut store, &[], &mut described)?;
    let [described] = described;
    json(described)
}

fn json(value: Val) -> Result<Json, Box<dyn Error>> {
    Ok(match value {
        Val::Bool(value) => value.into(),
        Val::U32(value) => value.into(),
        Val::S64(value) => value.into(),
        Val::Float64(value) => Number::from_f64(value).ok_or("a number that is none")?.into(),
        Val::String(value) => value.into(),
        Val::Enum(case) | Val::Variant(case, None) => camel(&case).into(),
        Val::List(values) => values.into_iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        Val::Record(fields) => {
            let fields = fields.into_iter().map(|(name, value)| Ok((name.replace('-', "_"), json(value)?)));
            fields.collect::<Result<Map<_, _>, Box<dyn Error>>>()?.into()
        }
        Val::Variant(case, Some(value)) => Map::from_iter([(camel(&case), json(*value)?)]).into(),
        Val::Option(None) => Json::Null,
        Val::Option(Some(value)) => json(*value)?,
        other => return Err(format!("a description has no {other:?}").into()),
    })
}

/// `text-list` is `TextList`.
fn camel(name: &str) -> String {
    let capital =
        |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    name.split('-').map(capital).collect()
}

/// wasmtime itself only compares major versions; code from before a fix must not be loaded after it.
fn engine_version(lock: &Path) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(lock)?;
    let mut lines = text.lines().skip_while(|line| *line != "name = \"wasmtime\"").skip(1);
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("version = \""))
        .and_then(|line| line.strip_suffix('"'));
    Ok(format!("sonde-1-wasmtime-{}", version.ok_or("Cargo.lock names no wasmtime")?))
}
