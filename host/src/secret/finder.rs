//! Any of a set of texts, looked for in what is read piece by piece: texts, then pieces, in; where the texts stand, and where
//! one may have begun, out. Each byte is looked at once, however many the texts are, however long, and however alike.

use std::{collections::VecDeque, iter, ops::Range, sync::Arc};

use aho_corasick::{
    Anchored,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};

use super::size::NoSecret;

/// The texts.
pub(super) struct Finder {
    /// The kind of automaton that needs least memory: a secret is no more than a pattern or two for each text.
    automaton: NFA,
    /// Nothing is read.
    start: StateID,
    begun: Begun,
}

/// By state: how many bytes at the end of what was read begin one of the texts that goes on. The automaton knows, but does
/// not say.
struct Begun(Vec<u32>);

impl Begun {
    fn get(&self, state: StateID) -> u32 {
        self.0.get(state.as_usize()).copied().unwrap_or_default()
    }

    fn set(&mut self, state: StateID, bytes: u32) {
        if let Some(begun) = self.0.get_mut(state.as_usize()) {
            *begun = bytes;
        }
    }
}

impl Finder {
    /// Of texts that are not empty.
    pub(super) fn of(mut texts: Vec<Vec<u8>>) -> Result<Self, NoSecret> {
        texts.sort_by_key(Vec::len);
        let automaton = NFA::builder().prefilter(false).build(&texts).map_err(|_too_large| NoSecret::Long)?;
        let start = automaton.start_state(Anchored::No).map_err(|_never| NoSecret::Long)?;
        let mut finder = Self { automaton, start, begun: Begun(Vec::new()) };

        let last = texts.iter().flat_map(|text| finder.states(text)).max().unwrap_or(start);
        let mut begun = Begun(vec![0; last.as_usize() + 1]);
        for text in &texts {
            for (read, state) in (0..).zip(finder.states(text)).take(text.len()) {
                begun.set(state, read);
            }
        }
        // One from which no other goes on may still end with the beginning of one; if that is a whole one, it is shorter, and
        // was here before.
        for text in &texts {
            let end = |text: &[u8]| finder.states(text).last().unwrap_or(start);
            let whole = end(text);
            if begun.get(whole) == 0 {
                begun.set(whole, begun.get(end(text.get(1..).unwrap_or_default())));
            }
        }
        finder.begun = begun;
        Ok(finder)
    }

    /// The states on the way through a text, the first included.
    fn states(&self, text: &[u8]) -> impl Iterator<Item = StateID> {
        let next = |state: &mut StateID, byte: &u8| {
            *state = self.next(*state, *byte);
            Some(*state)
        };
        iter::once(self.start).chain(text.iter().scan(self.start, next))
    }

    fn next(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::No, state, byte)
    }

    /// The length of the longest text that ends here: the automaton has it before those that are its ends.
    fn ended(&self, state: StateID) -> Option<usize> {
        let longest = || self.automaton.pattern_len(self.automaton.match_pattern(state, 0));
        self.automaton.is_match(state).then(longest)
    }
}

/// What was read so far, as far as one of the texts may have begun in it.
#[derive(Clone)]
pub(super) struct Seeker {
    finder: Arc<Finder>,
    state: StateID,
}

impl Seeker {
    pub(super) fn new(finder: &Arc<Finder>) -> Self {
        Self { finder: Arc::clone(finder), state: finder.start }
    }

    /// One of the texts ends in the next piece.
    pub(super) fn finds(&mut self, mut piece: impl Iterator<Item = u8>) -> bool {
        piece.any(|byte| {
            self.state = self.finder.next(self.state, byte);
            self.finder.ended(self.state).is_some()
        })
    }
}

/// What was read so far, and where the texts stand in it.
pub(super) struct Reading {
    finder: Arc<Finder>,
    state: StateID,
    /// Bytes.
    read: usize,
    /// In order and apart, though they may touch.
    found: VecDeque<Range<usize>>,
}

impl Reading {
    pub(super) fn new(finder: &Arc<Finder>) -> Self {
        Self { finder: Arc::clone(finder), state: finder.start, read: 0, found: VecDeque::new() }
    }

    /// The next piece.
    pub(super) fn read(&mut self, piece: impl Iterator<Item = u8>) {
        for byte in piece {
            self.state = self.finder.next(self.state, byte);
            self.read += 1;
            if let Some(length) = self.finder.ended(self.state) {
                self.add(length);
            }
        }
    }

    /// Nobody will know how it goes on: what has begun counts as found, and what follows is something else.
    pub(super) fn cut(&mut self) {
        self.add(self.begun());
        self.state = self.finder.start;
    }

    /// So many bytes at the end may begin one of the texts.
    fn begun(&self) -> usize {
        self.finder.begun.get(self.state) as usize
    }

    /// So many bytes at the end were found.
    fn add(&mut self, length: usize) {
        let mut found = self.read - length..self.read;
        while let Some(before) = self.found.pop_back_if(|before| before.end > found.start) {
            found.start = found.start.min(before.start);
        }
        self.found.push_back(found);
    }

    /// Up to here is known what stands in it.
    pub(super) fn settled(&self) -> usize {
        self.read - self.begun()
    }

    /// What is found in a part of it, counted from the beginning of that part.
    pub(super) fn within(&self, part: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let first = self.found.partition_point(|found| found.end <= part.start);
        let found = self.found.range(first..).take_while(|found| found.start < part.end);
        found.map(|found| found.start.max(part.start) - part.start..found.end.min(part.end) - part.start)
    }

    /// Nobody will ask for what is before this place.
    pub(super) fn forget(&mut self, place: usize) {
        while self.found.pop_front_if(|found| found.end <= place).is_some() {}
    }
}
