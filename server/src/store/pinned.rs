//! Views of past revisions that paged lists come back to.
//!
//! A client that lists in pages reads the first at the newest revision and pins the others to the revision of its header.
//! By then the newest view has moved on, and counting the keys of a past revision means walking the whole range, for every
//! page. So the view of a first page that leaves more to read is kept for a while: its counts are exact and logarithmic.
//!
//! Rule: bounded by [`PINNED_VIEWS_MAX`]; the least recently used goes first. A compaction forgets what it passes, so that
//! no page can keep rows from being reclaimed. Without the pinned view the answer is the same, only slower.

use parking_lot::Mutex;
use quorate_core::limits::PINNED_VIEWS_MAX;
use quorate_core::mvcc::view::View;
use std::sync::Arc;

pub(super) struct PinnedViews(Mutex<Pinned>);

struct Pinned {
    /// Views with a lower floor are not kept; the newest compaction's floor.
    floor: i64,
    /// Most recently used last.
    views: Vec<Arc<View>>,
}

impl Default for PinnedViews {
    fn default() -> Self {
        Self(Mutex::new(Pinned { floor: i64::MIN, views: Vec::new() }))
    }
}

impl PinnedViews {
    /// Keeps a view for the pages to come.
    pub(super) fn pin(&self, view: &Arc<View>) {
        let mut pinned = self.0.lock();
        // The reader may have taken the view before a compaction that has forgotten its like meanwhile.
        if view.compact_revision < pinned.floor {
            return;
        }
        let views = &mut pinned.views;
        views.retain(|kept| kept.revision != view.revision);
        if views.len() == PINNED_VIEWS_MAX {
            views.remove(0);
        }
        views.push(Arc::clone(view));
    }

    /// The view of exactly this revision.
    pub(super) fn get(&self, revision: i64) -> Option<Arc<View>> {
        let views = &mut self.0.lock().views;
        let at = views.iter().position(|view| view.revision == revision)?;
        let view = views.remove(at);
        views.push(Arc::clone(&view));
        Some(view)
    }

    /// Drops the views that a compaction has passed or that hold a lower floor than it: they would keep its rows.
    pub(super) fn forget_below(&self, floor: i64) {
        let mut pinned = self.0.lock();
        pinned.floor = pinned.floor.max(floor);
        pinned.views.retain(|view| view.compact_revision >= floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::machine::Machine;

    fn view(revision: i64) -> Arc<View> {
        Arc::new(View { revision, compact_revision: revision / 2, ..Machine::default().view() })
    }

    #[test]
    fn the_least_recently_used_view_goes_first() {
        let pinned = PinnedViews::default();
        let max = i64::try_from(PINNED_VIEWS_MAX).unwrap_or(i64::MAX);
        (1..=max).for_each(|revision| pinned.pin(&view(revision)));
        assert!(pinned.get(1).is_some());
        pinned.pin(&view(max + 1));
        assert!(pinned.get(1).is_some());
        assert!(pinned.get(2).is_none());
    }

    #[test]
    fn a_compaction_forgets_views_with_a_lower_floor() {
        let pinned = PinnedViews::default();
        [10, 20, 30].into_iter().for_each(|revision| pinned.pin(&view(revision)));
        pinned.forget_below(10);
        assert_eq!([10, 20, 30].map(|revision| pinned.get(revision).is_some()), [false, true, true]);
    }

    #[test]
    fn a_view_from_before_a_compaction_is_not_pinned_after_it() {
        let pinned = PinnedViews::default();
        let before = view(10);
        pinned.forget_below(8);
        pinned.pin(&before);
        assert!(pinned.get(10).is_none());
    }
}
