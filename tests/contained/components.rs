//! Small hostile components in WAT, made on the spot.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding};

use support::root;

/// What a component in WAT does besides describing itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wat<'a> {
    /// Imports of the module: of a resource type of its own.
    pub(crate) imports: &'static str,
    /// Further parts of the module.
    pub(crate) parts: &'a str,
    /// Before memory is handed to the host.
    pub(crate) realloc: &'static str,
    /// Before the report.
    pub(crate) run: &'static str,
    /// After the report was read.
    pub(crate) post_return: &'static str,
    /// The report as it lies in memory; empty: success, without fields.
    pub(crate) report: &'static [u8],
}

/// Where the parts of the description and of the report lie.
const DESCRIPTION: u32 = 1024;
const PARAMETER: u32 = 1200;
const TEXTS: u32 = 1300;
const REPORT: u32 = 1400;
/// Zeros: no refusal.
const ACCEPTED: u32 = 1600;

/// A check in WAT that announces nothing but its port.
pub(crate) fn wat(measurement: &str, wat: Wat<'_>) -> Vec<u8> {
    // The canonical ABI's layout: a text or list is a pointer and a length.
    let pair = |at: u32, length: u32| [at.to_le_bytes(), length.to_le_bytes()].concat();
    let name_bytes = u32::try_from(measurement.len()).unwrap();
    let texts = format!("port25{measurement}");
    let (port, number, measurement) = (pair(TEXTS, 4), pair(TEXTS + 4, 2), pair(TEXTS + 6, name_bytes));
    let none = pair(0, 0);
    // It is called `port` as well.
    let parameters = pair(PARAMETER, 1);
    let mut description = [&port[..], &port, &measurement, &none, &parameters].concat();
    // No fields, tags, endpoints, parts, errors.
    description.extend(none.repeat(5));
    // Kind `port`, not required, a default; no conditional defaults, no choices; not of a single line, of no endpoint, no doc.
    let mut parameter = [&port[..], &[9, 0, 0, 0], &[1, 0, 0, 0], &number, &none, &none].concat();
    parameter.extend([&[0; 4][..], &[0; 4], &none, &none].concat());
    let data = |at: u32, bytes: &[u8]| {
        let mut text = format!("(data (i32.const {at}) \"");
        for byte in bytes {
            write!(text, "\\{byte:02x}").unwrap();
        }
        text + "\")"
    };
    let Wat { imports, parts, realloc, run, post_return, report } = wat;
    let text = format!(
        r#"(module
          {imports}
          (memory (export "memory") 1)
          {} {} {} {}
          (global $top (mut i32) (i32.const 8192))
          (func $loop (loop $again (br $again)))
          (func $recurse (param i32) (result i32) (i32.add (i32.const 1) (call $recurse (local.get 0))))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            {realloc}
            (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
            (global.set $top (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
          (func (export "sonde:check/check@0.1.0#describe") (result i32) (i32.const {DESCRIPTION}))
          (func (export "sonde:check/check@0.1.0#validate")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i64 i32 i32) (result i32)
            (i32.const {ACCEPTED}))
          (func (export "sonde:check/check@0.1.0#run")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i64 i32 i32) (result i32)
            {run}
            (i32.const {REPORT}))
          (func (export "cabi_post_sonde:check/check@0.1.0#run") (param i32) {post_return})
          {parts})"#,
        data(DESCRIPTION, &description),
        data(PARAMETER, &parameter),
        data(TEXTS, texts.as_bytes()),
        data(REPORT, report),
    );
    encode(
        wat::parse_str(text).unwrap(),
        if imports.is_empty() { "sonde:check/checker" } else { "harm:harm/owner" },
    )
}

/// A check that has a resource type of its own besides.
const OWNER: &str = "package harm:harm; interface things { resource thing; }
    world owner { include sonde:check/checker@0.1.0; export things; }";
/// What such a check's module imports.
pub(crate) const OWN_IMPORTS: &str = r#"
    (import "[export]harm:harm/things" "[resource-new]thing" (func $new (param i32) (result i32)))
    (import "[export]harm:harm/things" "[resource-drop]thing" (func $drop (param i32)))"#;

/// Makes a core module that exports a world's functions a component.
fn encode(mut module: Vec<u8>, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let (interface, _) = resolve.push_dir(root().join("wit")).unwrap();
    let owner = resolve.push_str("harm.wit", OWNER).unwrap();
    let world = resolve.select_world(&[interface, owner], Some(world)).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// A check that also instantiates its own module this often more, each time with a memory and what else is in it.
pub(crate) fn instances(count: u16, parts: &str) -> Vec<u8> {
    let mut wasm = wat("instances", Wat { parts, ..Wat::default() });
    // A section of core instances: each instantiates module 0, with nothing to import.
    let each = [0, 0, 0].repeat(usize::from(count));
    let number = leb128(count);
    let length = leb128(u16::try_from(number.len() + each.len()).unwrap());
    wasm.push(2);
    wasm.extend([length, number, each].concat());
    wasm
}

/// A check in which a component with a resource type stands, in one that instantiates it twice, in one that … so many times.
pub(crate) fn doubled(times: u32) -> Vec<u8> {
    const BEGIN: &[u8] = b"\0asm\x0d\0\x01\0";
    let section = |number: u8, bytes: &[u8]| {
        let length = leb128(u16::try_from(bytes.len()).unwrap());
        [&[number][..], &length, bytes].concat()
    };
    let mut inner = [BEGIN, &section(7, &[1, 0x3f, 0x7f, 0])].concat();
    for _ in 0..times {
        inner = [BEGIN, &section(4, &inner), &section(5, &[2, 0, 0, 0, 0, 0, 0])].concat();
    }
    let mut wasm = wat("doubled", Wat::default());
    wasm.extend(section(4, &inner));
    // Behind the one that the encoder makes for the interface.
    wasm.extend(section(5, &[1, 0, 1, 0]));
    wasm
}

fn leb128(number: u16) -> Vec<u8> {
    let [low, middle, high] =
        [number & 0x7f, number >> 7 & 0x7f, number >> 14].map(|part| part.to_le_bytes()[0]);
    vec![low | 0x80, middle | 0x80, high]
}
