//! The built-in check's code, used where it lies in this program: the engine's settings in, an engine for it out; then the engine in,
//! the check out. The first engine copies nothing: what runs are the program's own pages, which all its processes share. Refuses a system that
//! does not let them be executed. And what the check says of itself, said when the program was built.

use std::{
    ffi::c_void,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    mm::{MprotectFlags, mprotect},
    param::page_size,
};
use wasmtime::{Config, CustomCodeMemory, Engine, component::Component};

use super::bindings::exports::sonde::check::check as wit;

/// What the built-in check was compiled to, on pages of its own.
static SMTP: &Paged<[u8]> = &Paged(*include_bytes!(concat!(env!("OUT_DIR"), "/smtp.cwasm")));

/// What it said of itself then: it says the same always.
const DESCRIBED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smtp.json"));

/// Where code can be used as it lies: the system lets a program's own pages be executed, and the processor sees at once what was
/// written to those of a copy. Elsewhere all code is a copy, and the engine sees to both.
const IS_HERE: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// At the beginning of a page.
#[repr(C, align(4096))]
struct Paged<T: ?Sized>(T);

/// An engine that can use code where it lies, and has no compiler: that is another process.
pub(super) fn engine(mut config: Config) -> wasmtime::Result<Engine> {
    #[cfg(feature = "compiler")]
    config.enable_compiler(false);
    if IS_HERE {
        config.with_custom_code_memory(Some(Arc::new(Pages)));
    }
    Engine::new(&config)
}

/// The built-in check; where it was used before, a copy: the library takes the same code from one engine alone.
#[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
pub(super) fn smtp(engine: &Engine) -> wasmtime::Result<Component> {
    static IS_IN_USE: AtomicBool = AtomicBool::new(false);
    // SAFETY: this crate's build script made it, and it is part of this program: as trusted as its own code. It is never written to,
    // and is there as long as the program.
    unsafe {
        if IS_HERE && !IS_IN_USE.swap(true, Ordering::Relaxed) {
            Component::deserialize_raw(engine, NonNull::from(&SMTP.0))
        } else {
            Component::deserialize(engine, &SMTP.0)
        }
    }
}

/// Its description.
pub(super) fn described() -> Result<wit::Description, serde_json::Error> {
    serde_json::from_slice(DESCRIBED)
}

/// Makes code executable wherever it lies. Whoever made a copy of it has made that unwritable before; the program itself never was.
struct Pages;

impl CustomCodeMemory for Pages {
    fn required_alignment(&self) -> usize {
        page_size()
    }

    fn publish_executable(&self, code: *const u8, bytes: usize) -> wasmtime::Result<()> {
        protect(code, bytes)
    }

    /// What is not the program's own is unmapped next, and its own stays as it is.
    fn unpublish_executable(&self, _code: *const u8, _bytes: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[expect(unsafe_code, reason = "makes memory executable")]
fn protect(code: *const u8, bytes: usize) -> wasmtime::Result<()> {
    // SAFETY: these are pages of code that the engine has checked and nobody writes to, here or later: none of them is on the heap
    // or on a stack.
    unsafe { mprotect(code.cast_mut().cast::<c_void>(), bytes, MprotectFlags::READ | MprotectFlags::EXEC) }
        .map_err(|error| {
            wasmtime::format_err!(
                "code may not be executed here ({error}): its folder is mounted `noexec`, or MemoryDenyWriteExecute= of \
                 the agent's unit is set"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::engine as settings;

    #[test]
    fn code_is_used_where_it_lies_by_one_engine_alone() {
        let engines = [(), (), ()].map(|()| engine(settings::config(env!("SONDE_ENGINE_VERSION"))).unwrap());
        let checks = engines.each_ref().map(|engine| smtp(engine).unwrap().image_range());
        // Another test's may have been the first.
        assert!(checks.iter().filter(|code| SMTP.0.as_ptr_range().contains(&code.start)).count() <= 1);
    }

    #[test]
    fn code_of_another_version_is_refused() {
        let other = engine(settings::config("another version")).unwrap();
        assert!(smtp(&other).is_err());
    }
}
