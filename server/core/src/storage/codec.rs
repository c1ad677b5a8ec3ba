//! Rows to bytes and back.
//!
//! Rule: order of bytes is order of meaning. Integers are big-endian; a user key inside a longer key is escaped so that no
//! key is a prefix of another: a zero byte becomes `00 ff`, the end is `00 01`.

use crate::error::Fault;
use crate::ids::{LeaseId, LogIndex, MemberId, Revision, Term};
use crate::mvcc::key_history::Version;
use crate::storage::table::Table;
use bytes::{BufMut, Bytes, BytesMut};

/// Length of a revision as a key.
pub const REVISION_BYTES: usize = 12;
const INDEX_ROW_BYTES: usize = 28;

/// Key of a row.
#[must_use]
pub fn row_key(revision: Revision) -> [u8; REVISION_BYTES] {
    let mut key = [0; REVISION_BYTES];
    key[..8].copy_from_slice(&revision.main.to_be_bytes());
    key[8..].copy_from_slice(&revision.sub.to_be_bytes());
    key
}

/// The revision of a row's key.
///
/// # Errors
/// A fault when the key has another length.
pub fn row_revision(key: &[u8]) -> Result<Revision, Fault> {
    let (main, sub) = key.split_at_checked(8).ok_or_else(|| wrong_length(Table::Row, key))?;
    let (Ok(main), Ok(sub)) = (main.try_into(), sub.try_into()) else {
        return Err(wrong_length(Table::Row, key));
    };
    Ok(Revision::new(i64::from_be_bytes(main), u32::from_be_bytes(sub)))
}

/// Key of an index row.
#[must_use]
pub fn index_key(user_key: &[u8], revision: Revision) -> Bytes {
    let mut key = BytesMut::with_capacity(user_key.len() + 2 + REVISION_BYTES);
    for byte in user_key {
        key.put_u8(*byte);
        if *byte == 0 {
            key.put_u8(0xff);
        }
    }
    key.put_slice(&[0, 1]);
    key.put_slice(&row_key(revision));
    key.freeze()
}

/// Value of an index row.
#[must_use]
pub fn index_value(version: &Version) -> Bytes {
    let mut value = BytesMut::with_capacity(INDEX_ROW_BYTES);
    value.put_u32(version.encoded_bytes);
    value.put_i64(version.create_revision);
    value.put_i64(version.version);
    value.put_i64(version.lease.0);
    value.freeze()
}

/// User key and version of an index row.
///
/// # Errors
/// A fault when the row is not one.
pub fn index_row(key: &[u8], value: &[u8]) -> Result<(Vec<u8>, Version), Fault> {
    let damaged = || Fault::damaged(Table::Index.name(), key, "the row cannot be decoded");
    let (escaped, revision) = key.len().checked_sub(REVISION_BYTES).map(|at| key.split_at(at)).ok_or_else(damaged)?;
    let escaped = escaped.strip_suffix(&[0, 1]).ok_or_else(damaged)?;
    let mut user_key = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        user_key.push(*byte);
        if *byte == 0 && bytes.next() != Some(&0xff) {
            return Err(damaged());
        }
    }
    let value: &[u8; INDEX_ROW_BYTES] = value.try_into().map_err(|_| damaged())?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&value[at..at + 8]);
        i64::from_be_bytes(bytes)
    };
    let version = Version {
        revision: row_revision(revision)?,
        encoded_bytes: u32::from_be_bytes([value[0], value[1], value[2], value[3]]),
        create_revision: number(4),
        version: number(12),
        lease: LeaseId(number(20)),
    };
    Ok((user_key, version))
}

/// Key of a lease, ordered as signed numbers are.
#[must_use]
pub fn lease_key(lease: LeaseId) -> [u8; 8] {
    (lease.0 ^ i64::MIN).to_be_bytes()
}

/// Key of an alarm.
#[must_use]
pub fn alarm_key(member: MemberId, alarm: i32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&member.0.to_be_bytes());
    key[8..].copy_from_slice(&alarm.to_be_bytes());
    key
}

/// Value of [`super::table::meta::APPLIED`].
#[must_use]
pub fn applied_value(term: Term, index: LogIndex) -> Bytes {
    let mut value = BytesMut::with_capacity(16);
    value.put_u64(term.0);
    value.put_u64(index.0);
    value.freeze()
}

/// Term and index of the applied entry.
///
/// # Errors
/// A fault when the value has another length.
pub fn applied(value: &[u8]) -> Result<(Term, LogIndex), Fault> {
    let (term, index) = value.split_at_checked(8).ok_or_else(|| wrong_length(Table::Meta, value))?;
    Ok((Term(u64_value(term)?), LogIndex(u64_value(index)?)))
}

/// A big-endian number in [`Table::Meta`].
///
/// # Errors
/// A fault when the value has another length.
pub fn u64_value(value: &[u8]) -> Result<u64, Fault> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| wrong_length(Table::Meta, value))
}

/// A big-endian signed number in [`Table::Meta`] or [`Table::Local`].
///
/// # Errors
/// A fault when the value has another length.
pub fn i64_value(value: &[u8]) -> Result<i64, Fault> {
    value.try_into().map(i64::from_be_bytes).map_err(|_| wrong_length(Table::Meta, value))
}

fn wrong_length(table: Table, bytes: &[u8]) -> Fault {
    Fault::damaged(table.name(), bytes, "the length is wrong")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()], 0..12)
    }

    fn revisions() -> impl Strategy<Value = Revision> {
        (0i64..i64::MAX, any::<u32>()).prop_map(|(main, sub)| Revision::new(main, sub))
    }

    proptest! {
        #[test]
        fn index_rows_come_back_and_order_as_key_then_revision(
            a in bytes(), b in bytes(), at in revisions(), bt in revisions(),
            encoded_bytes in any::<u32>(), create_revision in any::<i64>(), version in any::<i64>(), lease in any::<i64>(),
        ) {
            let row = Version { revision: at, encoded_bytes, create_revision, version, lease: LeaseId(lease) };
            let key = index_key(&a, at);
            prop_assert_eq!(index_row(&key, &index_value(&row)), Ok((a.clone(), row)));
            prop_assert_eq!(key.cmp(&index_key(&b, bt)), (a, at).cmp(&(b, bt)));
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(key in prop::collection::vec(any::<u8>(), 0..40), value in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = index_row(&key, &value);
            let _ = row_revision(&key);
            let _ = applied(&value);
            let _ = u64_value(&value);
        }

        #[test]
        fn lease_keys_order_as_numbers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(lease_key(LeaseId(a)).cmp(&lease_key(LeaseId(b))), a.cmp(&b));
        }

        #[test]
        fn row_keys_come_back(revision in revisions()) {
            prop_assert_eq!(row_revision(&row_key(revision)), Ok(revision));
        }
    }
}
