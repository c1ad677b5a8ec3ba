//! Finds the messages in a stream of bytes: gRPC puts a flag and a length of four bytes before each.
//!
//! Rule: bytes are looked at where they lie and never copied. The headers may be cut anywhere between chunks.

/// Length of what stands before each message.
const HEADER_BYTES: usize = 5;

/// What one chunk completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Messages whose last byte was in the chunk.
    pub(super) messages: u64,
    /// Bytes of messages, without their headers.
    pub(super) bytes: u64,
}

/// A message announced itself as longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub(super) bytes: u32,
}

/// Where in the stream of messages we are.
#[derive(Debug)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Bytes of the present message that are still to come.
    message_left: u32,
    message_bytes_max: u32,
}

impl Frames {
    pub(super) fn new(message_bytes_max: u32) -> Self {
        Self { header: [0; HEADER_BYTES], header_bytes: 0, message_left: 0, message_bytes_max }
    }

    /// Takes the next chunk.
    pub(super) fn read(&mut self, mut chunk: &[u8]) -> Result<Seen, TooLarge> {
        let mut seen = Seen::default();
        while !chunk.is_empty() {
            if self.header_bytes < HEADER_BYTES {
                let taken = chunk.len().min(HEADER_BYTES - self.header_bytes);
                self.header[self.header_bytes..self.header_bytes + taken].copy_from_slice(&chunk[..taken]);
                self.header_bytes += taken;
                chunk = &chunk[taken..];
                if self.header_bytes < HEADER_BYTES {
                    break;
                }
                let [_, length @ ..] = self.header;
                let bytes = u32::from_be_bytes(length);
                if bytes > self.message_bytes_max {
                    return Err(TooLarge { bytes });
                }
                self.message_left = bytes;
            }
            // A chunk longer than 4 GiB still holds at least the rest of this message.
            let taken = u32::try_from(chunk.len()).unwrap_or(u32::MAX).min(self.message_left);
            self.message_left -= taken;
            seen.bytes += u64::from(taken);
            chunk = &chunk[taken as usize..];
            if self.message_left == 0 {
                seen.messages += 1;
                self.header_bytes = 0;
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &length in lengths {
            bytes.push(0);
            bytes.extend(u32::try_from(length).expect("small").to_be_bytes());
            bytes.extend(std::iter::repeat_n(7, length));
        }
        bytes
    }

    proptest! {
        #[test]
        fn however_the_stream_is_cut_the_messages_are_the_same(
            lengths in prop::collection::vec(0usize..40, 0..8),
            cuts in prop::collection::vec(1usize..9, 1..20),
        ) {
            let bytes = stream(&lengths);
            let (mut frames, mut rest, mut total) = (Frames::new(100), &bytes[..], Seen::default());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
                let seen = frames.read(chunk).expect("all are under the limit");
                total.messages += seen.messages;
                total.bytes += seen.bytes;
                rest = tail;
            }
            prop_assert_eq!(total, Seen {
                messages: lengths.len() as u64,
                bytes: lengths.iter().sum::<usize>() as u64,
            });
        }
    }

    #[test]
    fn a_long_message_is_refused_at_its_header() {
        let mut frames = Frames::new(10);
        assert_eq!(frames.read(&stream(&[10])), Ok(Seen { messages: 1, bytes: 10 }));
        assert_eq!(frames.read(&[0, 0, 0, 0]), Ok(Seen::default()));
        assert_eq!(frames.read(&[11]), Err(TooLarge { bytes: 11 }));
    }
}
