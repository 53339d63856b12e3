//! What can be kept out of texts at all: a job's secrets in; why not, out. Refuses those that are too short to be told from
//! other text, or too long to be looked for.

use std::fmt;

use crate::text::Letters;

/// Bytes of the letters of the shortest: shorter ones occur everywhere by chance.
const SHORTEST: usize = 4;
/// Bytes of all secrets of a job together: far more than passwords, keys and tokens have. Up to a hundred and
/// fifty times as much is kept to find them.
pub(super) const TOGETHER: usize = 256 << 10;

/// Why a secret cannot be kept out of texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoSecret {
    /// Too short, white space not counted.
    Short,
    /// Too long, with the others of the job.
    Long,
}

impl fmt::Display for NoSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => {
                write!(f, "shorter than {SHORTEST} bytes: it would be masked wherever it stands by chance")
            }
            Self::Long => write!(f, "the secrets of a job have more than {} KiB together", TOGETHER >> 10),
        }
    }
}

impl std::error::Error for NoSecret {}

/// Says why these cannot be kept out of texts; an empty one is none.
pub fn judge<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<(), NoSecret> {
    let mut together = 0;
    for text in texts {
        let text = text.as_ref();
        if !text.is_empty() && Letters::of(text).text().len() < SHORTEST {
            return Err(NoSecret::Short);
        }
        together += text.len();
    }
    if together > TOGETHER { Err(NoSecret::Long) } else { Ok(()) }
}
