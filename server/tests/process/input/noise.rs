//! Bytes that mean nothing.

use super::Bench;
use crate::support::PATIENCE;
use crate::support::random::Random;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const ATTEMPTS: u32 = 300;
/// How long to listen for an answer to noise. The server may as well wait for the rest of it.
const POLITENESS: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_connections_ends_these_connections_and_nothing_else() {
    let mut bench = Bench::start().await;
    let seed = Random::seed_from("QUORATE_NOISE_SEED");
    eprintln!("QUORATE_NOISE_SEED={seed}");
    let endpoint = bench.server.endpoint();
    let process = bench.server.process().id();
    let before = open_descriptors(process);
    tokio::task::block_in_place(|| {
        let mut random = Random::new(seed);
        for attempt in 0..ATTEMPTS {
            let mut stream = TcpStream::connect(&endpoint).expect("the server accepts");
            stream.set_read_timeout(Some(POLITENESS)).expect("a timeout can be set");
            // The server may close while we still write, which is its right.
            let _ = stream.write_all(&noise(&mut random, attempt));
            if random.one_in(2) {
                // Says goodbye and listens for a while; the other half just goes away.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    });
    bench.still_serves(0).await;
    let end = Instant::now() + PATIENCE;
    while open_descriptors(process) > before + 2 {
        assert!(Instant::now() < end, "{before} files were open, now {}", open_descriptors(process));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Something that is not a request, of one kind or another.
fn noise(random: &mut Random, attempt: u32) -> Vec<u8> {
    let count = usize::try_from(random.below(4_000)).expect("small");
    let bytes = random.bytes(count);
    match attempt % 8 {
        0 => bytes,
        1 => [PREFACE, &bytes].concat(),
        2 => [PREFACE, SETTINGS, &bytes].concat(),
        3 => [PREFACE, SETTINGS, &frames(random)].concat(),
        4 => [b"POST /v3/kv/put HTTP/1.1\r\n", bytes.as_slice()].concat(),
        5 => [b"GET / HTTP/1.1\r\nX-Long: ", "a".repeat(200_000).as_bytes(), b"\r\n\r\n"].concat(),
        6 => b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
        _ => b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
    }
}

/// Frames with right headers and arbitrary content, on arbitrary streams, in arbitrary order.
fn frames(random: &mut Random) -> Vec<u8> {
    let mut frames = Vec::new();
    for _ in 0..random.below(40) {
        let length = usize::try_from(random.below(120)).expect("small");
        frames.extend(&u32::try_from(length).expect("small").to_be_bytes()[1..]);
        // The ten types there are, and a few there are not.
        frames.push(u8::try_from(random.below(13)).expect("small"));
        frames.push(u8::try_from(random.below(256)).expect("a byte"));
        frames.extend(u32::try_from(random.below(9)).expect("small").to_be_bytes());
        frames.extend(random.bytes(length));
    }
    frames
}

fn open_descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs").count()
}
