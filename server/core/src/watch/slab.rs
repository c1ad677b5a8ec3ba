//! Compact storage with keys that do not outlive their entry.
//!
//! Rule: a key finds the entry it was made for or nothing. A place is used again, but under a new generation, so whoever
//! kept a key of a removed entry (a read under way, a list cleaned later) cannot hit its successor.

/// Names an entry of a [`Slab`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    place: u32,
    generation: u32,
}

/// Entries in places that are used again.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    entry: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts an entry in.
    pub fn insert(&mut self, entry: T) -> Key {
        if let Some(place) = self.free.pop() {
            let reused = &mut self.places[place as usize];
            reused.entry = Some(entry);
            return Key { place, generation: reused.generation };
        }
        let place = u32::try_from(self.places.len()).expect("memory ends before four thousand million entries");
        self.places.push(Place { generation: 0, entry: Some(entry) });
        Key { place, generation: 0 }
    }

    /// The entry, unless it is gone.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.place as usize)?;
        place.entry.as_ref().filter(|_| place.generation == key.generation)
    }

    /// The entry to change, unless it is gone.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.place as usize)?;
        place.entry.as_mut().filter(|_| place.generation == key.generation)
    }

    /// Takes the entry out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.place as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let entry = place.entry.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.place);
        Some(entry)
    }

    /// Entries with their keys, by place.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..).zip(&self.places).filter_map(|(place, held)| {
            held.entry.as_ref().map(|entry| (Key { place, generation: held.generation }, entry))
        })
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_finds_the_successor_of_its_entry() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        let other = slab.insert("other");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(slab.places.len(), 2, "the place is used again");
        assert_eq!((slab.get(first), slab.get(second), slab.get(other)), (None, Some(&"second"), Some(&"other")));
        assert_eq!((slab.remove(first), slab.len()), (None, 2));
    }
}
