//! Joins the small files that frequent flushes leave.
//!
//! Rule: a member that writes little still flushes every half minute, and rows come in revision order, so RocksDB moves
//! each flushed file down as it is: 2,880 files a day, for ever. So [`TOGETHER`] or more small neighbours become one. Going
//! from the newest back, a file joins only if it is no larger than all newer ones of its span together: each time a row
//! is rewritten its file has at least doubled, so it is rewritten eight times on the way from 64 KiB to
//! [`SMALL_FILE_BYTES`].

use super::options::FILE_BYTES;
use rocksdb::LiveFile;

/// Neighbours that are worth a rewrite.
const TOGETHER: usize = 16;
/// A file of this size is left alone.
const SMALL_FILE_BYTES: u64 = FILE_BYTES / 4;
/// Up to this size files join whatever the newer ones weigh, so that one tiny flush does not hide the files before it.
const ALWAYS_BYTES: u64 = 64 << 10;

/// Neighbouring small files of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) table: String,
    pub(super) first_key: Vec<u8>,
    pub(super) last_key: Vec<u8>,
}

/// The spans that are worth joining. Files of level 0 are not looked at: RocksDB moves them on by itself.
pub(super) fn small_spans(files: &[LiveFile]) -> Vec<Span> {
    let mut sorted: Vec<&LiveFile> = files.iter().filter(|file| file.level > 0).collect();
    sorted.sort_by(|a, b| place(a).cmp(&place(b)));
    let mut spans = Vec::new();
    for group in sorted.chunk_by(|a, b| place(a).0 == place(b).0 && place(a).1 == place(b).1) {
        let mut open: Option<Open<'_>> = None;
        for file in group.iter().rev() {
            open = match open.take() {
                Some(mut span) if span.takes(file) => {
                    span.oldest = file;
                    span.files += 1;
                    span.bytes += file.size as u64;
                    Some(span)
                }
                before => {
                    spans.extend(before.and_then(|span| span.close()));
                    Open::begin(file)
                }
            };
        }
        spans.extend(open.and_then(|span| span.close()));
    }
    spans
}

/// Table, level, first key.
fn place(file: &LiveFile) -> (&str, i32, Option<&[u8]>) {
    (&file.column_family_name, file.level, file.start_key.as_deref())
}

struct Open<'f> {
    newest: &'f LiveFile,
    oldest: &'f LiveFile,
    files: usize,
    bytes: u64,
}

impl<'f> Open<'f> {
    fn begin(file: &'f LiveFile) -> Option<Self> {
        let bytes = file.size as u64;
        (bytes < SMALL_FILE_BYTES).then_some(Self { newest: file, oldest: file, files: 1, bytes })
    }

    fn takes(&self, file: &LiveFile) -> bool {
        let bytes = file.size as u64;
        bytes < SMALL_FILE_BYTES && bytes <= self.bytes.max(ALWAYS_BYTES)
    }

    fn close(self) -> Option<Span> {
        (self.files >= TOGETHER).then_some(Span {
            table: self.newest.column_family_name.clone(),
            first_key: self.oldest.start_key.clone()?,
            last_key: self.newest.end_key.clone()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a table in key order, with these sizes in KiB.
    fn files(level: i32, sizes_kib: &[usize]) -> Vec<LiveFile> {
        (0..)
            .zip(sizes_kib)
            .map(|(at, kib): (u8, &usize)| LiveFile {
                column_family_name: "row".to_owned(),
                name: format!("/{at}.sst"),
                size: kib << 10,
                level,
                start_key: Some(vec![at, 0]),
                end_key: Some(vec![at, 9]),
                num_entries: 1,
                num_deletions: 0,
            })
            .collect()
    }

    fn spans(files: &[LiveFile]) -> Vec<(u8, u8)> {
        small_spans(files).iter().map(|span| (span.first_key[0], span.last_key[0])).collect()
    }

    #[test]
    fn sixteen_small_neighbours_are_joined_and_fifteen_are_not() {
        assert_eq!(spans(&files(6, &[60; 16])), [(0, 15)]);
        assert_eq!(spans(&files(6, &[60; 15])), []);
    }

    #[test]
    fn a_file_larger_than_the_newer_ones_together_waits() {
        let mut sizes = vec![2_000];
        sizes.extend([60; 16]);
        assert_eq!(spans(&files(6, &sizes)), [(1, 16)]);
        sizes.extend([60; 20]);
        assert_eq!(spans(&files(6, &sizes)), [(0, 36)]);
    }

    #[test]
    fn full_files_separate_spans() {
        let mut sizes = vec![60; 20];
        sizes.push(60_000);
        sizes.extend([70; 17]);
        assert_eq!(spans(&files(6, &sizes)), [(21, 37), (0, 19)]);
    }

    #[test]
    fn files_just_flushed_and_other_levels_do_not_join() {
        assert_eq!(spans(&files(0, &[60; 40])), []);
        let mut both = files(5, &[60; 10]);
        both.extend(files(6, &[60; 10]));
        assert_eq!(spans(&both), []);
    }

    #[test]
    fn a_trickle_of_flushes_keeps_files_few_and_rewrites_each_byte_a_few_times() {
        let mut sizes: Vec<usize> = Vec::new();
        let mut rewritten_kib = 0;
        for _ in 0..20_000 {
            sizes.extend([60]);
            // Keys are positions; they are dealt anew each time.
            let list: Vec<LiveFile> = (0u32..)
                .zip(&sizes)
                .map(|(at, kib)| LiveFile {
                    start_key: Some(at.to_be_bytes().to_vec()),
                    end_key: Some(at.to_be_bytes().to_vec()),
                    ..files(6, &[*kib]).remove(0)
                })
                .collect();
            let at = |key: &[u8]| u32::from_be_bytes(key.try_into().expect("four bytes")) as usize;
            for span in small_spans(&list) {
                let (first, last) = (at(&span.first_key), at(&span.last_key));
                let joined = sizes.drain(first..=last).sum();
                rewritten_kib += joined;
                sizes.insert(first, joined);
            }
        }
        assert!(sizes.len() < 150, "{} files", sizes.len());
        assert!(rewritten_kib < 9 * 20_000 * 60, "rewritten {}", rewritten_kib as f64 / (20_000.0 * 60.0));
    }
}
