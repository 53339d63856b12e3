//! A core module that imports nothing of WASI: the module as it was linked in, the same with a trap in place of each such import out.
//! The language's library links what a probe never calls; with each instance a host would have to make it all.

use wasm_encoder::{
    CodeSection, Function, FunctionSection, ImportSection, Instruction, Module,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionSectionReader, ImportSectionReader, Parser, TypeRef,
};

type Result<T> = std::result::Result<T, Error>;

/// Stands for the place of a trap until it is known how many imports stay.
const TRAP: u32 = u32::MAX;

/// How a module's own functions are moved: those that are traps now stand between what is imported still and all others, whose
/// numbers stay.
#[derive(Default)]
struct Bare {
    /// Of each imported function: where it is.
    moved: Vec<u32>,
    /// The types of those that are traps.
    traps: Vec<u32>,
}

/// Without the names of functions, whose order is another.
pub(crate) fn bare(module: &[u8]) -> Result<Vec<u8>> {
    let mut bare = Module::new();
    Bare::default().parse_core_module(&mut bare, Parser::new(0), module)?;
    Ok(bare.finish())
}

impl Reencode for Bare {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32> {
        Ok(self.moved.get(function as usize).copied().unwrap_or(function))
    }

    fn parse_custom_section(&mut self, module: &mut Module, section: CustomSectionReader<'_>) -> Result<()> {
        if section.name() == "name" { Ok(()) } else { utils::parse_custom_section(self, module, section) }
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<()> {
        let mut stay = 0;
        for import in section.into_imports() {
            let import = import?;
            match import.ty {
                TypeRef::Func(of_type) if import.module.starts_with("wasi:") => {
                    self.moved.push(TRAP);
                    self.traps.push(of_type);
                    continue;
                }
                TypeRef::Func(_) => {
                    self.moved.push(stay);
                    stay += 1;
                }
                _ => {}
            }
            imports.import(import.module, import.name, self.entity_type(import.ty)?);
        }
        for (moved, place) in self.moved.iter_mut().filter(|moved| **moved == TRAP).zip(stay..) {
            *moved = place;
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<()> {
        for of_type in &self.traps {
            functions.function(*of_type);
        }
        utils::parse_function_section(self, functions, section)
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<()> {
        for _ in &self.traps {
            let mut trap = Function::new([]);
            trap.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
            code.function(&trap);
        }
        utils::parse_code_section(self, code, section)
    }
}
