//! Which of many strings begin a text: a trie as a sorted list.

/// Byte strings with a value each.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    /// Sorted.
    entries: Vec<(Box<[u8]>, u32)>,
}

impl Prefixes {
    pub fn new<'a>(entries: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut entries: Vec<(Box<[u8]>, u32)> =
            entries.into_iter().map(|(s, value)| (s.as_bytes().into(), value)).collect();
        entries.sort();
        Self { entries }
    }

    /// Tells `each` length and value of every entry that `text` begins with, shortest first.
    pub fn of(&self, text: &[u8], mut each: impl FnMut(usize, u32)) {
        // Entries that agree with the text so far.
        let mut rest = &self.entries[..];
        for (depth, &byte) in text.iter().enumerate() {
            let at = |e: &(Box<[u8]>, u32)| e.0.get(depth).copied();
            let begin = rest.partition_point(|e| at(e) < Some(byte));
            let len = rest[begin..].partition_point(|e| at(e) == Some(byte));
            rest = &rest[begin..begin + len];
            match rest.first() {
                None => return,
                // The entry that ends here sorts before those that go on.
                Some((entry, value)) if entry.len() == depth + 1 => each(depth + 1, *value),
                Some(_) => {}
            }
        }
    }

    /// Length of the longest entry that `text` begins with.
    pub fn longest(&self, text: &[u8]) -> Option<usize> {
        let mut longest = None;
        self.of(text, |len, _| longest = Some(len));
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_begin_a_text() {
        let p = Prefixes::new([("ab", 1), ("a", 2), ("b", 3), ("abcd", 4), ("abd", 5), ("ä", 6)]);
        let of = |text: &str| {
            let mut out = Vec::new();
            p.of(text.as_bytes(), |len, value| out.push((len, value)));
            out
        };
        assert_eq!(of("abcde"), [(1, 2), (2, 1), (4, 4)]);
        assert_eq!(of("abc"), [(1, 2), (2, 1)]);
        assert_eq!(of("äx"), [(2, 6)]);
        assert_eq!((of("xab"), of("")), (vec![], vec![]));
        assert_eq!((p.longest(b"abd"), p.longest(b"c")), (Some(3), None));
    }
}
