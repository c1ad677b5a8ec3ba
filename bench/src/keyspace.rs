//! Keys and values of the plain workloads.
//!
//! Key `i` is `i` in decimal, padded with zeros on the left to the key's size, so that keys sort like their numbers.
//! Values are random bytes, so that a server which compresses gains nothing that a real load might not give.

use bytes::Bytes;
use clap::Args;
use quorate_client::{Kv, api};

use crate::{error::Trouble, random::Random};

/// Random bytes from which values are cut, in one allocation: cutting costs the client nothing.
const POOL_BYTES: usize = 4 << 20;

/// Sizes of keys and values, and how many keys there are.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct Keyspace {
    /// Size of a key.
    #[arg(long, default_value_t = 8)]
    pub(crate) key_bytes: usize,
    /// Size of a value.
    #[arg(long, default_value_t = 256)]
    pub(crate) value_bytes: usize,
    /// How many different keys there are.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) keys: u64,
}

impl Keyspace {
    /// Refuses sizes that cannot be.
    pub(crate) fn check(&self) -> Result<(), Trouble> {
        let digits = self.keys.saturating_sub(1).to_string().len();
        let text = if self.keys == 0 {
            "there must be at least one key".to_owned()
        } else if digits > self.key_bytes {
            format!("{} keys need at least --key-bytes {digits}", self.keys)
        } else if self.value_bytes > POOL_BYTES / 2 {
            format!("values hold at most {} bytes", POOL_BYTES / 2)
        } else {
            return Ok(());
        };
        Err(Trouble::Cannot(text))
    }

    /// Key number `index`.
    pub(crate) fn key(&self, index: u64) -> Bytes {
        format!("{index:0width$}", width = self.key_bytes).into()
    }

    /// First key and exclusive end of all keys.
    pub(crate) fn range(&self) -> (Bytes, Bytes) {
        // ':' follows '9', so it ends whatever begins with a digit.
        (self.key(0), Bytes::from_static(b":"))
    }
}

/// An endless supply of values.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    pool: Bytes,
    value_bytes: usize,
}

impl Values {
    pub(crate) fn new(value_bytes: usize) -> Self {
        let mut pool = vec![0; POOL_BYTES];
        Random::new(0).fill(&mut pool);
        Self { pool: pool.into(), value_bytes }
    }

    /// Some value. Two are equal about once in four million.
    pub(crate) fn pick(&self, random: &mut Random) -> Bytes {
        let room = (self.pool.len() - self.value_bytes) as u64 + 1;
        let start = usize::try_from(random.below(room)).expect("an offset into a buffer in memory");
        self.pool.slice(start..start + self.value_bytes)
    }
}

/// How many keys of the range are there, and at which revision that was true.
pub(crate) async fn count(kv: &Kv, key: Bytes, range_end: Bytes) -> Result<(u64, i64), Trouble> {
    let request = api::RangeRequest { key, range_end, count_only: true, ..Default::default() };
    let answer = kv.range(request).await?;
    let revision = answer.header.map_or(0, |header| header.revision);
    Ok((u64::try_from(answer.count).unwrap_or(0), revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Keyspace = Keyspace { key_bytes: 8, value_bytes: 256, keys: 1_000_000 };

    #[test]
    fn keys_have_their_size_and_sort_like_their_numbers() {
        let (first, end) = SPACE.range();
        let keys: Vec<Bytes> = [0, 9, 10, 999_999].iter().map(|index| SPACE.key(*index)).collect();
        assert!(keys.iter().all(|key| key.len() == 8 && *key >= first && *key < end));
        assert!(keys.is_sorted());
    }

    #[test]
    fn a_key_space_that_does_not_fit_its_keys_is_refused() {
        assert!(SPACE.check().is_ok());
        assert!(Keyspace { key_bytes: 5, ..SPACE }.check().is_err());
        assert!(Keyspace { keys: 0, ..SPACE }.check().is_err());
    }

    #[test]
    fn values_have_their_size_and_differ() {
        let values = Values::new(256);
        let mut random = Random::new(1);
        let (one, other) = (values.pick(&mut random), values.pick(&mut random));
        assert_eq!((one.len(), other.len()), (256, 256));
        assert_ne!(one, other);
    }
}
