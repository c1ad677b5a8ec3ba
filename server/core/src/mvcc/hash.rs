//! The checksum of the key space that members compare, equal to etcd's for the same content (contract §2.12).
//!
//! Rule: the number depends on the revision hashed and the compaction floor, never on how far rows were physically removed.
//! So versions at or below the floor count only if the hashed revision still shows them, and a tombstone at exactly the
//! floor counts for nobody.

use crate::error::{Fault, Refusal};
use crate::ids::Revision;
use crate::mvcc::index::{Index, KeyRange};
use crate::mvcc::range::readable;
use crate::mvcc::row;
use crate::storage::codec::{row_key, row_revision};
use crate::storage::{Engine, Table};
use std::ops::ControlFlow;

/// A checksum and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpaceHash {
    /// CRC-32C.
    pub hash: u32,
    /// The floor it was taken at; −1 on a store that was never compacted.
    pub compact_revision: i64,
    /// The revision it covers.
    pub revision: i64,
}

/// The state that a hash is taken of.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'a> {
    /// The keys.
    pub index: &'a Index,
    /// Newest main revision.
    pub revision: i64,
    /// Logical compaction floor, −1 for none.
    pub compact_revision: i64,
}

/// Hashes all versions up to a revision (0: the newest).
///
/// # Errors
/// The outer one is a fault of the engine; the inner one refuses a revision that cannot be read.
pub fn hash_key_space(
    state: Hashed<'_>,
    engine: &dyn Engine,
    requested: i64,
) -> Result<Result<KeySpaceHash, Refusal>, Fault> {
    let main = match readable(requested, state.revision, state.compact_revision) {
        Ok(main) => main,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // When nothing lives at the revision, etcd counts all rows that a finished compaction leaves below the floor: those
    // that a read at the floor shows.
    let everything = KeyRange::new(&[0], &[0]);
    let any_live = state.index.iter_at(everything, main).next().is_some();
    let mut crc = crc32c::crc32c(b"key");
    let mut fault = None;
    let end = row_key(Revision::new(main + 1, 0));
    engine.scan(
        Table::Row,
        &[],
        Some(&end),
        &mut |key, value| match hashed_key(state, main, any_live, key, value) {
            Ok(Some((hashed, length))) => {
                crc = crc32c::crc32c_append(crc, &hashed[..length]);
                crc = crc32c::crc32c_append(crc, value);
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(damage) => {
                fault = Some(damage);
                ControlFlow::Break(())
            }
        },
    )?;
    match fault {
        Some(fault) => Err(fault),
        None => Ok(Ok(KeySpaceHash { hash: crc, compact_revision: state.compact_revision, revision: main })),
    }
}

/// etcd's 17 or 18 bytes of key for a row that counts: main ‖ `_` ‖ sub, and `t` for a tombstone.
fn hashed_key(
    state: Hashed<'_>,
    main: i64,
    any_live: bool,
    key: &[u8],
    value: &[u8],
) -> Result<Option<([u8; 18], usize)>, Fault> {
    let revision = row_revision(key)?;
    let head = row::head(value)?;
    if revision.main <= state.compact_revision {
        let shown_at = if any_live { main } else { state.compact_revision };
        let hidden = head.tombstone || !state.index.sees(head.key, shown_at, revision);
        if hidden {
            return Ok(None);
        }
    }
    let mut hashed = [0; 18];
    hashed[..8].copy_from_slice(&revision.main.to_be_bytes());
    hashed[8] = b'_';
    hashed[9..17].copy_from_slice(&i64::from(revision.sub).to_be_bytes());
    hashed[17] = b't';
    Ok(Some((hashed, if head.tombstone { 18 } else { 17 })))
}
