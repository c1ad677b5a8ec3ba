//! Who this member is, kept in a file of the data directory.
//!
//! Rule: written once, whole and synced, before anything else is; the flags that a cluster starts with are read only while
//! this file is not there. A member that finds data but not this file refuses to start: it would not know whose it is.

use quorate_core::error::Fault;
use quorate_core::ids::MemberId;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// The file's name in the data directory.
pub const FILE: &str = "identity.json";
const FORMAT: u32 = 1;

/// The ids of a member and its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// This member.
    pub member_id: MemberId,
    /// Its cluster.
    pub cluster_id: u64,
}

/// The file: ids in hex, as the logs and the tools print them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    member_id: String,
    cluster_id: String,
}

impl Identity {
    /// Reads the identity; nothing when the directory has none yet.
    ///
    /// # Errors
    /// A fault when the file is there but cannot be read.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, Fault> {
        let path = data_dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::new(format!("cannot read {}: {error}", path.display()))),
        };
        let damaged = |what: &str| {
            Fault::new(format!(
                "{} is damaged ({what}); restore this member from a peer or a snapshot, or put the file back: it holds \
                 `format` {FORMAT} and the member's and the cluster's id in hex",
                path.display()
            ))
        };
        let stored: Stored = serde_json::from_str(&text).map_err(|error| damaged(&error.to_string()))?;
        if stored.format != FORMAT {
            return Err(Fault::new(format!(
                "{} has format {}, this version knows {FORMAT} only; start the version that wrote it",
                path.display(),
                stored.format
            )));
        }
        let id = |hex: &str| u64::from_str_radix(hex, 16).map_err(|_| damaged("an id is not a hex number"));
        Ok(Some(Self { member_id: MemberId(id(&stored.member_id)?), cluster_id: id(&stored.cluster_id)? }))
    }

    /// Writes the identity so that it survives a crash.
    ///
    /// # Errors
    /// A fault when the directory cannot be written.
    pub fn write(&self, data_dir: &Path) -> Result<(), Fault> {
        let stored = Stored {
            format: FORMAT,
            member_id: format!("{:x}", self.member_id.0),
            cluster_id: format!("{:x}", self.cluster_id),
        };
        let text = serde_json::to_string_pretty(&stored)
            .map_err(|error| Fault::new(format!("cannot encode the identity: {error}")))?;
        let path = data_dir.join(FILE);
        let part = path.with_extension("part");
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(data_dir)?.sync_all()
        };
        write().map_err(|error| Fault::new(format!("cannot write {}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_comes_back_and_a_damaged_one_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        assert_eq!(Identity::read(path), Ok(None));
        let identity = Identity { member_id: MemberId(0x8e9e_05c5_2164_694d), cluster_id: 0xcdf8_181e_3227_4a2e };
        identity.write(path).expect("written");
        assert_eq!(Identity::read(path), Ok(Some(identity)));
        for damaged in ["", "{}", r#"{"format":1,"member_id":"zz","cluster_id":"1"}"#] {
            fs::write(path.join(FILE), damaged).expect("written");
            let fault = Identity::read(path).expect_err("refused").to_string();
            assert!(fault.contains("identity.json is damaged"), "{fault}");
        }
        fs::write(path.join(FILE), r#"{"format":2,"member_id":"1","cluster_id":"1"}"#).expect("written");
        assert!(Identity::read(path).expect_err("refused").to_string().contains("has format 2"));
    }
}
