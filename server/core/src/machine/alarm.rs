//! The active alarms (contract §2.11): pairs of a member and what is wrong with it.

use crate::ids::MemberId;
use crate::pb::{AlarmMember, AlarmType};
use std::collections::BTreeSet;

/// Active alarms, ordered by member, then type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarms(BTreeSet<(MemberId, i32)>);

impl Alarms {
    /// True when any member has an alarm of this type.
    #[must_use]
    pub fn any(&self, alarm: AlarmType) -> bool {
        self.0.iter().any(|(_, active)| *active == i32::from(alarm))
    }

    /// The active alarms of one type, or all of them for [`AlarmType::None`].
    #[must_use]
    pub fn list(&self, alarm: i32) -> Vec<AlarmMember> {
        let all = i32::from(AlarmType::None);
        let of_type = self.0.iter().filter(|(_, active)| alarm == all || alarm == *active);
        of_type.map(|(member, alarm)| AlarmMember { member_id: member.0, alarm: *alarm }).collect()
    }

    /// Number of active alarms.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without alarms.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when it was not active before.
    pub(crate) fn raise(&mut self, member: MemberId, alarm: i32) -> bool {
        self.0.insert((member, alarm))
    }

    /// True when it was active before.
    pub(crate) fn clear(&mut self, member: MemberId, alarm: i32) -> bool {
        self.0.remove(&(member, alarm))
    }
}
