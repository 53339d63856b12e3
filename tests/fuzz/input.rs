//! What the fuzz targets of all crates share: choices drawn from an input; and for the short form, which runs with the other
//! tests, inputs made of a folder's seeds: always the same ones.

/// Choices, drawn from the front of an input; behind its end each is the first.
pub(crate) struct Draw<'a>(&'a [u8]);

#[allow(dead_code, reason = "not every crate needs all of it")]
impl<'a> Draw<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub(crate) fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Some bytes, as many as the next one says.
    pub(crate) fn some(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.bytes(count.into())
    }

    /// A short text.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.some()).into_owned()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
pub(crate) use short::run;

#[cfg(test)]
mod short {
    use std::{fs, path::Path, thread};

    /// The most bytes that are put in or made up at once.
    const SOME: u64 = 64;
    /// Changes to one seed.
    const CHANGES: u64 = 8;

    /// Runs a target on each seed in a folder, and on so many inputs made of them.
    pub(crate) fn run(seeds: &str, count: usize, target: fn(&[u8])) {
        let mut files: Vec<_> =
            fs::read_dir(Path::new(seeds)).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let mut random = Random(0x5eed);
        let made = (0..count).map(|_| input(&seeds, &mut random));
        for input in seeds.iter().cloned().chain(made.collect::<Vec<_>>()) {
            let shown = Shown(&input);
            target(shown.0);
        }
    }

    /// An input that breaks a promise, to be kept as a seed.
    struct Shown<'a>(&'a [u8]);

    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                println!("the input: \"{}\"", self.0.escape_ascii());
            }
        }
    }

    fn input(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
        let mut input = random.one_of(seeds).cloned().unwrap_or_default();
        for _ in 0..=random.below(CHANGES) {
            let at = random.place(&input);
            match random.below(5) {
                0 => drop(input.splice(at..at, random.bytes())),
                1 => {
                    let end = (at + random.below(SOME)).min(input.len());
                    drop(input.splice(at..end, random.bytes()));
                }
                2 => drop(input.drain(at..(at + random.below(SOME)).min(input.len()))),
                3 => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
                _ => {
                    let other = random.one_of(seeds).cloned().unwrap_or_default();
                    let from = random.place(&other);
                    drop(input.splice(at.., other[from..].iter().copied()));
                }
            }
        }
        input
    }

    /// Marsaglia's xorshift generator of 64 bits.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, count: u64) -> usize {
            usize::try_from((self.next() >> 16) % count.max(1)).unwrap()
        }

        fn place(&mut self, input: &[u8]) -> usize {
            self.below(input.len() as u64 + 1)
        }

        fn one_of<'a>(&mut self, seeds: &'a [Vec<u8>]) -> Option<&'a Vec<u8>> {
            seeds.get(self.below(seeds.len() as u64))
        }

        fn bytes(&mut self) -> Vec<u8> {
            (0..self.below(SOME)).map(|_| self.next().to_be_bytes()[0]).collect()
        }
    }
}
