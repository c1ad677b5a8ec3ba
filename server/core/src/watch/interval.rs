//! Ranges by the keys they hold: a search tree over their starts, in which each node knows the range of its subtree that
//! ends last.
//!
//! Rule: finding the ranges that hold a key visits only subtrees in which some range begins at or before the key and some
//! range ends after it, so it does not grow with the number of ranges that have nothing to do with the key. What is found
//! comes in the order of (start, end).
//!
//! The tree is a treap. Its priorities come from a counter put through a mixer: the shape is the same on every run, and a
//! client cannot choose it.

use crate::watch::range::WatchRange;
use std::cmp::Ordering;

const NIL: u32 = u32::MAX;

/// A number that a range was entered under.
pub type Tag = u32;

/// Ranges, each with a tag. No two are equal.
#[derive(Debug)]
pub struct IntervalTree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
    entered: u64,
}

#[derive(Debug)]
struct Node {
    range: WatchRange,
    tag: Tag,
    priority: u64,
    left: u32,
    right: u32,
    /// The node of this subtree whose range ends last.
    last: u32,
}

impl Default for IntervalTree {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), root: NIL, entered: 0 }
    }
}

impl IntervalTree {
    /// The tag of exactly this range.
    #[must_use]
    pub fn get(&self, range: &WatchRange) -> Option<Tag> {
        let mut at = self.root;
        while at != NIL {
            let node = self.node(at);
            at = match range.cmp(&node.range) {
                Ordering::Less => node.left,
                Ordering::Greater => node.right,
                Ordering::Equal => return Some(node.tag),
            };
        }
        None
    }

    /// Enters a range that is not in yet.
    pub fn insert(&mut self, range: WatchRange, tag: Tag) {
        debug_assert!(self.get(&range).is_none(), "each range is entered once");
        self.entered += 1;
        let (left, right) = self.split(self.root, &range);
        let node = Node { range, tag, priority: mixed(self.entered), left: NIL, right: NIL, last: NIL };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).expect("memory ends before four thousand million ranges")
            }
        };
        self.refresh(at);
        let left = self.merge(left, at);
        self.root = self.merge(left, right);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: &WatchRange) -> Option<Tag> {
        let mut path = Vec::new();
        let mut at = self.root;
        loop {
            if at == NIL {
                return None;
            }
            let node = self.node(at);
            let next = match range.cmp(&node.range) {
                Ordering::Less => node.left,
                Ordering::Greater => node.right,
                Ordering::Equal => break,
            };
            path.push(at);
            at = next;
        }
        let (left, right) = (self.node(at).left, self.node(at).right);
        let joined = self.merge(left, right);
        match path.last() {
            None => self.root = joined,
            Some(parent) => {
                let parent = &mut self.nodes[*parent as usize];
                *(if parent.left == at { &mut parent.left } else { &mut parent.right }) = joined;
            }
        }
        for above in path.into_iter().rev() {
            self.refresh(above);
        }
        self.free.push(at);
        let removed = &mut self.nodes[at as usize];
        // The keys go now, not when the place is used again.
        removed.range.start = bytes::Bytes::new();
        removed.range.end = crate::watch::range::RangeEnd::Single;
        Some(removed.tag)
    }

    /// Calls `found` with the tag of each range that holds `key`.
    pub fn touched(&self, key: &[u8], found: &mut impl FnMut(Tag)) {
        self.touched_in(self.root, key, found);
    }

    fn touched_in(&self, at: u32, key: &[u8], found: &mut impl FnMut(Tag)) {
        if at == NIL {
            return;
        }
        let node = self.node(at);
        if !self.node(node.last).range.end_is_after(key) {
            return;
        }
        self.touched_in(node.left, key, found);
        if *node.range.start <= *key {
            if node.range.contains(key) {
                found(node.tag);
            }
            self.touched_in(node.right, key, found);
        }
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    /// Ranges below `range`, and the others.
    fn split(&mut self, at: u32, range: &WatchRange) -> (u32, u32) {
        if at == NIL {
            return (NIL, NIL);
        }
        if self.node(at).range < *range {
            let (left, right) = self.split(self.node(at).right, range);
            self.nodes[at as usize].right = left;
            self.refresh(at);
            (at, right)
        } else {
            let (left, right) = self.split(self.node(at).left, range);
            self.nodes[at as usize].left = right;
            self.refresh(at);
            (left, at)
        }
    }

    /// Joins two trees, all ranges of the first below all of the second.
    fn merge(&mut self, left: u32, right: u32) -> u32 {
        if left == NIL || right == NIL {
            return if left == NIL { right } else { left };
        }
        if self.node(left).priority >= self.node(right).priority {
            let joined = self.merge(self.node(left).right, right);
            self.nodes[left as usize].right = joined;
            self.refresh(left);
            left
        } else {
            let joined = self.merge(left, self.node(right).left);
            self.nodes[right as usize].left = joined;
            self.refresh(right);
            right
        }
    }

    fn refresh(&mut self, at: u32) {
        let node = self.node(at);
        let below =
            [node.left, node.right].into_iter().filter(|child| *child != NIL).map(|child| self.node(child).last);
        let last = below.fold(at, |last, other| {
            // Single keys are not entered here, so ends compare as they are declared: no end comes last.
            if self.node(other).range.end > self.node(last).range.end { other } else { last }
        });
        self.nodes[at as usize].last = last;
    }
}

