//! A persistent ordered map: the shape under the key index, the leases and their attachments.
//!
//! Rule: a clone of a [`Tree`] is one reference count and never changes. Writers copy the path they touch, and only the
//! part of it that somebody else still holds; so every [`crate::mvcc::View`] is a cheap, immutable root, and readers and
//! the apply loop share no lock.
//!
//! Each entry has a *weight* (for keys: 1 when live, 0 when deleted), and each inner node keeps the weight of its
//! children. That makes "how many live keys lie in this range" a walk along two paths, and lets an iteration step over
//! subtrees in which everything is deleted.
//!
//! It is a B+ tree: entries in leaves, first keys of the children in inner nodes. Separators sit behind one shared
//! pointer, because they change only when nodes split or merge, while paths are copied on every write.
//!
//! Left out: iteration backwards (nothing needs it) and parallel writers (apply is one).

use std::sync::Arc;

/// Entries per leaf. A write copies the leaf's pointers and touches each entry's count, so leaves are small.
const LEAF_MAX: usize = 24;
/// Children per inner node.
const INNER_MAX: usize = 32;

/// What a tree holds: something with a key and a weight that do not change while it is inside.
pub trait Entry: Clone {
    /// The key; unique in a tree, ordered bytewise.
    fn key(&self) -> &[u8];
    /// What the entry adds to the counts of the tree.
    fn weight(&self) -> u64;
}

/// A persistent ordered map of entries.
#[derive(Debug)]
pub struct Tree<E> {
    root: Arc<Node<E>>,
    weight: u64,
    len: usize,
}

#[derive(Debug)]
enum Node<E> {
    Leaf(Vec<Arc<E>>),
    Inner(Inner<E>),
}

#[derive(Debug)]
struct Inner<E> {
    /// First key of each child but the first.
    separators: Arc<Vec<Box<[u8]>>>,
    weights: Vec<u64>,
    children: Vec<Arc<Node<E>>>,
}

impl<E> Clone for Tree<E> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), weight: self.weight, len: self.len }
    }
}

impl<E> Clone for Node<E> {
    fn clone(&self) -> Self {
        match self {
            // One slot more than is there: the copy is made to be written to.
            Self::Leaf(entries) => {
                let mut copy = Vec::with_capacity(entries.len() + 1);
                copy.extend(entries.iter().cloned());
                Self::Leaf(copy)
            }
            Self::Inner(inner) => Self::Inner(Inner {
                separators: Arc::clone(&inner.separators),
                weights: inner.weights.clone(),
                children: inner.children.clone(),
            }),
        }
    }
}

impl<E> Default for Tree<E> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), weight: 0, len: 0 }
    }
}

/// The right half that a split leaves over, with its first key.
type Split<E> = Option<(Box<[u8]>, u64, Arc<Node<E>>)>;

impl<E: Entry> Tree<E> {
    /// Number of entries, whatever they weigh.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Weight of all entries.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// The entry with this key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Arc<E>> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => return find(entries, key).ok().map(|at| &entries[at]),
                Node::Inner(inner) => node = &inner.children[inner.child_of(key)],
            }
        }
    }

    /// Puts an entry in, in place of the one that has its key.
    pub fn insert(&mut self, entry: E) {
        let entry = Arc::new(entry);
        let key = Arc::clone(&entry);
        self.upsert(key.key(), |_| entry);
    }

    /// Puts in what `make` gives for this key; it is shown the entry that has it now, if there is one, and must keep the key.
    pub fn upsert(&mut self, key: &[u8], make: impl FnOnce(Option<&Arc<E>>) -> Arc<E>) {
        let (put, split) = insert_into(&mut self.root, key, make, true);
        self.weight = self.weight - put.weight_before.unwrap_or(0) + put.weight;
        self.len += usize::from(put.weight_before.is_none());
        if let Some((separator, weight_right, right)) = split {
            let left = std::mem::replace(&mut self.root, Arc::new(Node::Leaf(Vec::new())));
            self.root = Arc::new(Node::Inner(Inner {
                separators: Arc::new(vec![separator]),
                weights: vec![self.weight - weight_right, weight_right],
                children: vec![left, right],
            }));
        }
    }

    /// Takes the entry with this key out.
    pub fn remove(&mut self, key: &[u8]) -> Option<Arc<E>> {
        // Looking first keeps a miss from copying the path.
        self.get(key)?;
        let removed = remove_from(&mut self.root, key)?;
        self.weight -= removed.weight();
        self.len -= 1;
        // A root with one child is a level that says nothing.
        while let Node::Inner(inner) = &*self.root {
            if inner.children.len() > 1 {
                break;
            }
            let only = Arc::clone(&inner.children[0]);
            self.root = only;
        }
        Some(removed)
    }

    /// Weight of all entries whose key is below `key`.
    #[must_use]
    pub fn weight_below(&self, key: &[u8]) -> u64 {
        let mut below = 0;
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let end = find(entries, key).unwrap_or_else(|at| at);
                    return below + entries[..end].iter().map(|entry| entry.weight()).sum::<u64>();
                }
                Node::Inner(inner) => {
                    let child = inner.child_of(key);
                    below += inner.weights[..child].iter().sum::<u64>();
                    node = &inner.children[child];
                }
            }
        }
    }

    /// Weight of the entries from `start`, to `end` exclusive (to the last one when `None`).
    #[must_use]
    pub fn weight_between(&self, start: &[u8], end: Option<&[u8]>) -> u64 {
        let up_to_end = end.map_or(self.weight, |end| self.weight_below(end));
        up_to_end.saturating_sub(self.weight_below(start))
    }

    /// All entries from `start` on, ascending.
    #[must_use]
    pub fn iter_from(&self, start: &[u8]) -> Iter<'_, E> {
        Iter::new(&self.root, start, false)
    }

    /// The entries with weight from `start` on, ascending; subtrees without any are stepped over.
    #[must_use]
    pub fn iter_weighted_from(&self, start: &[u8]) -> Iter<'_, E> {
        Iter::new(&self.root, start, true)
    }
}

