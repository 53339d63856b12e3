//! What a compiler is spared: a component's bytes in; nothing out, or what of it is beyond all that toolchains make. Small
//! components can be dear to compile: what costs is how deep code is nested, how many variables live over how many branches,
//! and how large a single function is.

use std::{collections::VecDeque, fmt};

use wasmtime::wasmparser::{
    BlockType, CompositeInnerType, FunctionBody, Operator, Parser, Payload, SubType, TryTable,
};

/// Depth of the blocks of a function. Of this and of what follows, checks in Python and JavaScript have less than a fifth.
const NESTING: u32 = 5_000;
/// Variables of a function, what it takes and gives included.
const LOCALS: u64 = 5_000;
/// Variables of a function, and what its blocks take and give at most, times its branch targets.
const FLOW: u64 = 2_000_000;
/// The same of all functions together: some ten seconds of a core.
const FLOW_TOGETHER: u64 = 40_000_000;
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
    /// Variables of a function.
    Locals,
    /// Variables times branch targets of a function: the compiler follows each to each.
    Flow,
    /// The same of all functions.
    FlowTogether,
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
            Self::Locals => write!(f, "a function has more than {LOCALS} variables"),
            Self::Flow => write!(f, "a function has more than {FLOW} variables times branch targets"),
            Self::FlowTogether => {
                write!(
                    f,
                    "its functions have more than {FLOW_TOGETHER} variables times branch targets together"
                )
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
    let (mut functions, mut types, mut parts, mut flow) = (0, 0, 0, 0_u64);
    let mut module = Module::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::Version { .. }) => module = Module::default(),
            Ok(Payload::FunctionSection(section)) => {
                functions += section.count();
                module.functions = section.into_iter().map_while(Result::ok).collect();
            }
            Ok(Payload::ComponentCanonicalSection(section)) => functions += section.count(),
            Ok(Payload::TypeSection(section)) => {
                for group in section.into_iter().map_while(Result::ok) {
                    types += u32::try_from(group.types().len()).unwrap_or(u32::MAX);
                    module.values.extend(group.types().map(values));
                }
            }
            Ok(Payload::ComponentTypeSection(section)) => types += section.count(),
            Ok(Payload::CoreTypeSection(section)) => types += section.count(),
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => parts += 1,
            Ok(Payload::CodeSectionEntry(body)) => flow += module.function(&body)?,
            Ok(_) => {}
            Err(_no_wasm) => return Ok(()),
        }
        for (count, most, excess) in [
            (u64::from(functions), u64::from(FUNCTIONS), Excess::Functions),
            (u64::from(types), u64::from(TYPES), Excess::Types),
            (u64::from(parts), u64::from(PARTS), Excess::Parts),
            (flow, FLOW_TOGETHER, Excess::FlowTogether),
        ] {
            if count > most {
                return Err(excess);
            }
        }
    }
    Ok(())
}

/// Values that a function or block of this type takes and gives.
fn values(of: &SubType) -> u64 {
    match &of.composite_type.inner {
        CompositeInnerType::Func(of) => (of.params().len() + of.results().len()) as u64,
        _ => 0,
    }
}

/// What is known of a module when its functions come.
#[derive(Default)]
struct Module {
    /// Of each type, the values that it takes and gives.
    values: Vec<u64>,
    /// Of each function that is still to come, its type.
    functions: VecDeque<u32>,
}

impl Module {
    fn of(&self, index: u32) -> u64 {
        usize::try_from(index).ok().and_then(|index| self.values.get(index)).copied().unwrap_or_default()
    }

    /// Gives its variables times its branch targets.
    fn function(&mut self, body: &FunctionBody<'_>) -> Result<u64, Excess> {
        if body.range().len() > FUNCTION_BYTES {
            return Err(Excess::Function);
        }
        let own = self.functions.pop_front().map_or(0, |index| self.of(index));
        let Ok(declared) = body.get_locals_reader() else { return Ok(0) };
        let declared = declared.into_iter().map_while(Result::ok).map(|(count, _)| u64::from(count));
        let locals = declared.fold(own, u64::saturating_add);
        if locals > LOCALS {
            return Err(Excess::Locals);
        }
        let (mut depth, mut targets, mut passed) = (0_u32, 0_u64, 0_u64);
        let Ok(operators) = body.get_operators_reader() else { return Ok(0) };
        for operator in operators.into_iter().map_while(Result::ok) {
            match operator {
                Operator::Block { blockty }
                | Operator::Loop { blockty }
                | Operator::If { blockty }
                | Operator::TryTable { try_table: TryTable { ty: blockty, .. } } => {
                    depth += 1;
                    targets += 1;
                    if let BlockType::FuncType(index) = blockty {
                        passed = passed.max(self.of(index));
                    }
                }
                Operator::End => depth = depth.saturating_sub(1),
                Operator::BrTable { targets: table } => targets += u64::from(table.len()),
                _ => {}
            }
            if depth > NESTING {
                return Err(Excess::Nesting);
            }
        }
        let flow = (locals + passed).saturating_mul(targets);
        if flow > FLOW { Err(Excess::Flow) } else { Ok(flow) }
    }
}
