//! What is beyond all that toolchains make, and what is said of it.

use std::fmt;

/// Depth of the blocks of a function. Of this and of what follows, checks in Python and JavaScript have less than a fifth.
pub(super) const NESTING: u32 = 5_000;
/// Variables of a function, what it takes and gives included.
pub(super) const LOCALS: u64 = 5_000;
/// Variables of a function, and what its blocks take and give at most, times its branch targets.
pub(super) const FLOW: u64 = 2_000_000;
/// The same of all functions together: some ten seconds of a core.
pub(super) const FLOW_TOGETHER: u64 = 40_000_000;
/// Bytes of a function.
pub(super) const FUNCTION_BYTES: usize = 4 << 20;
/// Functions of a component.
pub(super) const FUNCTIONS: u64 = 100_000;
/// Types of a component.
pub(super) const TYPES: u64 = 20_000;
/// Modules and components in a component.
pub(super) const PARTS: u64 = 200;

/// Bytes that one instance of the component makes beside memories and tables: globals, elements, resources, and a kibibyte for
/// each module or component in it that is instantiated. Checks in Python and JavaScript make less than a tenth.
pub(super) const INSTANCE_BYTES: u64 = 2 << 20;
/// Bytes that its memories begin with. Where they are not mapped they are copied when it is instantiated, before anybody could
/// stop it.
pub(super) const DATA_BYTES: u64 = 48 << 20;

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
    /// What an instance is made of beside memories and tables.
    Instance,
    /// What is copied when it is instantiated.
    Data,
    /// Texts that its components hand to one another in UTF-16: the engine converts one as a whole, which nothing can stop halfway, and a
    /// check's memory has room for a long one.
    Texts,
    /// A module or component that only an instance could tell.
    Unknown,
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
            Self::Instance => write!(
                f,
                "an instance of it has more than {} KiB of globals, elements, resources and instances",
                INSTANCE_BYTES >> 10
            ),
            Self::Data => write!(f, "an instance of it copies more than {} MiB of data", DATA_BYTES >> 20),
            Self::Texts => f.write_str("components in it hand texts to one another that are not in UTF-8"),
            Self::Unknown => {
                f.write_str("a component in it imports, or takes out of another, a module or component")
            }
        }
    }
}
