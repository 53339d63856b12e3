//! How many threads jobs run on.

use std::{path::Path, thread};

use crate::config::of_text;

#[test]
fn there_are_no_more_threads_than_jobs_run_at_once() {
    let threads = |head: &str, jobs: usize| {
        let job = |number: usize| format!("[[job]]\nname = \"{number}\"\nhost = \"h\"\n");
        let text = format!("{head}\n{}", (0..jobs).map(job).collect::<String>());
        of_text(Path::new("sonde.toml"), &text).ok().unwrap().threads
    };
    assert_eq!(threads("threads = 7", 100), 7);
    assert_eq!(threads("threads = 7", 3), 3);
    assert_eq!(threads("threads = 7\nmax_concurrent = 2", 100), 2);
    let cores = thread::available_parallelism().unwrap().get();
    assert_eq!(threads("", 64), cores.min(64));
    assert_eq!(threads("", 1), 1);
}
