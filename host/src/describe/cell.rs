//! A cell of a table in Markdown.

/// An author's words, which must not end a table's cell; a bar that they escape themselves is escaped.
pub(super) fn cell(text: &str) -> String {
    let (mut cell, mut escaped) = (String::new(), false);
    for c in text.chars() {
        if c == '|' && !escaped {
            cell.push('\\');
        }
        escaped = c == '\\' && !escaped;
        cell.push(c);
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authors_words_do_not_end_a_cell() {
        for (words, expected) in
            [("a | b", r"a \| b"), (r"a \| b", r"a \| b"), (r"a \\| b", r"a \\\| b"), (r"\", r"\")]
        {
            assert_eq!(cell(words), expected);
        }
    }
}
