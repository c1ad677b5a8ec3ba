//! The Watch service over a real connection, on a store in memory.

mod ends;
mod events;
mod load;
mod member;
mod progress;
mod refusals;
