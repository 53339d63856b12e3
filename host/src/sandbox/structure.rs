//! What a compiler, and whoever makes an instance, is spared: a component's bytes in; nothing out, or what of it is beyond all
//! that toolchains make. Small components can be dear to compile: what costs is how deep code is nested, how many variables
//! live over how many branches, and how large a single function is. They can be dear to instantiate, too, for what is in them
//! may be instantiated again and again, and nothing can stop that halfway.

mod excess;
mod function;

use wasmtime::wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentType, ComponentTypeRef, DataKind, ElementItems, Encoding, Instance,
    Parser, Payload,
};

pub(super) use self::excess::Excess;
use self::{
    excess::{DATA_BYTES, FLOW_TOGETHER, FUNCTIONS, INSTANCE_BYTES, PARTS, TYPES},
    function::{Functions, values},
};

/// Bytes of an instance of a module or component, and of what a resource type has in it, at most.
const PART_BYTES: u64 = 1 << 10;
/// The same of a global, and of an element of a table.
const ITEM_BYTES: u64 = 16;

/// What an instance is made of.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Bytes beside memories and tables.
    made: u64,
    /// Bytes that are copied.
    data: u64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.made = self.made.saturating_add(other.made);
        self.data = self.data.saturating_add(other.data);
    }

    fn make(&mut self, count: u64, bytes: u64) {
        self.made = self.made.saturating_add(count.saturating_mul(bytes));
    }
}

/// A module or component that is being looked at.
#[derive(Default)]
struct Part {
    is_module: bool,
    /// It stands in another one.
    is_inner: bool,
    cost: Cost,
    functions: Functions,
    /// What its modules and components cost, by their indices.
    modules: Vec<Cost>,
    components: Vec<Cost>,
}

impl Part {
    fn get(of: &[Cost], index: u32) -> Cost {
        usize::try_from(index).ok().and_then(|index| of.get(index)).copied().unwrap_or_default()
    }

    /// One more instance of something in it.
    fn instantiate(&mut self, what: Cost) {
        self.cost.make(1, PART_BYTES);
        self.cost.add(what);
    }
}

/// What is counted in the whole, in numbers that no sum of what a section claims to have can pass.
#[derive(Default)]
struct Counts {
    functions: u64,
    types: u64,
    parts: u64,
    flow: u64,
    /// A component in it takes or gives something, and some function's texts are in UTF-16.
    is_nested: bool,
    has_utf16: bool,
}

impl Counts {
    fn judge(&self) -> Result<(), Excess> {
        for (count, most, excess) in [
            (self.functions, FUNCTIONS, Excess::Functions),
            (self.types, TYPES, Excess::Types),
            (self.parts, PARTS, Excess::Parts),
            (self.flow, FLOW_TOGETHER, Excess::FlowTogether),
        ] {
            if count > most {
                return Err(excess);
            }
        }
        // With the host alone, which counts what it converts, any are right.
        if self.is_nested && self.has_utf16 { Err(Excess::Texts) } else { Ok(()) }
    }
}

/// Looks through it once. What is no component at all is left to the compiler, which says why.
pub(super) fn judge(wasm: &[u8]) -> Result<(), Excess> {
    let mut counts = Counts::default();
    let mut parts: Vec<Part> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { return Ok(()) };
        match payload {
            Payload::Version { encoding, .. } => {
                let (is_module, is_inner) = (encoding == Encoding::Module, !parts.is_empty());
                parts.push(Part { is_module, is_inner, ..Part::default() });
            }
            Payload::End(_) => {
                let Some(ended) = parts.pop() else { return Ok(()) };
                if ended.cost.made > INSTANCE_BYTES {
                    return Err(Excess::Instance);
                }
                if ended.cost.data > DATA_BYTES {
                    return Err(Excess::Data);
                }
                if let Some(around) = parts.last_mut() {
                    let of = if ended.is_module { &mut around.modules } else { &mut around.components };
                    of.push(ended.cost);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.into_iter().map_while(Result::ok) {
                    aliased(&alias, &mut parts)?;
                }
            }
            other => match parts.last_mut() {
                Some(part) if part.is_module => module(other, part, &mut counts)?,
                Some(part) => component(other, part, &mut counts)?,
                None => return Ok(()),
            },
        }
        counts.judge()?;
    }
    Ok(())
}

