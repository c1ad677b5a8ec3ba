//! The log from outside: what it keeps, what it refuses, and what it survives. Everything but `threads` runs on the
//! simulated disk and steps by hand, so that every run is the same.

mod crash;
mod damage;
mod faults;
mod fuzz;
mod model;
mod reopen;
mod support;
mod threads;
