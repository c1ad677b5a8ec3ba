//! Words of a command: plain ones, flags, and `name=value`.

use bytes::Bytes;

/// What is wrong with a command.
pub(super) type Wrong = String;

/// The words of a command that were not understood yet.
pub(super) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.split_whitespace().collect())
    }

    /// The next word in order.
    pub(super) fn next(&mut self, what: &str) -> Result<&'a str, Wrong> {
        if self.0.is_empty() { Err(format!("{what} is missing")) } else { Ok(self.0.remove(0)) }
    }

    /// All words that are left.
    pub(super) fn rest(&mut self) -> Vec<&'a str> {
        std::mem::take(&mut self.0)
    }

    /// True if this word is there.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|word| *word == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    /// The value of `name=value`.
    pub(super) fn option(&mut self, name: &str) -> Option<&'a str> {
        let value = |word: &&'a str| word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
        let at = self.0.iter().position(|word| value(word).is_some())?;
        value(&self.0.remove(at))
    }

    /// The number of `name=number`.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>, Wrong> {
        self.option(name).map(number).transpose()
    }

    /// The number of `name=number` where numbers are not negative; 0 when it is not there.
    pub(super) fn unsigned(&mut self, name: &str) -> Result<u64, Wrong> {
        self.option(name).map_or(Ok(0), |word| word.parse().map_err(|_| format!("{word} is no number")))
    }

    /// Complains about words that nobody wanted.
    pub(super) fn end(self) -> Result<(), Wrong> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("not understood: {}", self.0.join(" "))) }
    }
}

pub(super) fn number(word: &str) -> Result<i64, Wrong> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

/// Reads a key or a value: `\xNN` is a byte, `""` nothing, `x<1000>` a thousand times x.
pub(super) fn bytes(word: &str) -> Result<Bytes, Wrong> {
    if word == "\"\"" {
        return Ok(Bytes::new());
    }
    let mut letters = word.bytes();
    if let (Some(letter), Some(count)) = (letters.next(), word.get(1..).and_then(|rest| rest.strip_prefix('<'))) {
        let count = count.strip_suffix('>').ok_or("> is missing")?;
        let count = usize::try_from(number(count)?).map_err(|_| "a negative length")?;
        return Ok(vec![letter; count].into());
    }
    let mut read = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            read.push(*first);
            continue;
        }
        let digits = after.strip_prefix(b"x").and_then(|after| after.split_at_checked(2));
        let (digits, after) = digits.ok_or_else(|| format!("{word}: \\ begins \\xNN"))?;
        let digits = std::str::from_utf8(digits).map_err(|_| "digits are ASCII")?;
        read.push(u8::from_str_radix(digits, 16).map_err(|_| format!("{word}: {digits} is no byte"))?);
        rest = after;
    }
    Ok(read.into())
}

/// Writes a key or a value as [`bytes`] reads it; nothing for nothing.
pub(super) fn text(bytes: &[u8]) -> String {
    if let Some(first) = bytes.first().filter(|first| bytes.len() > 40 && bytes.iter().all(|byte| byte == *first)) {
        return format!("{}<{}>", char::from(*first), bytes.len());
    }
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'=' | b'"');
    bytes
        .iter()
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("\\x{byte:02x}") })
        .collect()
}
