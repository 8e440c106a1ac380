//! Words for a terminal.

/// Columns of a line.
pub(super) const WIDTH: usize = 100;

/// Adds `words` in lines of a hundred columns at most, each behind `indent`; nothing where there are none.
pub fn paragraph(text: &mut String, words: &str, indent: &str) {
    if words.is_empty() {
        return;
    }
    let options = textwrap::Options::new(WIDTH)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .initial_indent(indent)
        .subsequent_indent(indent);
    for line in textwrap::wrap(words, options) {
        text.push_str(&line);
        text.push('\n');
    }
}
