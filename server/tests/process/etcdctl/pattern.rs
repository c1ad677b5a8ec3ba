//! Expected text with holes for what differs from run to run.
//!
//! A hole is `<kind>` or `<Name:kind>`; a name is remembered, and `<Name>` stands for what it was, in later commands as well
//! as in later expectations. Kinds: `n` a whole number, `hex` lower-case hex digits, `any` the rest of anything within a
//! line, `lines` any number of whole lines (alone on its line).

use std::collections::BTreeMap;

/// What names stand for.
pub(crate) type Names = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Number,
    Hex,
    Any,
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        match word {
            "n" => Some(Self::Number),
            "hex" => Some(Self::Hex),
            "any" => Some(Self::Any),
            _ => None,
        }
    }

    fn admits(self, text: &str) -> bool {
        match self {
            Self::Number => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Hex => !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            Self::Any => true,
        }
    }
}

#[derive(Debug)]
enum Piece<'a> {
    Text(&'a str),
    Hole(Kind, Option<&'a str>),
    /// A name: what it stands for by now, also if it was found on the same line.
    Name(&'a str),
}

/// Puts what is known in place of `<Name>`.
pub(crate) fn fill(text: &str, names: &Names) -> String {
    let mut filled = text.to_owned();
    for (name, value) in names {
        filled = filled.replace(&format!("<{name}>"), value);
    }
    filled
}

/// Whether the actual lines are the expected ones. Names found on the way are added when all of it matches.
pub(crate) fn matches(expected: &[String], actual: &[String], names: &mut Names) -> bool {
    let mut found = names.clone();
    if match_lines(expected, actual, &mut found) {
        *names = found;
        return true;
    }
    false
}

fn match_lines(expected: &[String], actual: &[String], names: &mut Names) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return actual.is_empty();
    };
    if first == "<lines>" {
        return (0..=actual.len()).any(|skipped| {
            let mut found = names.clone();
            let fits = match_lines(rest, &actual[skipped..], &mut found);
            if fits {
                *names = found;
            }
            fits
        });
    }
    let Some((line, others)) = actual.split_first() else {
        return false;
    };
    match_line(&pieces(first), line, names) && match_lines(rest, others, names)
}

fn match_line(pieces: &[Piece<'_>], line: &str, names: &mut Names) -> bool {
    match pieces.split_first() {
        None => line.is_empty(),
        Some((Piece::Text(text), rest)) => line.strip_prefix(text).is_some_and(|line| match_line(rest, line, names)),
        Some((Piece::Name(name), rest)) => {
            let known = names.get(*name).cloned().unwrap_or_else(|| format!("<{name}>"));
            line.strip_prefix(known.as_str()).is_some_and(|line| match_line(rest, line, names))
        }
        Some((Piece::Hole(kind, name), rest)) => {
            let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            // Longest first: a number takes all of its digits.
            ends.rev().any(|end| {
                if !kind.admits(&line[..end]) {
                    return false;
                }
                let mut found = names.clone();
                if let Some(name) = name {
                    found.insert((*name).to_owned(), line[..end].to_owned());
                }
                let fits = match_line(rest, &line[end..], &mut found);
                if fits {
                    *names = found;
                }
                fits
            })
        }
    }
}

fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text_from = 0;
    let mut at = 0;
    while let Some(open) = line[at..].find('<').map(|offset| at + offset) {
        at = open + 1;
        let Some(close) = line[at..].find('>').map(|offset| at + offset) else {
            break;
        };
        let inside = &line[at..close];
        let (name, kind) = inside.split_once(':').map_or((None, inside), |(name, kind)| (Some(name), kind));
        let hole = match Kind::of(kind) {
            Some(kind) => Piece::Hole(kind, name),
            None if !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Piece::Name(inside)
            }
            None => continue,
        };
        pieces.push(Piece::Text(&line[text_from..open]));
        pieces.push(hole);
        text_from = close + 1;
        at = text_from;
    }
    pieces.push(Piece::Text(&line[text_from..]));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn fits(expected: &str, actual: &str) -> Option<Names> {
        let mut names = Names::new();
        matches(&lines(expected), &lines(actual), &mut names).then_some(names)
    }

    #[test]
    fn holes_admit_only_their_kind_and_names_are_remembered() {
        let names = fits("lease <L:hex> granted with TTL(<n>s)\nagain <L>", "lease 7f granted with TTL(60s)\nagain 7f");
        assert_eq!(names.expect("fits").get("L").map(String::as_str), Some("7f"));
        assert_eq!(fits("lease <L:hex>\nagain <L>", "lease 7f\nagain 80"), None);
        assert_eq!(fits("<n>", "7f"), None);
        assert!(fits("<A:n> is <A>, <B>", "5 is 5, <B>").is_some());
        assert_eq!(fits("<A:n> is <A>", "5 is 6"), None);
        assert_eq!(fits("<n>", "-1").map(|names| names.len()), Some(0));
        assert_eq!(fits("a <any>, took <any>", "a b, c, took 3ms").map(|names| names.len()), Some(0));
    }

    #[test]
    fn whole_lines_may_be_left_open_but_nothing_else() {
        assert!(fits("a\n<lines>\nz", "a\nb\nc\nz").is_some());
        assert!(fits("a\n<lines>\nz", "a\nz").is_some());
        assert!(fits("a", "a\nb").is_none());
        assert!(fits("a\nb", "a").is_none());
        assert!(fits("1 < 2 <not a hole>", "1 < 2 <not a hole>").is_some());
    }
}
