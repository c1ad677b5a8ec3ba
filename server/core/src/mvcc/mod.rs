//! Multi-version concurrency control: every change of every key, by revision.
//!
//! * [`key_history`]: the life of one key, in generations.
//! * [`index`]: all keys, persistent, counted.
//! * [`view`]: one revision of everything, as readers hold it.
//! * [`range`]: what a Range answers from a view.
//! * [`compact`]: which versions are no longer needed, and what they weigh.
//! * [`hash`]: the checksum of the key space that members compare.
//! * [`row`]: the encoded key-value.
//! * [`tree`]: the persistent map under it all.

pub mod compact;
pub mod hash;
pub mod index;
pub mod key_history;
pub mod range;
pub mod row;
pub mod tree;
pub mod view;
