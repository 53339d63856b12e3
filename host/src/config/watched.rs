//! The files of a configuration: shapes in; which files it consists of and names, and by which patterns further ones would belong
//! to it, out; and of these, how they are at a moment. Reads none of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    file,
    pattern::matching,
    place::{folder, place},
};
use crate::{
    net::{NameServers, RESOLV_CONF, RESOLV_CONF_BYTES},
    regular::{self, Stamp, stamp},
};

/// What a configuration is made of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Watched {
    files: BTreeSet<PathBuf>,
    patterns: BTreeSet<String>,
    /// What says which servers are asked for names: before a network is up that is nothing, or another one's.
    servers: Option<PathBuf>,
}

/// How files are; none: there is no such regular file, as where a pipe was.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Look(BTreeMap<PathBuf, Option<Seen>>);

/// How one is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seen {
    Stamp(Stamp),
    /// Of what says which servers are asked: it is written anew again and again, and mostly says the same.
    Digest(blake3::Hash),
}

impl Watched {
    /// And those of another configuration.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self.patterns.extend(other.patterns);
        self.servers = self.servers.or(other.servers);
        self
    }

    /// And files that match this, which begins at the root or where the program was started.
    pub(super) fn add_pattern(&mut self, pattern: String) {
        self.patterns.insert(pattern);
    }

    /// And what these servers come from.
    pub(super) fn add_source(&mut self, servers: &NameServers) {
        self.servers = (*servers == NameServers::Usual).then(|| RESOLV_CONF.into());
    }

    /// And a file.
    pub(super) fn add_file(&mut self, path: &Path) {
        self.files.insert(path.to_owned());
    }

    /// And what a file names.
    pub(super) fn add_named(&mut self, path: &Path, shape: &file::File) {
        let mut named: Vec<&Path> = shape.check.iter().map(|check| &*check.component).collect();
        for job in &shape.job {
            let rules = job.endpoints.values().map(|endpoint| &endpoint.tls).chain([&job.tls]);
            let files =
                rules.flat_map(|tls| [&tls.ca_file, &tls.crl_file, &tls.client_cert, &tls.client_key]);
            named.extend(files.flatten().map(PathBuf::as_path));
            // Those of secrets. Of another table of a check's it may be a word that is no file, and changes as little.
            let of_values = job.parameters.values().filter_map(|value| value.get("file")?.as_str());
            named.extend(of_values.map(Path::new));
        }
        self.files.extend(named.into_iter().filter_map(|named| place(folder(path), named).ok()));
    }

    /// How they are now. May wait for as long as a disk does.
    #[must_use]
    pub fn look(&self) -> Look {
        let matching = self.patterns.iter().filter_map(|pattern| matching(pattern).ok()).flatten();
        let all = self.files.iter().cloned().chain(matching.filter_map(Result::ok));
        let files = all.map(|path| (stamp(&path).filter(Stamp::is_regular).map(Seen::Stamp), path));
        let servers = self.servers.iter().map(|path| {
            let text = regular::bytes(path, RESOLV_CONF_BYTES).ok();
            (text.map(|text| Seen::Digest(blake3::hash(&text))), path.clone())
        });
        Look(files.chain(servers).map(|(seen, path)| (path, seen)).collect())
    }
}

impl Look {
    /// The same, with what was seen before of the files that were there: what changed meanwhile will be seen as a change.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        for (path, seen) in &mut self.0 {
            if let Some(before) = before.0.get(path) {
                *seen = *before;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, net::system_roots_file};

    #[test]
    fn what_a_configuration_consists_of_and_names_is_seen_to_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        std::fs::create_dir(at("conf.d")).unwrap();
        let authority = support::certificates::Authority::default();
        write("ca.pem", &authority.pem());
        write("password", "open-sesame");
        write(
            "sonde.toml",
            "include = [\"conf.d/*.toml\"]\n[[job]]\nname = \"a\"\nhost = \"h\"\ntls.ca_file = \"ca.pem\"\n\
             parameters.password = { file = \"password\" }",
        );
        write("conf.d/b.toml", "[[job]]\nname = \"b\"\nhost = \"h\"");
        let watched = |name: &str| {
            let mut watched = Watched::default();
            drop(config::read_watching(&at(name), &mut watched));
            watched
        };
        let own = watched("sonde.toml");
        assert_eq!(own.servers.as_deref(), Some(Path::new(RESOLV_CONF)));
        assert!(system_roots_file().is_none_or(|file| own.files.contains(&file)));
        let mut own = Watched { servers: Some(at("resolv.conf")), ..own };
        own.add_file(&at("roots.pem"));
        write("resolv.conf", "nameserver 192.0.2.53");
        write("roots.pem", &authority.pem());
        let mut last = own.look();
        // Of nothing that was looked at before, nothing has changed.
        assert_eq!(last.clone().since(&Watched::default().look()), last);
        assert_eq!(own.look(), last);
        write("resolv.conf", "nameserver 192.0.2.53");
        assert_eq!(own.look(), last, "it says the same");
        for (name, text) in [
            ("sonde.toml", "x"),
            ("conf.d/b.toml", "x"),
            ("conf.d/c.toml", "x"),
            ("ca.pem", "x"),
            ("password", "x"),
            ("resolv.conf", "nameserver 192.0.2.54"),
            ("roots.pem", "x"),
        ] {
            write(name, text);
            let now = own.look();
            assert!(now != last, "{name}");
            // Seen before it changed: the change is still to be seen.
            assert_eq!(name == "conf.d/c.toml", now.clone().since(&last) == now);
            last = now;
        }
        std::fs::remove_file(at("password")).unwrap();
        assert!(own.look() != last);
        write("other", "x");
        std::fs::remove_file(at("conf.d/c.toml")).unwrap();
        write("password", "y");
        assert!(own.look() != last);
        write("own.toml", "[resolver]\nservers = [\"192.0.2.53\"]\n[[job]]\nname = \"a\"\nhost = \"h\"");
        assert_eq!(watched("own.toml").servers, None);
        // What is refused as a whole is put right in the file that is wrong.
        write("slip.toml", "include = [\"conf.d/*.toml\", \"d.toml\"]\n[[job]]\nname = \"a\"\nhost = \"h\"");
        write("d.toml", "[[jobb]]");
        let refused = watched("slip.toml");
        assert!(
            refused.files.contains(&at("slip.toml")) && refused.files.contains(&at("d.toml")),
            "{refused:?}"
        );
        assert_eq!(refused.patterns.len(), 1);
        // One that only matches is there no more when it is gone, whatever it was.
        std::os::unix::fs::symlink(at("nowhere"), at("conf.d/dangling.toml")).unwrap();
        let refused = watched("slip.toml");
        let before = refused.look();
        std::fs::remove_file(at("conf.d/dangling.toml")).unwrap();
        assert!(refused.look() != before);
        let both = own.clone().and(refused.clone());
        assert!(both.files.is_superset(&own.files) && both.files.is_superset(&refused.files));
    }

    #[test]
    fn servers_that_nobody_asks_any_more_are_no_change_and_those_that_came_meanwhile_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("resolv.conf");
        let usual = Watched { servers: Some(source.clone()), ..Watched::default() };
        let nothing = usual.look();
        std::fs::write(&source, "nameserver 192.0.2.53").unwrap();
        let before = usual.look();
        let own = Watched::default().look();
        assert_eq!(own.clone().since(&before), own);
        assert!(usual.look().since(&nothing) != before);
    }
}
