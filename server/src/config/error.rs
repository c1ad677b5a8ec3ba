//! The one way a configuration is refused.

/// A configuration this member cannot start with: what is wrong, and the code the process exits with.
///
/// Code 2 is a command line that cannot be read; code 1 is a configuration that was read and makes no sense or cannot
/// be honoured (contract §6.1, §6.6). The texts of etcd's own errors are kept, because people and tools search for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ConfigError {
    text: String,
    exit_code: u8,
}

impl ConfigError {
    /// A command line that cannot be read: exit code 2.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit_code: 2 }
    }

    /// A configuration that was read and is refused: exit code 1.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit_code: 1 }
    }

    /// The code the process should exit with: 1 or 2.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}
