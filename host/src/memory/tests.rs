//! What comes back at the next start, and what keeps it from coming back.

use std::{fs, path::Path};

use super::*;

/// Later than all that is written here.
const NOW_MS: i64 = 1_800_000_000_000;

fn key() -> JobKey {
    ("a".to_owned(), "h".to_owned())
}

const REFUSAL: Refusal = Refusal { times: 3, until_ms: 7, mark: 9 };

async fn opened(path: &Path) -> (Memory, Notes) {
    // The thread of the last may have the file a moment longer.
    for _ in 0..1000 {
        if let Ok(opened) = Memory::open(path.to_owned(), NOW_MS).await {
            return opened;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} stays locked", path.display());
}

#[tokio::test]
async fn what_was_handed_over_is_in_the_file_and_the_last_of_it_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (memory, begun) = opened(&path).await;
    for times in 0..=3 {
        memory.keep_refusal(&key(), Some(Refusal { times, ..REFUSAL }));
        memory.keep_runs(&key(), Some(vec![1, 2, times.into()]));
        memory.keep_round(&key(), Some(times.into()));
    }
    memory.kept().await;
    let read = || Notes::of(&fs::read(&path).unwrap()).unwrap();
    let (runs, rounds) = ([(key(), vec![1, 2, 3])].into(), [(key(), 3)].into());
    assert_eq!(read(), Notes { key: begun.key, runs, rounds, refused: [(key(), REFUSAL)].into() });
    memory.keep_refusal(&key(), None);
    memory.keep_runs(&key(), None);
    memory.keep_round(&key(), None);
    memory.kept().await;
    assert_eq!(read(), begun);
}

#[tokio::test]
async fn what_is_not_what_was_written_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    for (number, bytes) in ["", "{\"version\":1}", "{\"version\":", "{\"version\":2}"].into_iter().enumerate()
    {
        let path = folder.path().join(number.to_string());
        fs::write(&path, bytes).unwrap();
        let (memory, begun) = opened(&path).await;
        assert!(begun.runs.is_empty() && begun.refused.is_empty());
        memory.keep_runs(&key(), Some(vec![1]));
        memory.kept().await;
        assert_eq!(Notes::of(&fs::read(&path).unwrap()).unwrap().runs.len(), 1);
    }
}

#[tokio::test]
async fn what_sonde_never_wrote_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    fs::write(&path, "hunter2").unwrap();
    let refused = Memory::open(path.clone(), NOW_MS).await.err().unwrap().to_string();
    assert!(refused.contains(": not what sonde writes: remove it, or give `state_file` a name"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "hunter2");
}

#[tokio::test]
async fn a_second_program_does_without_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (first, _) = opened(&path).await;
    first.keep_runs(&key(), Some(vec![1]));
    let Err(error) = Memory::open(path.clone(), NOW_MS).await else { panic!("both have it") };
    assert_eq!(error.level(), Level::Warning);
    let said = "another sonde has it: what is held back now is forgotten at the end";
    assert_eq!(error.to_string(), format!("state_file {}: {said}", path.display()));
    first.kept().await;
    assert_eq!(Notes::of(&fs::read(&path).unwrap()).unwrap().runs.len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_file_that_another_program_has_gets_it_when_that_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (first, _) = opened(&path).await;
    first.keep_refusal(&key(), Some(REFUSAL));
    let second = Memory::open_until(path.clone(), || NOW_MS, std::future::pending());
    let ends = async {
        time::sleep(3 * AGAIN).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(second, ends);
    assert_eq!(second.unwrap().1.refused[&key()].times, REFUSAL.times);
}

#[tokio::test]
async fn rounds_are_written_later_than_what_holds_somebody_back_and_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (memory, _) = opened(&path).await;
    let written = || Notes::of(&fs::read(&path).unwrap()).map_or(0, |notes| notes.rounds.len());
    // It was begun.
    while Notes::of(&fs::read(&path).unwrap()).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    memory.keep_round(&key(), Some(1));
    thread::sleep(2 * PAUSE);
    assert_eq!(written(), 0);
    memory.keep_refusal(&key(), Some(REFUSAL));
    // Nobody asks for it.
    while written() == 0 {
        thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_any_more_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("within/state");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let (memory, _) = opened(&path).await;
    memory.kept().await;
    // The folder of its name is another one's now.
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    memory.keep_refusal(&key(), Some(REFUSAL));
    memory.kept().await;
    assert!(!path.exists());
    // Once it can be written again, it is, with all that came meanwhile.
    fs::create_dir(path.parent().unwrap()).unwrap();
    memory.keep_runs(&key(), Some(vec![1]));
    memory.kept().await;
    let notes = Notes::of(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((notes.runs.len(), notes.refused.len()), (1, 1));
}