impl<E> Inner<E> {
    fn child_of(&self, key: &[u8]) -> usize {
        self.separators.partition_point(|separator| &**separator <= key)
    }
}

fn find<E: Entry>(entries: &[Arc<E>], key: &[u8]) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.key().cmp(key))
}

fn weight_of<E: Entry>(node: &Node<E>) -> u64 {
    match node {
        Node::Leaf(entries) => entries.iter().map(|entry| entry.weight()).sum(),
        Node::Inner(inner) => inner.weights.iter().sum(),
    }
}

/// What an insertion changed.
struct Put {
    /// Weight of the entry that was there; nothing when there was none.
    weight_before: Option<u64>,
    /// Weight of the entry that is there now.
    weight: u64,
}

/// Inserts below `node`. Answers what changed and the right half if the node had to split. `last` is true on the right
/// edge of the tree: ascending inserts then leave full nodes behind instead of half-full ones.
fn insert_into<E: Entry>(
    node: &mut Arc<Node<E>>,
    key: &[u8],
    make: impl FnOnce(Option<&Arc<E>>) -> Arc<E>,
    last: bool,
) -> (Put, Split<E>) {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let at = match find(entries, key) {
                Ok(at) => {
                    let entry = make(Some(&entries[at]));
                    let weight = entry.weight();
                    let replaced = std::mem::replace(&mut entries[at], entry);
                    return (Put { weight_before: Some(replaced.weight()), weight }, None);
                }
                Err(at) => at,
            };
            let entry = make(None);
            let put = Put { weight_before: None, weight: entry.weight() };
            let ascending = last && at == entries.len();
            entries.insert(at, entry);
            if entries.len() <= LEAF_MAX {
                return (put, None);
            }
            let right = entries.split_off(if ascending { LEAF_MAX } else { entries.len() / 2 });
            let separator = Box::from(right[0].key());
            let right = Node::Leaf(right);
            (put, Some((separator, weight_of(&right), Arc::new(right))))
        }
        Node::Inner(inner) => {
            let child = inner.child_of(key);
            let last = last && child + 1 == inner.children.len();
            let (put, split) = insert_into(&mut inner.children[child], key, make, last);
            inner.weights[child] = inner.weights[child] + put.weight - put.weight_before.unwrap_or(0);
            if let Some((separator, weight, right)) = split {
                inner.weights[child] -= weight;
                Arc::make_mut(&mut inner.separators).insert(child, separator);
                inner.weights.insert(child + 1, weight);
                inner.children.insert(child + 1, right);
            }
            if inner.children.len() <= INNER_MAX {
                return (put, None);
            }
            let half = if last { INNER_MAX } else { inner.children.len() / 2 };
            let separators = Arc::make_mut(&mut inner.separators);
            let mut right_separators = separators.split_off(half - 1);
            let separator = right_separators.remove(0);
            let right = Inner {
                separators: Arc::new(right_separators),
                weights: inner.weights.split_off(half),
                children: inner.children.split_off(half),
            };
            let weight = right.weights.iter().sum();
            (put, Some((separator, weight, Arc::new(Node::Inner(right)))))
        }
    }
}

fn remove_from<E: Entry>(node: &mut Arc<Node<E>>, key: &[u8]) -> Option<Arc<E>> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let at = find(entries, key).ok()?;
            Some(entries.remove(at))
        }
        Node::Inner(inner) => {
            let child = inner.child_of(key);
            let removed = remove_from(&mut inner.children[child], key)?;
            inner.weights[child] -= removed.weight();
            mend(inner, child);
            Some(removed)
        }
    }
}

