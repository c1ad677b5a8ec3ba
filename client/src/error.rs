//! What can go wrong when asking, told in the server's own words.

use tonic::{Code, Status};

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server, or the connection to it, ended the call.
    #[error("{message} ({code:?})")]
    Status {
        /// The gRPC code.
        code: Code,
        /// The server's text, unchanged: clients of etcd recognise errors by it.
        message: String,
    },
    /// None of the endpoints could be reached.
    #[error("cannot connect to {endpoints}: {reason}")]
    Connect {
        /// The endpoints that were tried, separated by commas.
        endpoints: String,
        /// What the last one answered.
        reason: String,
    },
    /// The server would not start a watch.
    #[error("the watch was refused: {reason}")]
    WatchRefused {
        /// The server's text.
        reason: String,
    },
    /// The server ended a stream that should go on.
    #[error("the server ended the stream")]
    StreamEnded,
    /// The options or endpoints make no sense.
    #[error("{0}")]
    Invalid(String),
}

impl ClientError {
    /// The gRPC code, `Unavailable` where no server spoke.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Status { code, .. } => *code,
            Self::Connect { .. } | Self::StreamEnded => Code::Unavailable,
            Self::WatchRefused { .. } | Self::Invalid(_) => Code::InvalidArgument,
        }
    }

    /// Whether a write that failed this way may have been carried out all the same.
    ///
    /// `false` only for codes that a server gives instead of carrying a request out.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Status { code, .. } => !matches!(
                code,
                Code::InvalidArgument
                    | Code::NotFound
                    | Code::AlreadyExists
                    | Code::PermissionDenied
                    | Code::ResourceExhausted
                    | Code::FailedPrecondition
                    | Code::OutOfRange
                    | Code::Unimplemented
                    | Code::Unauthenticated
            ),
            Self::StreamEnded => true,
            Self::Connect { .. } | Self::WatchRefused { .. } | Self::Invalid(_) => false,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Status { code: status.code(), message: status.message().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_keeps_code_and_text() {
        let text = "etcdserver: mvcc: required revision has been compacted";
        let error = ClientError::from(Status::out_of_range(text));
        assert_eq!(error.code(), Code::OutOfRange);
        assert_eq!(error.to_string(), format!("{text} (OutOfRange)"));
    }

    #[test]
    fn a_write_is_in_doubt_unless_the_server_refused_it() {
        let doubt = |code| ClientError::from(Status::new(code, "")).may_have_happened();
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown, Code::Internal, Code::Cancelled] {
            assert!(doubt(code), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::OutOfRange, Code::ResourceExhausted] {
            assert!(!doubt(code), "{code:?}");
        }
    }
}
