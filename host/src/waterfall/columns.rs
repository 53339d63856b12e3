//! Text by the columns that it takes on a terminal: how wide it is, cut, broken into lines.

/// Columns that a terminal gives a character, rather too many than too few.
fn columns(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{231a}'..='\u{23ff}'
        | '\u{25a0}'..='\u{27ff}'
        | '\u{2b00}'..='\u{2bff}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe10}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ffe6}'
        | '\u{16fe0}'..='\u{1b2ff}'
        | '\u{1f000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The longest beginning within so many columns, and the rest.
fn split(text: &str, limit: usize) -> (&str, &str) {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += columns(*c);
        used > limit
    });
    end.and_then(|(at, _)| text.split_at_checked(at)).unwrap_or((text, ""))
}

pub(super) fn cut(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    format!("{}…", split(text, limit - 1).0)
}

/// Lines broken between words where there are any.
pub(super) fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if lines.len() + 1 == most {
            lines.push(cut(rest, columns));
            break;
        }
        let (fits, more) = split(rest, columns);
        let space = if more.is_empty() || more.starts_with(' ') { None } else { fits.rfind(' ') };
        let (line, more) = space.and_then(|at| rest.split_at_checked(at)).unwrap_or((fits, more));
        lines.push(line.trim_end().to_owned());
        rest = more.trim_start();
    }
    lines
}
