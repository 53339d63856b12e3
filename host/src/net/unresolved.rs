//! Why a name has no address: who was asked, and what came of it, in; a number for the line and a text for people out.

use std::io;

use crate::catalogue::HostError;

/// Shared by all that asked for the name.
#[derive(Clone, Debug)]
pub(super) enum Unresolved {
    /// That of a server that says so, or of nobody: it is no name of DNS.
    NoName(Option<String>),
    /// There is the name, by this server, and nothing connects to it.
    NoAddress(String),
    /// It stands for another name, by this server, and that again, without an end.
    Endless(String),
    /// A server does not answer us, and by which code.
    Refused(String, String),
    /// A server does not know now, or is not there, and why.
    Failed(String, String),
    /// Of these, together, nobody answers; empty: who was asked is the system's matter.
    Silent(String),
    /// So many were asked for, of these, before it had its turn; empty: as above.
    Queued { names: usize, of: String },
    /// The system's error, by its number.
    Os(i32),
    /// In its words.
    System(String),
}

impl Unresolved {
    pub(super) fn of_system(error: &io::Error) -> Self {
        error.raw_os_error().map_or_else(|| Self::System(error.to_string()), Self::Os)
    }

    /// Its number, and a sentence; of what the system itself said, the system's error.
    pub(super) fn says(self) -> Result<(HostError, String), io::Error> {
        Ok(match self {
            Self::NoName(None) => (HostError::NameNotFound, "it is no name of DNS".into()),
            Self::NoName(Some(by)) => (HostError::NameNotFound, format!("{by} says that it does not exist")),
            Self::NoAddress(by) => (HostError::NameNotFound, format!("{by} says that it has no address")),
            Self::Endless(by) => (
                HostError::NameNotFound,
                format!("{by} says that its aliases (CNAME) go in a circle, or have no end"),
            ),
            Self::Refused(by, code) => {
                (HostError::ResolverRefused, format!("{by} refuses to answer: {code}"))
            }
            Self::Failed(by, why) => (HostError::ResolverFailed, format!("{by} cannot tell: {why}")),
            Self::Silent(all) if all.is_empty() => (HostError::ResolverTimeout, "no answer".into()),
            Self::Silent(all) => (HostError::ResolverTimeout, format!("no answer from {all}")),
            Self::Queued { names, of } => {
                let of = if of.is_empty() { of } else { format!(" (of {of})") };
                let text =
                    format!("{names} names were asked for at once{of}, and this one waited for its turn");
                (HostError::ResolverTimeout, text)
            }
            Self::Os(number) => return Err(io::Error::from_raw_os_error(number)),
            Self::System(said) => return Err(io::Error::other(said)),
        })
    }
}
