//! Large responses in pieces (contract §2.9).
//!
//! Rule: each piece holds at least one event and as many as fit below the limit; order is kept. Whether a response may be
//! cut at all is the client's wish, given when the watch was created.

use bytes::Bytes;
use prost::encoding::encoded_len_varint;

/// How many of the first `events` go into one piece, at least one: as many as keep the encoded response below
/// `limit_bytes`. `rest_bytes` is the encoded size of the response without events.
#[must_use]
pub fn piece(events: &[Bytes], rest_bytes: usize, limit_bytes: usize) -> usize {
    let mut bytes = rest_bytes;
    let fits = events.iter().take_while(|event| {
        bytes += 1 + encoded_len_varint(event.len() as u64) + event.len();
        bytes < limit_bytes
    });
    fits.count().clamp(usize::from(!events.is_empty()), events.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_below_the_limit_but_hold_at_least_one_event() {
        let event = |bytes: usize| Bytes::from(vec![0; bytes]);
        // Tag and length take two bytes; 10 bytes of header and ids.
        let events = [event(8), event(8), event(8), event(50), event(8)];
        let sizes = [(31, 2), (30, 1), (40, 2), (41, 3), (5, 1), (1000, 5)];
        for (limit, count) in sizes {
            assert_eq!(piece(&events, 10, limit), count, "limit {limit}");
        }
        assert_eq!(piece(&events[3..], 10, 20), 1);
        assert_eq!(piece(&[], 10, 20), 0);
    }
}
