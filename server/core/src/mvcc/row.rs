//! The encoded key-value: made once, when a change is applied, and never decoded on the way out.
//!
//! Rule: the bytes here are the store's row, the range answer's entry and the watch event's `kv`. They must therefore be
//! exactly what a protobuf encoder gives for `mvccpb.KeyValue` with fields in number order and zeros left out, which is
//! also what makes HashKV agree with etcd's (contract §2.12, §7.4).

use crate::error::Fault;
use crate::mvccpb::{Event, KeyValue};
use crate::storage::table::Table;
use bytes::Bytes;
use prost::Message;

/// The parts of a row that can be had without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowHead<'a> {
    /// The user key.
    pub key: &'a [u8],
    /// True for a deletion.
    pub tombstone: bool,
}

/// Encodes a key-value.
#[must_use]
pub fn encode(kv: &KeyValue) -> Bytes {
    kv.encode_to_vec().into()
}

/// The row of a deletion: nothing but the key.
#[must_use]
pub fn tombstone(key: &[u8]) -> Bytes {
    encode(&KeyValue { key: Bytes::copy_from_slice(key), ..KeyValue::default() })
}

/// Decodes a row.
///
/// # Errors
/// A fault when the bytes are no key-value.
pub fn decode(row: &Bytes) -> Result<KeyValue, Fault> {
    KeyValue::decode(row.clone()).map_err(|error| Fault::damaged(Table::Row.name(), row, error))
}

/// The key of a row, and whether it is a tombstone.
///
/// # Errors
/// A fault when the bytes do not begin with a key.
pub fn head(row: &[u8]) -> Result<RowHead<'_>, Fault> {
    let damaged = || Fault::damaged(Table::Row.name(), row, "the row has no key");
    // Field 1, length-delimited.
    let mut rest = row.strip_prefix(&[0x0a]).ok_or_else(damaged)?;
    let length = prost::encoding::decode_varint(&mut rest).map_err(|_| damaged())?;
    let length = usize::try_from(length).map_err(|_| damaged())?;
    let (key, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
    Ok(RowHead { key, tombstone: rest.is_empty() })
}

/// An encoded `mvccpb.Event`. `kv` and `prev_kv` are encoded key-values; an empty `prev_kv` is an absent one.
#[must_use]
pub fn event(delete: bool, kv: &[u8], prev_kv: &[u8]) -> Bytes {
    use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
    let length = |bytes: &[u8]| 1 + encoded_len_varint(bytes.len() as u64) + bytes.len();
    let mut encoded = Vec::with_capacity(2 + length(kv) + length(prev_kv));
    if delete {
        encode_key(1, WireType::Varint, &mut encoded);
        encode_varint(1, &mut encoded);
    }
    for (number, bytes) in [(2, kv), (3, prev_kv)] {
        if !bytes.is_empty() {
            encode_key(number, WireType::LengthDelimited, &mut encoded);
            encode_varint(bytes.len() as u64, &mut encoded);
            encoded.extend_from_slice(bytes);
        }
    }
    debug_assert!(Event::decode(&encoded[..]).is_ok());
    encoded.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvccpb::event::EventType;
    use proptest::prelude::*;

    fn key_values() -> impl Strategy<Value = KeyValue> {
        let bytes = || prop::collection::vec(any::<u8>(), 1..200).prop_map(Bytes::from);
        (bytes(), bytes(), 1i64..1000, 1i64..1000, 1i64..1000, any::<i64>()).prop_map(
            |(key, value, create_revision, mod_revision, version, lease)| KeyValue {
                key,
                value,
                create_revision,
                mod_revision,
                version,
                lease,
            },
        )
    }

    proptest! {
        #[test]
        fn a_row_tells_its_key_without_being_decoded(kv in key_values()) {
            let (live, dead) = (encode(&kv), tombstone(&kv.key));
            prop_assert_eq!(head(&live), Ok(RowHead { key: &kv.key, tombstone: false }));
            prop_assert_eq!(head(&dead), Ok(RowHead { key: &kv.key, tombstone: true }));
            prop_assert_eq!(decode(&encode(&kv)), Ok(kv));
        }

        #[test]
        fn an_event_is_what_a_protobuf_encoder_gives(kv in key_values(), prev_kv in key_values(), delete: bool, with: bool) {
            let prev = if with { encode(&prev_kv) } else { Bytes::new() };
            let r#type = if delete { EventType::Delete } else { EventType::Put };
            let whole = Event { r#type: r#type.into(), kv: Some(kv.clone()), prev_kv: with.then_some(prev_kv) };
            prop_assert_eq!(event(delete, &encode(&kv), &prev).to_vec(), whole.encode_to_vec());
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = head(&bytes);
            let _ = decode(&Bytes::from(bytes));
        }
    }
}