/// Spreads a counter over all bits (the finalizer of splitmix64).
fn mixed(counter: u64) -> u64 {
    let mut mixed = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = WatchRange> {
        let key = || prop::collection::vec(0u8..4, 1..4);
        let end = prop_oneof![1 => Just(vec![0u8]), 4 => key()];
        (key(), end).prop_filter_map("empty", |(key, end)| WatchRange::new(&key, &end))
    }

    proptest! {
        #[test]
        fn finds_what_a_list_finds_in_order(
            steps in prop::collection::vec((ranges(), prop::bool::weighted(0.3)), 1..80),
            probes in prop::collection::vec(prop::collection::vec(0u8..4, 1..4), 20),
        ) {
            let mut tree = IntervalTree::default();
            let mut plain: Vec<(WatchRange, Tag)> = Vec::new();
            for (tag, (range, remove)) in (0..).zip(steps) {
                let at = plain.iter().position(|(held, _)| *held == range);
                prop_assert_eq!(tree.get(&range), at.map(|at| plain[at].1));
                match at {
                    Some(at) => prop_assert_eq!(tree.remove(&range), Some(plain.remove(at).1)),
                    None if remove && !plain.is_empty() => {
                        let (held, tag) = plain.swap_remove(0);
                        prop_assert_eq!(tree.remove(&held), Some(tag));
                    }
                    None => {
                        tree.insert(range.clone(), tag);
                        plain.push((range, tag));
                    }
                }
            }
            plain.sort();
            for probe in probes {
                let mut found = Vec::new();
                tree.touched(&probe, &mut |tag| found.push(tag));
                let expected: Vec<_> = plain.iter().filter(|(range, _)| range.contains(&probe)).map(|(_, tag)| *tag).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn disjoint_ranges_entered_in_order_make_no_deep_tree() {
        fn depth(tree: &IntervalTree, at: u32) -> usize {
            if at == NIL { 0 } else { 1 + depth(tree, tree.node(at).left).max(depth(tree, tree.node(at).right)) }
        }
        let mut tree = IntervalTree::default();
        for number in 0..10_000u32 {
            let start = number.to_be_bytes();
            let end = (number + 1).to_be_bytes();
            tree.insert(WatchRange::new(&start, &end).expect("not empty"), number);
        }
        assert!(depth(&tree, tree.root) < 60, "depth {}", depth(&tree, tree.root));
    }
}