/// A module or component of a part around this one.
fn aliased(alias: &ComponentAlias<'_>, parts: &mut [Part]) -> Result<(), Excess> {
    match alias {
        ComponentAlias::InstanceExport {
            kind: ComponentExternalKind::Module | ComponentExternalKind::Component,
            ..
        } => Err(Excess::Unknown),
        ComponentAlias::Outer { kind, count, index } => {
            let outward = usize::try_from(*count).unwrap_or(usize::MAX);
            let around = parts.len().checked_sub(1).and_then(|last| last.checked_sub(outward));
            let Some(around) = around.and_then(|at| parts.get(at)) else { return Ok(()) };
            let (module, component) =
                (Part::get(&around.modules, *index), Part::get(&around.components, *index));
            let Some(own) = parts.last_mut() else { return Ok(()) };
            match kind {
                ComponentOuterAliasKind::CoreModule => own.modules.push(module),
                ComponentOuterAliasKind::Component => own.components.push(component),
                _ => {}
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn component(payload: Payload<'_>, part: &mut Part, counts: &mut Counts) -> Result<(), Excess> {
    match payload {
        Payload::ComponentCanonicalSection(section) => {
            counts.functions += u64::from(section.count());
            for options in section.into_iter().map_while(Result::ok).filter_map(options) {
                // A toolchain's component that only names again what is around it has none.
                counts.is_nested |= part.is_inner;
                counts.has_utf16 |= options.iter().copied().any(is_utf16);
            }
        }
        Payload::CoreTypeSection(section) => counts.types += u64::from(section.count()),
        Payload::ComponentTypeSection(section) => {
            counts.types += u64::from(section.count());
            let types = section.into_iter().map_while(Result::ok);
            let resources = types.filter(|of| matches!(of, ComponentType::Resource { .. })).count();
            part.cost.make(resources as u64, PART_BYTES);
        }
        Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => counts.parts += 1,
        Payload::ComponentImportSection(section) => {
            let of = |import: wasmtime::wasmparser::ComponentImport<'_>| import.ty;
            let unknown = |of| matches!(of, ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_));
            if section.into_iter().map_while(Result::ok).map(of).any(unknown) {
                return Err(Excess::Unknown);
            }
        }
        Payload::ComponentExportSection(section) => {
            // What is exported has one more index.
            for export in section.into_iter().map_while(Result::ok) {
                match export.kind {
                    ComponentExternalKind::Module => {
                        part.modules.push(Part::get(&part.modules, export.index));
                    }
                    ComponentExternalKind::Component => {
                        part.components.push(Part::get(&part.components, export.index));
                    }
                    _ => {}
                }
            }
        }
        Payload::InstanceSection(section) => {
            for instance in section.into_iter().map_while(Result::ok) {
                if let Instance::Instantiate { module_index, .. } = instance {
                    part.instantiate(Part::get(&part.modules, module_index));
                }
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section.into_iter().map_while(Result::ok) {
                if let ComponentInstance::Instantiate { component_index, .. } = instance {
                    part.instantiate(Part::get(&part.components, component_index));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// How something goes into a component, or out of it.
fn options(function: CanonicalFunction) -> Option<Box<[CanonicalOption]>> {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => Some(options),
        _ => None,
    }
}

/// Its texts are, or may be.
fn is_utf16(option: CanonicalOption) -> bool {
    matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16)
}

fn module(payload: Payload<'_>, part: &mut Part, counts: &mut Counts) -> Result<(), Excess> {
    match payload {
        Payload::TypeSection(section) => {
            for group in section.into_iter().map_while(Result::ok) {
                counts.types += group.types().len() as u64;
                part.functions.values.extend(group.types().map(values));
            }
        }
        Payload::FunctionSection(section) => {
            counts.functions += u64::from(section.count());
            part.functions.kinds = section.into_iter().map_while(Result::ok).collect();
        }
        Payload::GlobalSection(section) => part.cost.make(section.count().into(), ITEM_BYTES),
        Payload::ElementSection(section) => {
            for segment in section.into_iter().map_while(Result::ok) {
                let count = match segment.items {
                    ElementItems::Functions(items) => items.count(),
                    ElementItems::Expressions(_, items) => items.count(),
                };
                part.cost.make(count.into(), ITEM_BYTES);
            }
        }
        Payload::DataSection(section) => {
            for segment in section.into_iter().map_while(Result::ok) {
                if matches!(segment.kind, DataKind::Active { .. }) {
                    part.cost.data = part.cost.data.saturating_add(segment.data.len() as u64);
                }
            }
        }
        Payload::CodeSectionEntry(body) => counts.flow += part.functions.flow(&body)?,
        _ => {}
    }
    Ok(())
}
