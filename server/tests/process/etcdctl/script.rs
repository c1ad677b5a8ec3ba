//! The text form of a conversation with etcdctl.
//!
//! ```text
//! # Comments stand above the commands they are about.
//! put greeting hello
//! get greeting
//! ---
//! OK
//! greeting
//! hello
//! ```
//!
//! A block is a paragraph of commands, `---`, and what they print: everything up to the paragraph that stands above the
//! next `---`. What etcdctl complains of is marked with `! `, and so is an exit code other than 0. Lines that begin with
//! `  |` are the standard input of the command above them.

/// A command with its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The line as written.
    pub(crate) line: String,
    /// Its words.
    pub(crate) words: Vec<String>,
    /// Standard input.
    pub(crate) input: String,
}

/// Commands and what they print together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The paragraph as written, comments and all.
    pub(crate) head: Vec<String>,
    /// The commands in it.
    pub(crate) steps: Vec<Step>,
    /// The lines after `---`.
    pub(crate) expected: Vec<String>,
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Vec<Block> {
    let lines: Vec<&str> = text.lines().collect();
    let marks: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == "---").collect();
    // The paragraph above a mark starts after the last blank line before it.
    let head_of = |mark: usize| (0..mark).rev().find(|at| lines[*at].is_empty()).map_or(0, |blank| blank + 1);
    let mut blocks = Vec::new();
    for (place, mark) in marks.iter().enumerate() {
        let head: Vec<String> = lines[head_of(*mark)..*mark].iter().map(|line| (*line).to_owned()).collect();
        let end = marks.get(place + 1).map_or(lines.len(), |next| head_of(*next));
        let mut expected: Vec<String> = lines[mark + 1..end].iter().map(|line| (*line).to_owned()).collect();
        while expected.last().is_some_and(String::is_empty) {
            expected.pop();
        }
        while expected.first().is_some_and(String::is_empty) {
            expected.remove(0);
        }
        blocks.push(Block { steps: steps(&head), head, expected });
    }
    blocks
}

/// Writes a script; the opposite of [`parse`] but for blank lines between blocks.
pub(crate) fn print(blocks: &[Block]) -> String {
    let paragraphs: Vec<String> = blocks
        .iter()
        .map(|block| {
            let lines =
                block.head.iter().map(String::as_str).chain(["---"]).chain(block.expected.iter().map(String::as_str));
            lines.fold(String::new(), |text, line| text + line + "\n")
        })
        .collect();
    paragraphs.join("\n")
}

fn steps(head: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in head {
        if line.starts_with('#') {
            continue;
        }
        if let Some(input) = line.strip_prefix("  |") {
            let step = steps.last_mut().expect("standard input stands below a command");
            step.input.push_str(input.strip_prefix(' ').unwrap_or(input));
            step.input.push('\n');
        } else {
            steps.push(Step { line: line.clone(), words: words(line), input: String::new() });
        }
    }
    steps
}

/// Words as a shell would split them; single and double quotes keep blanks, and nothing else is special.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    assert!(quote.is_none(), "a quote is not closed: {line}");
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_in_what_is_printed_do_not_end_a_block() {
        let text = "# about\ntxn -i\n  | put a 1\n  |\n---\nSUCCESS\n\nOK\n\nget a\n---\na\n1\n";
        let blocks = parse(text);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].expected, ["SUCCESS", "", "OK"]);
        assert_eq!(blocks[0].steps[0].input, "put a 1\n\n");
        assert_eq!(blocks[1].steps[0].words, ["get", "a"]);
        assert_eq!(print(&blocks), text);
    }

    #[test]
    fn quotes_keep_blanks_and_empty_words() {
        assert_eq!(words(r#"put "a b" '' 'c"d'"#), ["put", "a b", "", "c\"d"]);
    }
}
