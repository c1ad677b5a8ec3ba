//! Free TCP ports for processes that cannot tell which port they got when given 0.
//!
//! Between finding a port free and the server's bind another process may take it. Ports are therefore chosen below the range
//! that the kernel deals out to outgoing connections, at random, and whoever starts a server tries again with another port
//! when the bind fails all the same.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The kernel's range of outgoing ports starts at 32768 on Linux.
const FIRST: u32 = 21_000;
const COUNT: u32 = 11_000;
/// Odd and no factor of `COUNT`, so that the steps of one process visit every port once.
const STEP: u32 = 1_237;

/// A port on 127.0.0.1 that nobody listens on now. Each call of one process returns another one.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let start = std::process::id().wrapping_mul(7_919).wrapping_add(clock.subsec_nanos());
    // The first call of the process fixes where it starts.
    let _ = NEXT.compare_exchange(0, start.max(1) % COUNT + 1, Ordering::Relaxed, Ordering::Relaxed);
    for _ in 0..COUNT {
        let place = NEXT.fetch_add(STEP, Ordering::Relaxed);
        let port = u16::try_from(FIRST + place % COUNT).expect("below 32000");
        if TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok() {
            return port;
        }
    }
    panic!("no port between {FIRST} and {} is free on 127.0.0.1", FIRST + COUNT);
}
