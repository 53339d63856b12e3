//! A share of a configuration's jobs, for several processes that have the same one: `3/8`, or `auto/8` and a host name, in; which
//! jobs are in it, out. Each job is in one of the shares, the same on every machine and in every version, and where there is one
//! share more, only those jobs move that are in it now. Refuses a share that is not one of those that there are, and a host name
//! that does not say which.

use std::fmt;

use crate::{digest, text};

/// Shares that there may be: of each job and share a digest is made, whenever a configuration is read.
const MOST: u16 = 256;

/// One of the shares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    /// From 0 on.
    number: u16,
    of: u16,
}

/// Why a text is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoShard {
    /// Not of the form.
    Form,
    /// There are not so many.
    Beyond(Shard),
    /// This host name has no number.
    HostName(String),
    /// This host name has a number of which there are not so many.
    HostNameBeyond(String, Shard),
}

impl fmt::Display for NoShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => {
                write!(f, "expected a share and their number, at most {MOST}, such as 0/8 to 7/8, or auto/8")
            }
            Self::Beyond(shard) => write!(f, "shares count from 0: {}", shard.last()),
            Self::HostName(name) => {
                write!(f, "the host name `{name}` does not end in a number, as sonde-3 does")
            }
            Self::HostNameBeyond(name, shard) => {
                write!(f, "by the host name `{name}` it is {shard}, and {}", shard.last())
            }
        }
    }
}

impl std::error::Error for NoShard {}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// From 0 on.
    #[must_use]
    pub fn number(self) -> u16 {
        self.number
    }

    /// Reads `3/8`; with `auto/8` the host name is asked for.
    pub fn read(text: &str, host_name: impl FnOnce() -> String) -> Result<Self, NoShard> {
        let (which, of) = text.split_once('/').ok_or(NoShard::Form)?;
        let of = number(of).filter(|of| (1..=MOST).contains(of)).ok_or(NoShard::Form)?;
        let within = |number, beyond: &dyn Fn(Self) -> NoShard| {
            let shard = Self { number, of };
            if number < of { Ok(shard) } else { Err(beyond(shard)) }
        };
        if which == "auto" {
            let name = host_name();
            let shown = text::clean(&name);
            let number = ordinal(&name).ok_or_else(|| NoShard::HostName(shown.clone()))?;
            return within(number, &|shard| NoShard::HostNameBeyond(shown.clone(), shard));
        }
        within(number(which).ok_or(NoShard::Form)?, &NoShard::Beyond)
    }

    /// Whether a job is in it, by its name and host, which no two jobs of a configuration have in common. Of all shares the one
    /// has it whose weight with the job is the largest (rendezvous hashing): no weight depends on how many shares there are.
    #[must_use]
    pub fn has(self, name: &str, host: &str) -> bool {
        // In neither is a NUL.
        let weight = |number: &u16| digest::sha256_begin(format!("{name}\0{host}\0{number}").as_bytes());
        (0..self.of).max_by_key(weight) == Some(self.number)
    }

    fn last(self) -> String {
        format!("of {} the last is {}/{}", self.of, self.of.saturating_sub(1), self.of)
    }
}

/// Of digits alone.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// That of a pod, in its name.
fn ordinal(host_name: &str) -> Option<u16> {
    number(host_name.split('.').next()?.rsplit_once('-')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str) -> Result<Shard, String> {
        Shard::read(text, || panic!("nobody asks for the host name")).map_err(|error| error.to_string())
    }

    /// In which of so many shares each job is.
    fn shares(of: u16) -> Vec<u16> {
        let shards: Vec<_> = (0..of).map(|number| Shard { number, of }).collect();
        let jobs = (0..2000).map(|job| (format!("job {}", job / 10), format!("mx{}.example.org", job % 10)));
        jobs.map(|(name, host)| {
            let of_job: Vec<_> = shards.iter().filter(|shard| shard.has(&name, &host)).collect();
            assert_eq!(of_job.len(), 1, "{name} {host}");
            of_job[0].number
        })
        .collect()
    }

    #[test]
    fn shares_count_from_0_and_what_is_none_is_refused() {
        for good in ["0/1", "0/8", "7/8", "255/256"] {
            assert_eq!(shard(good).unwrap().to_string(), good);
        }
        let form = "expected a share and their number, at most 256, such as 0/8 to 7/8, or auto/8";
        for none in
            ["", "3", "/", "3/", "/8", "0/0", "0/257", "+1/8", "-1/8", "1/8/9", "a/8", "Auto/8", "70000/8"]
        {
            assert_eq!(shard(none).unwrap_err(), form, "{none}");
        }
        assert_eq!(shard("8/8").unwrap_err(), "shares count from 0: of 8 the last is 7/8");
    }

    #[test]
    fn auto_is_the_number_at_the_end_of_the_host_name() {
        let auto = |name: &str| {
            Shard::read("auto/8", || name.to_owned())
                .map(|shard| shard.number)
                .map_err(|error| error.to_string())
        };
        for (name, number) in [("sonde-3", 3), ("mail-probe-0", 0), ("sonde-7.sonde.default.svc", 7)] {
            assert_eq!(auto(name), Ok(number));
        }
        for name in ["sonde", "sonde3", "sonde-", "3", "", "sonde-x", "sonde.org-3", "sonde-70000"] {
            let said = format!("the host name `{name}` does not end in a number, as sonde-3 does");
            assert_eq!(auto(name), Err(said));
        }
        let said = "by the host name `sonde-8` it is 8/8, and of 8 the last is 7/8";
        assert_eq!(auto("sonde-8"), Err(said.to_owned()));
        assert!(auto("sonde\x1b[31m").unwrap_err().starts_with("the host name `sonde [31m`"));
    }

    #[test]
    fn each_job_is_in_one_share_and_the_shares_are_about_as_large() {
        for of in [1, 2, 8, 31] {
            let shares = shares(of);
            let most = 2000 / usize::from(of);
            for number in 0..of {
                let count = shares.iter().filter(|share| **share == number).count();
                assert!((most / 2..=most * 3 / 2).contains(&count), "{number}/{of}: {count}");
            }
        }
    }

    #[test]
    fn with_one_share_more_only_the_jobs_of_that_one_move() {
        for of in [1, 2, 8, 31] {
            let (before, now) = (shares(of), shares(of + 1));
            let moved: Vec<_> = before.iter().zip(&now).filter(|(before, now)| before != now).collect();
            assert!(moved.iter().all(|(_, now)| **now == of));
            // 1/N of them, by chance a few more or less.
            let expected = before.len() / usize::from(of + 1);
            assert!((expected / 2..=expected * 3 / 2).contains(&moved.len()), "{of}: {}", moved.len());
        }
    }

    /// Agents of different versions must not both, or neither, have a job.
    #[test]
    fn a_share_has_the_same_jobs_in_every_version() {
        assert_eq!(shares(8)[..12], [5, 3, 1, 4, 0, 3, 1, 6, 4, 6, 4, 1]);
    }
}