/// Joins a child that became small with a neighbour, so that removals do not leave a forest of tiny nodes.
fn mend<E: Entry>(inner: &mut Inner<E>, child: usize) {
    let size = |node: &Node<E>| match node {
        Node::Leaf(entries) => (entries.len(), LEAF_MAX),
        Node::Inner(inner) => (inner.children.len(), INNER_MAX),
    };
    let (len, max) = size(&inner.children[child]);
    if len >= max / 4 || inner.children.len() == 1 {
        return;
    }
    let left = if child + 1 < inner.children.len() { child } else { child - 1 };
    if size(&inner.children[left]).0 + size(&inner.children[left + 1]).0 > max {
        return;
    }
    let right = inner.children.remove(left + 1);
    let weight = inner.weights.remove(left + 1);
    let separator = Arc::make_mut(&mut inner.separators).remove(left);
    inner.weights[left] += weight;
    match (Arc::make_mut(&mut inner.children[left]), &*right) {
        (Node::Leaf(left), Node::Leaf(right)) => left.extend(right.iter().cloned()),
        (Node::Inner(left), Node::Inner(right)) => {
            let separators = Arc::make_mut(&mut left.separators);
            separators.push(separator);
            separators.extend(right.separators.iter().cloned());
            left.weights.extend(&right.weights);
            left.children.extend(right.children.iter().cloned());
        }
        _ => unreachable!("children of one node are on one level"),
    }
}

/// Ascending iteration from a start key.
#[derive(Debug)]
pub struct Iter<'a, E> {
    /// Inner nodes on the way down with the next child of each to visit.
    path: Vec<(&'a Inner<E>, usize)>,
    leaf: std::slice::Iter<'a, Arc<E>>,
    weighted: bool,
}

impl<'a, E: Entry> Iter<'a, E> {
    fn new(root: &'a Arc<Node<E>>, start: &[u8], weighted: bool) -> Self {
        let mut path = Vec::new();
        let mut node = &**root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = find(entries, start).unwrap_or_else(|at| at);
                    return Self { path, leaf: entries[at..].iter(), weighted };
                }
                Node::Inner(inner) => {
                    let child = inner.child_of(start);
                    path.push((inner, child + 1));
                    node = &inner.children[child];
                }
            }
        }
    }

    /// Moves to the next leaf worth visiting; false at the end.
    fn advance(&mut self) -> bool {
        while let Some((inner, next)) = self.path.pop() {
            let mut child = next;
            while self.weighted && child < inner.children.len() && inner.weights[child] == 0 {
                child += 1;
            }
            if child == inner.children.len() {
                continue;
            }
            self.path.push((inner, child + 1));
            match &*inner.children[child] {
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return true;
                }
                Node::Inner(below) => self.path.push((below, 0)),
            }
        }
        false
    }
}

impl<'a, E: Entry> Iterator for Iter<'a, E> {
    type Item = &'a Arc<E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for entry in self.leaf.by_ref() {
                if !self.weighted || entry.weight() > 0 {
                    return Some(entry);
                }
            }
            if !self.advance() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq)]
    struct Pair(Vec<u8>, u64);

    impl Entry for Pair {
        fn key(&self) -> &[u8] {
            &self.0
        }
        fn weight(&self) -> u64 {
            self.1
        }
    }

    /// Every number a tree can give, against a map that gives it naively.
    fn agrees(tree: &Tree<Pair>, model: &BTreeMap<Vec<u8>, u64>) {
        assert_eq!(tree.len(), model.len());
        assert_eq!(tree.weight(), model.values().sum::<u64>());
        let all: Vec<_> = tree.iter_from(b"").map(|pair| (pair.0.clone(), pair.1)).collect();
        assert_eq!(all, model.iter().map(|(key, weight)| (key.clone(), *weight)).collect::<Vec<_>>());
        for start in model.keys().step_by(7) {
            let below: u64 = model.range(..start.clone()).map(|(_, weight)| weight).sum();
            assert_eq!(tree.weight_below(start), below);
            let live: Vec<_> = tree.iter_weighted_from(start).map(|pair| pair.0.clone()).collect();
            let expected = model.range(start.clone()..).filter(|(_, weight)| **weight > 0);
            assert_eq!(live, expected.map(|(key, _)| key.clone()).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map_and_old_roots_do_not_change(
            steps in prop::collection::vec((any::<bool>(), 0u16..600, 0u64..2), 1..1500)
        ) {
            let mut tree = Tree::default();
            let mut model = BTreeMap::new();
            let mut kept = Vec::new();
            for (at, (insert, key, weight)) in steps.into_iter().enumerate() {
                let key = key.to_be_bytes().to_vec();
                if insert {
                    tree.insert(Pair(key.clone(), weight));
                    model.insert(key, weight);
                } else {
                    prop_assert_eq!(tree.remove(&key).is_some(), model.remove(&key).is_some());
                }
                if at % 200 == 0 {
                    kept.push((tree.clone(), model.clone()));
                }
            }
            kept.push((tree, model));
            for (tree, model) in kept {
                agrees(&tree, &model);
            }
        }
    }

    #[test]
    fn ascending_inserts_leave_full_leaves() {
        let mut tree = Tree::default();
        for number in 0..10_000u32 {
            tree.insert(Pair(number.to_be_bytes().to_vec(), 1));
        }
        fn leaves(node: &Node<Pair>) -> usize {
            match node {
                Node::Leaf(_) => 1,
                Node::Inner(inner) => inner.children.iter().map(|child| leaves(child)).sum(),
            }
        }
        assert_eq!(leaves(&tree.root), 10_000usize.div_ceil(LEAF_MAX));
    }
}
