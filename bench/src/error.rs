//! Why a run ended without its numbers.

use std::{io, path::PathBuf};

use quorate_client::ClientError;

/// Ends a run. [`Trouble::Mismatch`] is a finding; everything else means that nothing was found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The server holds or said something other than it should.
    #[error("{0}")]
    Mismatch(String),
    /// The server refused or went away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file could not be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The flags do not fit together, or a server did not start.
    #[error("{0}")]
    Cannot(String),
    /// Standard output is gone.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

impl Trouble {
    /// Names the file that an error is about, for `map_err`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
