//! What a function is to a compiler: its body in; its variables times its branch targets out.

use std::collections::VecDeque;

use wasmtime::wasmparser::{BlockType, CompositeInnerType, FunctionBody, Operator, SubType, TryTable};

use super::excess::{Excess, FLOW, FUNCTION_BYTES, LOCALS, NESTING};

/// Values that a function or block of this type takes and gives.
pub(super) fn values(of: &SubType) -> u64 {
    match &of.composite_type.inner {
        CompositeInnerType::Func(of) => (of.params().len() + of.results().len()) as u64,
        _ => 0,
    }
}

/// What is known of a module's functions when they come.
#[derive(Default)]
pub(super) struct Functions {
    /// Of each type, the values that it takes and gives.
    pub(super) values: Vec<u64>,
    /// Of each function that is still to come, its type.
    pub(super) kinds: VecDeque<u32>,
}

impl Functions {
    fn of(&self, index: u32) -> u64 {
        usize::try_from(index).ok().and_then(|index| self.values.get(index)).copied().unwrap_or_default()
    }

    /// Gives its variables times its branch targets.
    pub(super) fn flow(&mut self, body: &FunctionBody<'_>) -> Result<u64, Excess> {
        if body.range().len() > FUNCTION_BYTES {
            return Err(Excess::Function);
        }
        let own = self.kinds.pop_front().map_or(0, |index| self.of(index));
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
