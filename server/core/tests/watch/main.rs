//! The watch hub against a store and against a plain list of everything that happened.

mod hub;
mod model;
mod world;
