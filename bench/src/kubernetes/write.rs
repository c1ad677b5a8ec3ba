//! Changes to objects, noted as they are answered.

use std::sync::Arc;

use bytes::Bytes;
use quorate_client::Kv;

use crate::{
    error::Trouble,
    kubernetes::journal::{Journal, Line, Written},
    work::txn_update::{Put, current, update},
};

/// What a compare-and-change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, at this revision.
    Changed(i64),
    /// The key was last changed at this revision, not the one expected. 0: it does not exist.
    Differs(i64),
}

/// Writes to a server and to the notes.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    kv: Kv,
    journal: Arc<Journal>,
}

impl Writer {
    pub(crate) fn new(kv: Kv, journal: Arc<Journal>) -> Self {
        Self { kv, journal }
    }

    /// Puts `value` if the key was last changed at `expected` (0: does not exist).
    ///
    /// # Errors
    ///
    /// The server's. The notes then say that the put may have happened, unless the server refused it.
    pub(crate) async fn put(&self, key: &str, expected: i64, value: Bytes, lease: i64) -> Result<Outcome, Trouble> {
        let written = Written::of(&value, lease);
        let outcome = self.change(key, expected, Some(Put { value, lease })).await;
        self.note(outcome, |revision| match revision {
            Some(revision) => Line::Put { key: key.to_owned(), revision, written },
            None => Line::UnknownPut { key: key.to_owned(), written },
        })
    }

    /// Deletes the key if it was last changed at `expected`.
    ///
    /// # Errors
    ///
    /// As [`Writer::put`].
    pub(crate) async fn delete(&self, key: &str, expected: i64) -> Result<Outcome, Trouble> {
        let outcome = self.change(key, expected, None).await;
        self.note(outcome, |revision| match revision {
            Some(revision) => Line::Delete { key: key.to_owned(), revision },
            None => Line::UnknownDelete { key: key.to_owned() },
        })
    }

    async fn change(&self, key: &str, expected: i64, put: Option<Put>) -> Result<Outcome, quorate_client::ClientError> {
        let request = update(Bytes::copy_from_slice(key.as_bytes()), expected, put);
        let answer = self.kv.txn(request).await?;
        Ok(if answer.succeeded {
            Outcome::Changed(answer.header.map_or(0, |header| header.revision))
        } else {
            Outcome::Differs(current(&answer).map_or(0, |kv| kv.mod_revision))
        })
    }

    fn note(
        &self,
        outcome: Result<Outcome, quorate_client::ClientError>,
        line: impl FnOnce(Option<i64>) -> Line,
    ) -> Result<Outcome, Trouble> {
        match &outcome {
            Ok(Outcome::Changed(revision)) => self.journal.write(&line(Some(*revision)))?,
            Ok(Outcome::Differs(_)) => {}
            Err(error) if error.may_have_happened() => self.journal.write(&line(None))?,
            Err(_) => {}
        }
        Ok(outcome?)
    }
}
