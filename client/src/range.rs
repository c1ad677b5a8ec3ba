//! How a prefix is asked for.

use bytes::Bytes;

/// The `range_end` that makes a range of all keys beginning with `prefix`.
///
/// It is the prefix with its last byte that can grow made one larger. A prefix of nothing but `0xff` bytes, or an empty
/// one, has no such end: then one zero byte is returned, which a server reads as "to the last key".
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    match prefix.iter().rposition(|byte| *byte != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
        None => Bytes::from_static(&[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_its_successor() {
        assert_eq!(prefix_end(b"/registry/pods/"), "/registry/pods0");
        assert_eq!(prefix_end(b"a\xff\xff"), "b");
        assert_eq!(prefix_end(b"\xff"), "\0");
        assert_eq!(prefix_end(b""), "\0");
    }
}
