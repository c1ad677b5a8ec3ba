//! Just enough HTTP/1.1 to ask a server's plain endpoints.

use super::PATIENCE;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Asks for a path and returns status and body. Errors are those of the connection.
pub(crate) fn get(endpoint: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(endpoint)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let malformed = || std::io::Error::other(format!("not an HTTP answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    Ok((status, body.to_owned()))
}

/// Asks until the body pleases.
pub(crate) fn wait_until(endpoint: &str, path: &str, mut pleases: impl FnMut(&str) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, body) = get(endpoint, path).expect("the server answers");
        if pleases(&body) {
            return;
        }
        assert!(Instant::now() < end, "{path} stayed as it is:\n{body}");
        // A server asked without a pause has no time to do what is waited for.
        std::thread::sleep(Duration::from_millis(10));
    }
}
