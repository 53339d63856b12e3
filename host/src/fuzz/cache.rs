//! A file of the cache: a key's first byte, how the file is read, what was stored, and changes to it. It passes if and only
//! if it is what was stored.

use std::io::{self, Read};

use blake3::Hasher;

use super::input::Draw;
use crate::sandbox::cache::{KEY_BYTES, is_stored};

const NAME: &[u8] = b"name";
/// Of 64 bytes: more than is read at once.
const MOST_REPEATS: usize = 2048;

/// Gives some bytes at a time.
struct Cut<'a>(&'a [u8], usize);

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len());
        self.0.read(&mut buffer[..count])
    }
}

pub fn cache(data: &[u8]) {
    let mut draw = Draw::new(data);
    let (key, at_once, tagged) = ([draw.byte(); KEY_BYTES], draw.below(255) + 1, draw.below(4) > 0);
    let (lie, changes) = (draw.byte(), draw.some());
    // A large file of little input.
    let mut file = draw.bytes(64).repeat(usize::from(draw.number()) % MOST_REPEATS);
    file.extend(draw.rest());
    let tag = |code: &[u8]| *Hasher::new_keyed(&key).update(NAME).update(code).finalize().as_bytes();
    if tagged {
        let tag = tag(&file);
        file.extend(tag);
    }
    let mut changes = Draw::new(changes);
    while !changes.is_over() {
        let at = usize::from(changes.number()) % file.len().max(1);
        match changes.below(3) {
            0 => file.get_mut(at).into_iter().for_each(|byte| *byte ^= changes.byte()),
            1 => file.truncate(file.len() - at.min(file.len())),
            _ => file.push(changes.byte()),
        }
    }
    // Its length as it was seen before it was read.
    let length = (file.len() as u64).saturating_add_signed(i64::from(lie.cast_signed()));
    let mut begun = Hasher::new_keyed(&key);
    begun.update(NAME);
    let passes = is_stored(begun, Cut(&file, at_once), length).unwrap_or(false);
    let stored = file.split_last_chunk::<KEY_BYTES>().is_some_and(|(code, found)| tag(code) == *found);
    assert_eq!(passes, stored && lie == 0, "{} bytes", file.len());
}
