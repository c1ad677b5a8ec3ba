//! What can go wrong with the log, in sentences an operator can act on.
//!
//! Rule: damage, a failed write and a failed sync are faults. They stop the member, are never retried and never
//! become a client's error. Only [`WalError::Refused`] is a mistake of the caller, and it changes nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the log did not do what was asked. Cheap to clone: one failure answers many callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WalError {
    /// Synced bytes are not what was written. Found when opening or reading; nothing was changed on disk.
    #[error(
        "the log is damaged at {} offset {offset} before its end: {what}; nothing was changed. \
         Restore this member from a peer or a snapshot; do not delete the file",
        file.display()
    )]
    Corrupt {
        /// The segment file.
        file: PathBuf,
        /// Where in the file the first unreadable byte group starts, in bytes.
        offset: u64,
        /// What was expected there.
        what: String,
    },
    /// A segment was written by a version of Quorate with another log format.
    #[error(
        "the log file {} has format version {version}, and this version of Quorate reads version {supported}; \
         nothing was changed. Start the version that wrote it",
        file.display()
    )]
    UnknownFormat {
        /// The segment file.
        file: PathBuf,
        /// The version found in its header.
        version: u32,
        /// The version this code reads and writes.
        supported: u32,
    },
    /// The system refused an operation while the log was opened or read.
    #[error("cannot {doing} {}: {error}", file.display())]
    Io {
        /// What was tried, as it follows "cannot".
        doing: &'static str,
        /// The file or directory.
        file: PathBuf,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// A write or sync failed earlier. The log stays stopped until the process is restarted; the sentence is the first failure's.
    #[error("{0}")]
    Failed(Arc<str>),
    /// The call does not fit the log as it is, for example because it would leave a hole. Nothing was changed.
    #[error("the log refuses {0}")]
    Refused(String),
    /// The log was closed before the call.
    #[error("the log is closed")]
    Closed,
}

impl WalError {
    /// For the operations of opening and reading.
    pub(crate) fn io(doing: &'static str, file: &Path, error: io::Error) -> WalError {
        WalError::Io { doing, file: file.to_path_buf(), error: Arc::new(error) }
    }

    /// For the operations of the writer: the failure after which the log stops.
    pub(crate) fn stopped(doing: &str, file: &Path, error: &io::Error) -> WalError {
        let file = file.display();
        let sentence = if error.kind() == io::ErrorKind::StorageFull {
            format!(
                "the log cannot {doing} {file}: no space left on device. This member stops; \
                 free space, then restart it; nothing acknowledged was lost"
            )
        } else {
            format!(
                "the log cannot {doing} {file}: {error}. This member stops, because what the disk holds of the last \
                 writes is unknown; check the disk, then restart it; nothing acknowledged was lost"
            )
        };
        WalError::Failed(sentence.into())
    }
}
