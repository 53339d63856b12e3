//! What stands in the place of secrets: a text and where they are in it in; the text without them out.

use std::ops::Range;

/// What stands for a secret.
const MASK: &str = "***";

pub(super) fn mask(text: &str, secrets: &[Range<usize>]) -> String {
    let (mut masked, mut at) = (String::new(), 0);
    for secret in secrets {
        masked.push_str(text.get(at..secret.start.min(text.len())).unwrap_or_default());
        if secret.start < text.len() {
            masked.push_str(MASK);
        }
        at = secret.end;
    }
    masked.push_str(text.get(at..).unwrap_or_default());
    masked
}
