//! The layers of the sources: which file uses which goes one way, and what is dangerous stays where it is looked after.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use support::root;

/// A module by its path from the crate's root.
type Module = Vec<String>;

/// The sources of a crate, without comments and tests.
struct Sources(BTreeMap<Module, String>);

impl Sources {
    fn of(folder: &str) -> Self {
        let mut files = BTreeMap::new();
        collect(&root().join(folder), &mut Vec::new(), &mut files);
        // The command itself is one line, and nobody's module.
        files.remove(&vec!["main".to_owned()]);
        Self(files)
    }

    /// The file in which a path ends that stands in `from`; none: it leads out of the crate.
    fn resolve(&self, from: &Module, path: &str) -> Option<Module> {
        let mut words: Vec<&str> = path.split("::").collect();
        let mut at = match words[0] {
            "crate" => Vec::new(),
            "self" | "super" => from.clone(),
            child if self.0.contains_key(&[&from[..], &[child.to_owned()]].concat()) => {
                words.insert(0, "self");
                from.clone()
            }
            _ => return None,
        };
        at.truncate(at.len() - words.iter().filter(|word| **word == "super").count());
        let mut words =
            words.into_iter().filter(|word| !["crate", "self", "super"].contains(word)).peekable();
        while let Some(child) = words.peek().map(|word| [&at[..], &[(*word).to_owned()]].concat()) {
            if !self.0.contains_key(&child) {
                break;
            }
            at = child;
            words.next();
        }
        // What is only passed on comes from where it is.
        let passed_on = words.next().and_then(|word| {
            let passed = taken_apart(&self.0[&at]).0.into_iter().filter(|(public, _)| *public);
            passed.map(|(_, path)| path).find(|path| path.rsplit("::").next() == Some(word))
        });
        passed_on.and_then(|path| self.resolve(&at, &path)).or(Some(at))
    }

    /// The files that each file uses.
    fn uses(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let used = |module: &Module, source: &str| -> BTreeSet<Module> {
            let (paths, code) = taken_apart(source);
            // What is passed on from below is used as well; of its own parts a file is the list.
            let own = paths.into_iter().filter(|(public, path)| !public || path.starts_with("crate::"));
            let own = own.map(|(_, path)| path);
            let children =
                self.0.keys().filter(|child| child.split_last().map(|(_, above)| above) == Some(module));
            let called = children.filter_map(|child| child.last()).filter(|name| calls(&code, name)).cloned();
            let found = own.chain(called).filter_map(|path| self.resolve(module, &path));
            found.filter(|found| found != module).collect()
        };
        self.0.iter().map(|(module, source)| (module, used(module, source))).collect()
    }
}

fn collect(folder: &Path, at: &mut Module, files: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "tests" || name == "fuzz" {
            continue;
        }
        at.push(name);
        if path.is_dir() {
            collect(&path, at, files);
        } else {
            let source = fs::read_to_string(&path).unwrap();
            let code = source.split("\nmod tests").next().unwrap_or_default().lines();
            let code: Vec<_> = code.map(|line| line.split("//").next().unwrap_or_default()).collect();
            let module = if at[..] == ["lib"] { Vec::new() } else { at.clone() };
            files.insert(module, code.join("\n"));
        }
        at.pop();
    }
}

/// A path of a child module in the code.
fn calls(source: &str, child: &str) -> bool {
    let path = format!("{child}::");
    source.match_indices(&path).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// All paths in `use` and in the code, and whether they are passed on; and the code without `use`.
fn taken_apart(source: &str) -> (Vec<(bool, String)>, String) {
    let mut paths = Vec::new();
    let mut code = String::new();
    let mut rest = source;
    while let Some(at) = rest.find("use ") {
        let (before, from) = rest.split_at(at);
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let from = &from["use ".len()..];
        code.push_str(before);
        // Not words in a text or of a comment.
        let is_path = |c: char| c.is_alphanumeric() || "_:{}, *\n".contains(c);
        let tree = from.split(';').next().unwrap_or_default();
        if !(line.is_empty() || line.starts_with("pub")) || !tree.chars().all(is_path) {
            code.push_str("use ");
            rest = from;
            continue;
        }
        rest = &from[tree.len()..];
        let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
        expand("", &tree, &mut |path| paths.push((line.starts_with("pub"), path)));
    }
    code.push_str(rest);
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let path: String =
                code[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            paths.push((false, path.trim_end_matches(':').to_owned()));
        }
    }
    (paths, code)
}

