//! Writing protobuf by field number.
//!
//! Kubernetes publishes hundreds of messages; these objects use a few fields of some. Spelling those by number keeps
//! Kubernetes' files out of the tree. Numbers are those of its published `generated.proto` files.

/// A message being written. Fields appear in the order of the calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.varint(field << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3 | VARINT);
        self.varint(value);
        self
    }

    pub(crate) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// A map from text to text: one entry message per pair.
    pub(crate) fn pairs<V: AsRef<[u8]>>(self, field: u64, pairs: &[(&str, V)]) -> Self {
        pairs
            .iter()
            .fold(self, |message, (key, value)| message.message(field, &Self::new().bytes(1, key).bytes(2, value)))
    }

    /// Seconds since 1970, as Kubernetes' `Time`.
    pub(crate) fn time(self, field: u64, seconds: u64) -> Self {
        self.message(field, &Self::new().number(1, seconds))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use quorate_client::mvccpb::KeyValue;

    use super::*;

    #[test]
    fn what_is_written_here_is_read_by_a_protobuf_library() {
        let written = Message::new().bytes(1, "key").number(3, 1 << 40).bytes(5, vec![7; 300]).number(6, 127);
        let read = KeyValue::decode(written.into_bytes().as_slice()).expect("is protobuf");
        let expected = KeyValue {
            key: "key".into(),
            mod_revision: 1 << 40,
            value: vec![7; 300].into(),
            lease: 127,
            ..Default::default()
        };
        assert_eq!(read, expected);
    }
}
