//! The size limit (contract §2.2 step 5, §2.11).
//!
//! Rule: a request that may add bytes is refused, before anything else about it is looked at, when the store's logical size
//! and the request's cost reach the quota; the first such request raises the NOSPACE alarm. The size is counted by the
//! machine, the same on every member; what a compaction hides no longer counts, so room comes back without defragmenting.

use super::Node;
use crate::trouble::Unanswered;
use quorate_core::error::{Fault, Refusal};
use quorate_core::pb::alarm_request::AlarmAction;
use quorate_core::pb::{AlarmRequest, AlarmType};
use quorate_proto::internal::command::Request;

impl Node {
    /// The quota in bytes as the API tells it; 0 when there is none.
    #[must_use]
    pub fn quota_bytes(&self) -> i64 {
        self.config.cluster.quota_backend_bytes.map_or(0, |quota| i64::try_from(quota.get()).unwrap_or(i64::MAX))
    }

    /// Bytes that the store takes: what it has on disk and will have after the next flush, but never less than what is
    /// in use. Compressed tables can be smaller than what they hold, and tools divide one by the other.
    ///
    /// # Errors
    /// A fault of the engine.
    pub fn db_size_bytes(&self) -> Result<i64, Fault> {
        let size = self.store.engine().size()?;
        let bytes = i64::try_from(size.disk_bytes.saturating_add(size.unflushed_bytes)).unwrap_or(i64::MAX);
        Ok(bytes.max(self.store.view().bytes_in_use))
    }

    /// Checks a request of this cost.
    ///
    /// # Errors
    /// [`Refusal::NoSpace`].
    pub async fn check_quota(&self, cost_bytes: i64) -> Result<(), Unanswered> {
        let quota = self.quota_bytes();
        if quota == 0 || cost_bytes == 0 {
            return Ok(());
        }
        let view = self.store.view();
        if view.alarms.any(AlarmType::Nospace) {
            return Err(Refusal::NoSpace.into());
        }
        if view.bytes_in_use.saturating_add(cost_bytes) < quota {
            return Ok(());
        }
        self.raise_no_space().await;
        Err(Refusal::NoSpace.into())
    }

    async fn raise_no_space(&self) {
        let request = Request::Alarm(AlarmRequest {
            action: AlarmAction::Activate.into(),
            member_id: self.identity.member_id.0,
            alarm: AlarmType::Nospace.into(),
        });
        tracing::warn!("the store has reached its quota; raising the NOSPACE alarm");
        if let Err(error) = self.propose(request).await {
            tracing::warn!(%error, "could not raise the NOSPACE alarm; the next refused request tries again");
        }
    }
}