/// The paths of a tree in braces.
fn expand(begin: &str, tree: &str, found: &mut impl FnMut(String)) {
    let tree = tree.trim();
    let Some((before, behind)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return found(format!("{begin}{path}").trim_end_matches("::self").to_owned());
    };
    let begin = format!("{begin}{before}");
    let inside = behind.strip_suffix('}').unwrap();
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inside[from..at].trim().is_empty() {
                    expand(&begin, &inside[from..at], found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// Takes away what uses nothing that is left, again and again: what stays is in a circle, or uses one.
fn circles(sources: &Sources) -> BTreeMap<String, Vec<String>> {
    let mut uses = sources.uses();
    loop {
        let left: BTreeSet<Module> = uses.keys().map(|module| (*module).clone()).collect();
        let before = uses.len();
        for used in uses.values_mut() {
            used.retain(|module| left.contains(module));
        }
        uses.retain(|_, used| !used.is_empty());
        if uses.len() == before {
            let shown = |module: &Module| module.join("/");
            return uses
                .iter()
                .map(|(module, used)| (shown(module), used.iter().map(shown).collect()))
                .collect();
        }
    }
}

#[test]
fn no_file_of_the_host_or_the_plugin_uses_itself_through_others() {
    for folder in ["host/src", "plugin/src"] {
        let circles = circles(&Sources::of(folder));
        assert!(circles.is_empty(), "{folder}: {circles:#?}");
    }
}

#[test]
fn what_is_dangerous_stays_behind_its_door() {
    let Sources(files) = Sources::of("host/src");
    let sockets = &["net/", "demo/", "conformance/"][..];
    // The compiler's process answers by its own.
    let output = &["output", "sandbox/compile/child"][..];
    for (word, doors) in [
        ("wasmtime::", &["sandbox/"][..]),
        ("wasmtime_wasi", &["sandbox/"]),
        ("rustls", &["net/", "demo/"]),
        ("hickory_resolver", &["net/resolve/"]),
        ("TcpStream", sockets),
        ("TcpListener", sockets),
        ("TcpSocket", sockets),
        ("UdpSocket", sockets),
        ("tokio::net", sockets),
        ("socket2", sockets),
        ("println!", &[]),
        ("io::stdout().lock", output),
        ("io::stdout().write", output),
        ("io::stderr().lock", output),
        ("io::stderr().write", output),
    ] {
        for (module, source) in &files {
            let path = module.join("/") + "/";
            let is_door =
                doors.iter().any(|door| path.starts_with(&format!("{}/", door.trim_end_matches('/'))));
            assert!(is_door || !source.contains(word), "{word} in {path}");
        }
    }
}

/// The layers by `host/README.md`, from the bottom.
fn layers() -> Vec<Vec<String>> {
    let readme = fs::read_to_string(root().join("host/README.md")).unwrap();
    let (_, table) = readme.split_once("| layer | files |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let files = table.lines().skip(2).map(|row| row.split('|').nth(2).unwrap());
    // Of names in brackets one is about what a file does.
    let bare = |cell: &str| cell.split('(').map(|part| part.rsplit(')').next().unwrap()).collect::<String>();
    files.map(|cell| bare(cell).split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()).collect()
}

#[test]
fn no_file_uses_one_of_a_higher_layer() {
    let layers = layers();
    assert_eq!(layers.len(), 5, "{layers:?}");
    let rank = |module: &Module| {
        let name = module.first()?;
        let rank = layers.iter().position(|layer| layer.contains(name));
        Some(rank.unwrap_or_else(|| panic!("{name} is in no layer of host/README.md")))
    };
    for (module, used) in Sources::of("host/src").uses() {
        for used in used {
            // The crate's root only lists them.
            let (Some(user), Some(own)) = (rank(module), rank(&used)) else { continue };
            assert!(own <= user, "{} uses {} above it", module.join("/"), used.join("/"));
        }
    }
}
