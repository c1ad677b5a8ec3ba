//! The ports: listeners, connections, and which of them speaks what (contract §5.1).
//!
//! Rule: a connection is served by one task and owes others nothing; what a client sends is bounded before it is read.
//! On plain ports the first bytes tell: HTTP/2 is gRPC, HTTP/1 is everything else.
//!
//! * [`files`]: how many files the process may have open. [`listen`]: sockets. [`connection`]: one connection. [`split`]: gRPC or HTTP. [`services`]: what is served.

pub mod connection;
pub mod files;
pub mod listen;
pub mod services;
pub mod split;
