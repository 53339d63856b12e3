//! Places that runs use one after the other, so that none has to map memories and a stack, and give them back: a component in, the
//! same one where there are places out, then a place for each run. Refuses components that are too large for one. What was left
//! in a place is wiped before the next run has it.

use std::{fs, sync::Arc};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{
    Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourcesRequired, component::Component,
};

use super::{engine, error::chain, in_place, limits, store};

/// Runs that have a place at once: as many as run at once where nobody says otherwise. What comes meanwhile runs without one, as it
/// would if there were none.
const PLACES: u32 = 64;
/// Further places: the engine looks for a free one in one part of them after the other, and one may be given back in a part that
/// it has seen while it takes the last of the next.
const SPARE: u32 = 16;
/// Core modules, memories and tables of a component that fits: a language's toolchain makes four, one and two.
const MODULES: u32 = 8;
const MEMORIES: u32 = 1;
const TABLES: u32 = 4;
/// Bytes of its code: it is loaded a second time.
const CODE_BYTES: usize = 4 << 20;
/// Pages of 64 KiB of its memory in the beginning. An interpreter fills more, and so has little of being mapped already.
const MEMORY_PAGES: u64 = 32;
/// What a memory can grow to: all that one with addresses of 32 bits could have elsewhere, so that its limits alone decide.
const MOST_MEMORY_BYTES: usize = 4 << 30;
/// Bytes at the beginning of a memory, a table and a stack that are kept, wiped, when a run ends; the rest goes back to the system.
/// A plain session of the built-in check uses no more. (Which pages were written the kernel could tell, and leaves out those that are in
/// swap: `pagemap_scan` of the allocator would leave a run's secrets there for the next.)
const MEMORY_KEPT: usize = 128 << 10;
const TABLE_KEPT: usize = 16 << 10;
const STACK_KEPT: usize = 16 << 10;
/// Where the system says whether it gives more memory than it has; 2: it does not (`proc_sys_vm(5)`).
const OVERCOMMIT: &str = "/proc/sys/vm/overcommit_memory";

/// Places, and the engine that has them.
pub(super) struct Pool {
    engine: Engine,
    free: Arc<Semaphore>,
}

/// To be kept until the run's store is gone.
pub(super) type Place = OwnedSemaphorePermit;

impl Pool {
    /// Refuses to be where there are not addresses enough for all places, and where what places may use counts as if it were used: it is
    /// a gigabyte, of which nothing would be left to all else.
    pub(super) fn new() -> Result<Self, String> {
        if let Some(bytes) = getrlimit(Resource::Data).current {
            let mib = bytes >> 20;
            return Err(format!(
                "data is limited to {mib} MiB (LimitDATA= of the agent's unit, `ulimit -d`)"
            ));
        }
        if fs::read_to_string(OVERCOMMIT).is_ok_and(|mode| mode.trim() == "2") {
            return Err("the system gives no more memory than it has (vm.overcommit_memory = 2)".to_owned());
        }
        Self::of(env!("SONDE_ENGINE_VERSION"))
    }

    fn of(version: &str) -> Result<Self, String> {
        let mut pool = PoolingAllocationConfig::new();
        let all = PLACES + SPARE;
        pool.total_component_instances(all)
            .total_core_instances(all * MODULES)
            .total_memories(all * MEMORIES)
            .total_tables(all * TABLES)
            .total_stacks(all)
            .max_core_instances_per_component(MODULES)
            .max_memories_per_component(MEMORIES)
            .max_memories_per_module(MEMORIES)
            .max_tables_per_component(TABLES)
            .max_tables_per_module(TABLES)
            .max_memory_size(MOST_MEMORY_BYTES)
            .table_elements(limits::TABLE_ELEMENTS)
            .linear_memory_keep_resident(MEMORY_KEPT)
            .table_keep_resident(TABLE_KEPT)
            .async_stack_keep_resident(STACK_KEPT);
        let mut config = engine::config(version);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = in_place::engine(config).map_err(|error| chain(&error))?;
        store::tick(&engine).map_err(|error| store::no_thread(&error))?;
        Ok(Self { engine, free: Arc::new(Semaphore::new(PLACES as usize)) })
    }

    /// The component where there are places; none: it does not fit into one. Takes the time of reading and copying its code.
    #[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
    pub(super) fn load(&self, component: &Component) -> Option<Component> {
        let code = component.image_range();
        let is_small = code.end as usize - code.start as usize <= CODE_BYTES
            && component.resources_required().is_some_and(|needs| starts_small(&needs));
        if !is_small {
            return None;
        }
        let code = component.serialize().ok()?;
        // SAFETY: this is the code of a component that was loaded, and is what it was then.
        unsafe { Component::deserialize(&self.engine, code) }.ok()
    }

    /// None: all are in use.
    pub(super) fn place(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }
}

fn starts_small(needs: &ResourcesRequired) -> bool {
    needs.max_initial_memory_size.unwrap_or_default() <= MEMORY_PAGES
}

#[cfg(feature = "compiler")]
#[cfg(test)]
mod tests {
    use super::*;

    fn component(memories: u32, pages: u32, tables: u32, modules: u32) -> Component {
        let memories = format!("(memory {pages})").repeat(memories as usize);
        let tables = "(table 1 funcref)".repeat(tables as usize);
        let instances = "(core instance (instantiate $empty))".repeat(modules as usize - 1);
        let text = format!(
            "(component (core module $module {memories} {tables}) (core instance (instantiate $module))
             (core module $empty) {instances})"
        );
        let engine = Engine::new(&engine::config("test")).unwrap();
        Component::from_binary(&engine, &wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn a_component_has_a_place_unless_it_is_too_large_for_one() {
        let pool = Pool::of("test").unwrap();
        let fits = |memories, pages, tables, modules| {
            pool.load(&component(memories, pages, tables, modules)).is_some()
        };
        assert!(fits(1, 32, 4, 8) && fits(0, 0, 0, 1));
        assert!(!fits(1, 33, 4, 8) && !fits(2, 1, 0, 1) && !fits(1, 1, 5, 1) && !fits(1, 1, 1, 9));
    }

    #[test]
    fn there_are_as_many_places_as_are_said_and_each_is_free_again() {
        let pool = Pool::of("test").unwrap();
        let all: Vec<_> = std::iter::from_fn(|| pool.place()).collect();
        assert_eq!(all.len(), PLACES as usize);
        drop(all);
        assert!(pool.place().is_some());
        // What the README says.
        let kept = MEMORY_KEPT + TABLES as usize * TABLE_KEPT + STACK_KEPT;
        assert_eq!(((PLACES + SPARE) as usize * kept).div_ceil(1 << 20), 17);
    }
}
