//! Integers and booleans in Go's notation.
//!
//! Go's flags read integers with the base told by a prefix (`0x`, `0o`, `0b`, and a plain leading `0` for octal) and
//! know twelve spellings of a boolean. Digit groups with underscores are left out: nobody passes them on a command line.

/// Why a number was not read. The texts are the ones Go's flag package prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    /// Not a number.
    Syntax,
    /// A number that does not fit.
    Range,
}

impl NumberError {
    /// Go's text for a flag that holds a plain integer.
    pub(super) fn flag_text(self) -> &'static str {
        match self {
            Self::Syntax => "parse error",
            Self::Range => "value out of range",
        }
    }

    /// Go's text for a flag that hands through the error of its conversion function.
    pub(super) fn conversion_text(self) -> &'static str {
        match self {
            Self::Syntax => "invalid syntax",
            Self::Range => "value out of range",
        }
    }
}

/// Reads an unsigned integer; a sign is an error.
pub(super) fn parse_uint(text: &str) -> Result<u64, NumberError> {
    let bytes = text.as_bytes();
    let (radix, digits) = match bytes {
        [b'0', b'x' | b'X', ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(NumberError::Syntax);
    }
    u64::from_str_radix(digits, radix).map_err(|_| NumberError::Range)
}

/// Reads a signed integer.
pub(super) fn parse_int(text: &str) -> Result<i64, NumberError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i128::from(parse_uint(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| NumberError::Range)
}

/// Reads one of Go's spellings of a boolean.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_tells_the_base() {
        for (text, value) in
            [("0", 0), ("7", 7), ("0x10", 16), ("0XfF", 255), ("010", 8), ("0o17", 15), ("0b101", 5), ("00", 0)]
        {
            assert_eq!(parse_uint(text), Ok(value), "{text}");
        }
        assert_eq!(parse_uint("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_int("-0x10"), Ok(-16));
        assert_eq!(parse_int("+5"), Ok(5));
        assert_eq!(parse_int("-9223372036854775808"), Ok(i64::MIN));
    }

    #[test]
    fn what_is_not_a_number_is_told_from_what_does_not_fit() {
        for text in ["", "-1", "+1", "1.5", "abc", "0x", "08", "1_000", " 1", "é"] {
            assert_eq!(parse_uint(text), Err(NumberError::Syntax), "{text}");
        }
        assert_eq!(parse_uint("18446744073709551616"), Err(NumberError::Range));
        assert_eq!(parse_int("9223372036854775808"), Err(NumberError::Range));
        assert_eq!(parse_int("--1"), Err(NumberError::Syntax));
    }

    #[test]
    fn booleans_have_twelve_spellings() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Some(true));
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text), Some(false));
        }
        for text in ["", "yes", "no", "on", "tRUE"] {
            assert_eq!(parse_bool(text), None);
        }
    }
}
