//! What a compiler is spared: a component's bytes in; nothing out, or what of it is beyond all that toolchains make. Small
//! components can be dear to compile: what costs is how deep code is nested, how many variables live over how many branches,
//! and how large a single function is.

use std::fmt;

use wasmtime::wasmparser::{FunctionBody, Operator, Parser, Payload};

/// Depth of the blocks of a function. Of this and of what follows, checks in Python and JavaScript have less than a fifth.
const NESTING: u32 = 5_000;
/// Local variables of a function.
const LOCALS: u64 = 5_000;
/// Local variables of a function times its branch targets.
const FLOW: u64 = 2_000_000;
/// Bytes of a function.
const FUNCTION_BYTES: usize = 4 << 20;
/// Functions of a component.
const FUNCTIONS: u32 = 100_000;
/// Types of a component.
const TYPES: u32 = 20_000;
/// Modules and components in a component.
const PARTS: u32 = 200;

/// What there is too much of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Excess {
    /// Blocks in blocks of a function.
    Nesting,
    /// Local variables of a function.
    Locals,
    /// Local variables times branch targets of a function: the compiler follows each to each.
    Flow,
    /// Bytes of a function.
    Function,
    /// Functions.
    Functions,
    /// Types.
    Types,
    /// Modules and components in it.
    Parts,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nesting => write!(f, "a function is nested deeper than {NESTING}"),
            Self::Locals => write!(f, "a function has more than {LOCALS} local variables"),
            Self::Flow => {
                write!(f, "a function has more than {FLOW} local variables times branch targets")
            }
            Self::Function => write!(f, "a function is larger than {} KiB", FUNCTION_BYTES >> 10),
            Self::Functions => write!(f, "it has more than {FUNCTIONS} functions"),
            Self::Types => write!(f, "it has more than {TYPES} types"),
            Self::Parts => write!(f, "it has more than {PARTS} modules and components in it"),
        }
    }
}

/// Looks through it once. What is no component at all is left to the compiler, which says why.
pub(super) fn check(wasm: &[u8]) -> Result<(), Excess> {
    let (mut functions, mut types, mut parts) = (0, 0, 0);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::FunctionSection(section)) => functions += section.count(),
            Ok(Payload::ComponentCanonicalSection(section)) => functions += section.count(),
            Ok(Payload::TypeSection(section)) => {
                for group in section {
                    types += group.map_or(0, |group| u32::try_from(group.types().len()).unwrap_or(u32::MAX));
                }
            }
            Ok(Payload::ComponentTypeSection(section)) => types += section.count(),
            Ok(Payload::CoreTypeSection(section)) => types += section.count(),
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => parts += 1,
            Ok(Payload::CodeSectionEntry(body)) => function(&body)?,
            Ok(_) => {}
            Err(_no_wasm) => return Ok(()),
        }
        for (count, most, excess) in [
            (functions, FUNCTIONS, Excess::Functions),
            (types, TYPES, Excess::Types),
            (parts, PARTS, Excess::Parts),
        ] {
            if count > most {
                return Err(excess);
            }
        }
    }
    Ok(())
}

fn function(body: &FunctionBody<'_>) -> Result<(), Excess> {
    if body.range().len() > FUNCTION_BYTES {
        return Err(Excess::Function);
    }
    let Ok(declared) = body.get_locals_reader() else { return Ok(()) };
    let locals: u64 = declared.into_iter().map_while(Result::ok).map(|(count, _)| u64::from(count)).sum();
    if locals > LOCALS {
        return Err(Excess::Locals);
    }
    let (mut depth, mut targets) = (0_u32, 0_u64);
    let Ok(operators) = body.get_operators_reader() else { return Ok(()) };
    for operator in operators.into_iter().map_while(Result::ok) {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => {
                depth += 1;
                targets += 1;
            }
            Operator::End => depth = depth.saturating_sub(1),
            Operator::BrTable { targets: table } => targets += u64::from(table.len()),
            _ => {}
        }
        if depth > NESTING {
            return Err(Excess::Nesting);
        }
    }
    if locals.saturating_mul(targets) > FLOW { Err(Excess::Flow) } else { Ok(()) }
}
