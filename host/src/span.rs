//! Spans of time as people write them: a text such as `20s` in, whole milliseconds out, and back.

/// Reads `20s`, `500ms`, `2m`.
#[must_use]
pub fn milliseconds(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let each = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(each)
}

/// Writes them in the largest unit that leaves nothing over.
#[must_use]
pub fn text(milliseconds: u64) -> String {
    match milliseconds {
        0 => "0s".to_owned(),
        all if all % 60_000 == 0 => format!("{}m", all / 60_000),
        all if all % 1000 == 0 => format!("{}s", all / 1000),
        all => format!("{all}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same_again() {
        for (span, written) in
            [(0, "0s"), (1, "1ms"), (500, "500ms"), (20_000, "20s"), (90_000, "90s"), (120_000, "2m")]
        {
            assert_eq!(text(span), written);
            assert_eq!(milliseconds(written), Some(span));
        }
        assert_eq!(milliseconds("2000ms"), Some(2000));
    }

    #[test]
    fn what_is_no_whole_number_of_a_known_unit_is_none() {
        for text in ["", "20", "s", "1us", "0.5ms", "1.5s", "-1s", " 1s", "1 s", "1h", "1s1ms", "1S", "٣s"] {
            assert_eq!(milliseconds(text), None, "{text:?}");
        }
        assert_eq!(milliseconds("18446744073709551615m"), None);
    }
}
