//! Any of a set of texts, looked for in what is read piece by piece: texts, then pieces, in; where the texts stand, and where
//! one may have begun, out. Each byte is looked at once, however many the texts are, however long, and however alike.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::size::NoSecret;

/// The texts, as a tree of what they begin with, in which each place knows where it goes on after a byte that it does not
/// have (Aho and Corasick, "Efficient string matching", 1975). Small and soon made: a job with a password has two.
pub(super) struct Finder(Vec<Place>);

/// A place in the tree, by its number.
type State = u32;

/// Nothing is read, or nothing of use.
const START: State = 0;

/// What was read is the beginning of a text.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The last byte of it.
    byte: u8,
    /// The first of those that are one byte longer; `START`: there is none.
    longer: State,
    /// The next of those that are as long as this one and differ in the last byte; `START`: there is none.
    beside: State,
    /// The longest beginning of a text that this one ends with, itself not counted.
    shorter: State,
    /// Bytes of the longest text that this one ends with; none: 0.
    ended: u32,
    /// Bytes at its end that begin a text which goes on.
    begun: u32,
}

impl Finder {
    /// Of texts that are not empty.
    pub(super) fn of(texts: &[Vec<u8>]) -> Result<Self, NoSecret> {
        let mut finder = Self(vec![Place::default()]);
        for text in texts {
            finder.add(text)?;
        }
        finder.connect();
        Ok(finder)
    }

    fn add(&mut self, text: &[u8]) -> Result<(), NoSecret> {
        let (mut state, mut length) = (START, 0);
        for &byte in text {
            // What one of the texts begins with, another goes on from.
            self.set(state, |place| place.begun = length);
            length += 1;
            state = if let Some(longer) = self.longer(state, byte) {
                longer
            } else {
                let longer = State::try_from(self.0.len()).map_err(|_too_large| NoSecret::Long)?;
                self.0.push(Place { byte, beside: self.place(state).longer, ..Place::default() });
                self.set(state, |place| place.longer = longer);
                longer
            };
        }
        self.set(state, |place| place.ended = length);
        Ok(())
    }

    /// Says of each place what it ends with: of the shorter ones first, which that depends on.
    fn connect(&mut self) {
        let mut rest = VecDeque::from([START]);
        while let Some(state) = rest.pop_front() {
            let above = *self.place(state);
            let mut longer = above.longer;
            while longer != START {
                let place = *self.place(longer);
                let shorter = if state == START { START } else { self.next(above.shorter, place.byte) };
                let ends = *self.place(shorter);
                self.set(longer, |place| {
                    place.shorter = shorter;
                    if place.ended == 0 {
                        place.ended = ends.ended;
                    }
                    if place.longer == START {
                        place.begun = ends.begun;
                    }
                });
                rest.push_back(longer);
                longer = place.beside;
            }
        }
    }

    fn place(&self, state: State) -> &Place {
        const NOWHERE: Place =
            Place { byte: 0, longer: START, beside: START, shorter: START, ended: 0, begun: 0 };
        self.0.get(state as usize).unwrap_or(&NOWHERE)
    }

    fn set(&mut self, state: State, set: impl FnOnce(&mut Place)) {
        if let Some(place) = self.0.get_mut(state as usize) {
            set(place);
        }
    }

    fn longer(&self, state: State, byte: u8) -> Option<State> {
        let mut longer = self.place(state).longer;
        while longer != START {
            let place = self.place(longer);
            if place.byte == byte {
                return Some(longer);
            }
            longer = place.beside;
        }
        None
    }

    /// Each step back was a step forward before: of all bytes together there are no more.
    fn next(&self, mut state: State, byte: u8) -> State {
        loop {
            match self.longer(state, byte) {
                Some(longer) => return longer,
                None if state == START => return START,
                None => state = self.place(state).shorter,
            }
        }
    }

    /// The length of the longest text that ends here.
    fn ended(&self, state: State) -> Option<usize> {
        let ended = self.place(state).ended;
        (ended > 0).then_some(ended as usize)
    }
}

/// What was read so far, as far as one of the texts may have begun in it.
#[derive(Clone)]
pub(super) struct Seeker {
    finder: Arc<Finder>,
    state: State,
}

impl Seeker {
    pub(super) fn new(finder: &Arc<Finder>) -> Self {
        Self { finder: Arc::clone(finder), state: START }
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
    state: State,
    /// Bytes.
    read: usize,
    /// In order and apart, though they may touch.
    found: VecDeque<Range<usize>>,
}

impl Reading {
    pub(super) fn new(finder: &Arc<Finder>) -> Self {
        Self { finder: Arc::clone(finder), state: START, read: 0, found: VecDeque::new() }
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
        self.state = START;
    }

    /// So many bytes at the end may begin one of the texts.
    fn begun(&self) -> usize {
        self.finder.place(self.state).begun as usize
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_byte_says_which_text_ends_there_and_which_may_have_begun(
            texts in prop::collection::vec("[ab]{1,5}", 1..6), read in "[abc]{0,40}"
        ) {
            let finder = Finder::of(&texts.iter().map(|text| text.clone().into_bytes()).collect::<Vec<_>>()).unwrap();
            let mut state = START;
            for (at, byte) in read.bytes().enumerate() {
                state = finder.next(state, byte);
                let read = &read[..=at];
                let ended = texts.iter().filter(|text| read.ends_with(*text)).map(String::len).max();
                prop_assert_eq!(finder.ended(state), ended);
                let goes_on = |end: &str| texts.iter().any(|text| text.starts_with(end) && text != end);
                let begun = (0..read.len()).map(|from| &read[from..]).find(|end| goes_on(end));
                prop_assert_eq!(finder.place(state).begun as usize, begun.map_or(0, str::len));
            }
        }
    }
}
