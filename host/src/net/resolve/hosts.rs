//! `/etc/hosts`: a name in; its addresses out, in the order of the file, as it is at this moment.

use std::{
    collections::HashMap,
    io::ErrorKind,
    net::IpAddr,
    path::{Path, PathBuf},
};

use tokio::sync::{Mutex, Semaphore};

use super::apart::apart;
use crate::{
    output::{self, Level},
    regular::{self, Stamp, stamp},
};

/// Bytes of the file: the largest lists of names that are to lead nowhere have a few million.
const FILE_BYTES: usize = 16 << 20;

/// Reads that have not come back: whoever asks meanwhile waits as well.
static READING: Semaphore = Semaphore::const_new(1);

type Names = HashMap<String, Vec<IpAddr>>;

/// The file, read when it is first asked for and whenever it has changed.
pub(super) struct Hosts {
    path: PathBuf,
    read: Mutex<(Option<Stamp>, Names)>,
}

impl Hosts {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: Mutex::default() }
    }

    /// Of a name in lower case, without a dot at its end; those of both families, as whoever asks for both is to get.
    pub(super) async fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let stamp = stamp(&self.path);
        let mut read = self.read.lock().await;
        if read.0 != stamp {
            let path = self.path.clone();
            let names = apart(&READING, move || names_in(&path)).await;
            // Where no thread is to be had, here.
            *read = (stamp, names.unwrap_or_else(|_none| names_in(&self.path)));
        }
        read.1.get(name).cloned()
    }
}

fn names_in(path: &Path) -> Names {
    match regular::bytes(path, FILE_BYTES) {
        Ok(bytes) => names(&String::from_utf8_lossy(&bytes)),
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                output::log(Level::Warning, &format!("names: cannot read {}: {error}", path.display()));
            }
            Names::default()
        }
    }
}

/// What is no address, such as one with a scope, leads nowhere.
fn names(text: &str) -> Names {
    let mut names = Names::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        for name in words {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            names.entry(name).or_default().push(address);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn the_file_is_read_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let hosts = Hosts::new(&path);
        assert_eq!(hosts.find("mx1").await, None);
        let text = "# mx1\n\n10.0.0.1\tMX1.example.org. mx1 # mx2\nfe80::1%eth0 mx1\nnothing mx1\n::1 mx1\n10.0.0.2\n";
        fs::write(&path, [text.as_bytes(), b"10.0.0.3 \xff\xfe mx3"].concat()).unwrap();
        let shown = |found: Option<Vec<IpAddr>>| found.map(|found| format!("{found:?}"));
        assert_eq!(shown(hosts.find("mx1").await).unwrap(), "[10.0.0.1, ::1]");
        assert_eq!(shown(hosts.find("mx1.example.org").await).unwrap(), "[10.0.0.1]");
        assert_eq!(shown(hosts.find("mx3").await).unwrap(), "[10.0.0.3]");
        assert_eq!(hosts.find("mx2").await, None);
        fs::write(&path, "10.0.0.4 mx2\n").unwrap();
        assert_eq!(shown(hosts.find("mx2").await).unwrap(), "[10.0.0.4]");
        fs::remove_file(&path).unwrap();
        assert_eq!(hosts.find("mx2").await, None);
    }
}
