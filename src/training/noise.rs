//! Damage done to a sentence that is to be restored: pieces change places locally, are dropped,
//! and are hidden (Lample et al. 2018, "Unsupervised Machine Translation Using Monolingual Corpora
//! Only", section 2.3, on pieces instead of words).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseSettings {
    /// Chance of a piece to be replaced by the mask.
    pub mask: f64,
    /// Chance of a piece to be left out.
    pub drop: f64,
    /// A piece moves by less than this many positions; 0 and 1 keep the order.
    pub shuffle: usize,
}

/// Masking as Hyper-X (Üstün et al. 2022), the rest as Lample et al. 2018.
impl Default for NoiseSettings {
    fn default() -> Self {
        Self { mask: 0.15, drop: 0.1, shuffle: 3 }
    }
}

impl NoiseSettings {
    /// # Errors
    /// Usage: a chance that is none.
    pub fn check(&self) -> Result<()> {
        for (name, p) in [("mask", self.mask), ("drop", self.drop)] {
            if !(0.0..=1.0).contains(&p) {
                return Err(Error::usage(format!("the {name} probability is out of range"))
                    .found(p.to_string())
                    .expected("a number from 0 to 1"));
            }
        }
        Ok(())
    }
}

/// SplitMix64 (Steele et al. 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// In `[0, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The key of one sentence among those of a batch or a text.
pub fn sentence_key(key: u64, sentence: u32) -> u64 {
    SplitMix(key ^ u64::from(sentence).wrapping_mul(0xd6e8_feb8_6659_fd93)).next()
}

/// A damaged copy of `[mark, pieces, eos]`, decided by settings and key alone. Mark and end mark
/// stay, and where there was a piece, at least one is left.
pub fn noised(sentence: &[u32], settings: &NoiseSettings, mask_id: u32, key: u64) -> Vec<u32> {
    let [mark, pieces @ .., eos] = sentence else { return sentence.to_vec() };
    let mut rng = SplitMix(key);
    // A piece overtakes the next ones only while their draws differ by more than the distance.
    let mut order: Vec<(f64, u32)> = pieces
        .iter()
        .enumerate()
        .map(|(i, &piece)| (i as f64 + rng.unit() * settings.shuffle as f64, piece))
        .collect();
    if settings.shuffle > 1 {
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let mut out = Vec::with_capacity(sentence.len());
    out.push(*mark);
    let survivor = (rng.unit() * pieces.len() as f64) as usize;
    for &(_, piece) in &order {
        // Two draws a piece, whatever becomes of it.
        let (drop, mask) = (rng.unit() < settings.drop, rng.unit() < settings.mask);
        if !drop {
            out.push(if mask { mask_id } else { piece });
        }
    }
    if out.len() == 1 {
        out.extend(order.get(survivor).map(|&(_, piece)| piece));
    }
    out.push(*eos);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u32 = 3;

    /// `n` different pieces between a mark and an end mark.
    fn sentence(n: u32) -> Vec<u32> {
        let pieces = 100..100 + n;
        [5].into_iter().chain(pieces).chain([2]).collect()
    }

    const NONE: NoiseSettings = NoiseSettings { mask: 0.0, drop: 0.0, shuffle: 0 };

    #[test]
    fn without_noise_nothing_changes() {
        for shuffle in [0, 1] {
            for n in [0, 1, 7, 100] {
                let s = sentence(n);
                assert_eq!(noised(&s, &NoiseSettings { shuffle, ..NONE }, MASK, 9), s);
            }
        }
        assert_eq!(noised(&[7], &NoiseSettings::default(), MASK, 1), [7]);
        assert!(noised(&[], &NoiseSettings::default(), MASK, 1).is_empty());
    }

    #[test]
    fn rates_are_those_of_the_settings() {
        let n = 100_000;
        let s = sentence(n);
        // Four standard deviations of a share are 0.0046 and below.
        let share = |count: usize| count as f64 / f64::from(n);
        let masked = noised(&s, &NoiseSettings { mask: 0.15, ..NONE }, MASK, 1);
        assert_eq!(masked.len(), s.len());
        let hidden = masked.iter().filter(|p| **p == MASK).count();
        assert!((share(hidden) - 0.15).abs() < 0.005, "{hidden}");
        assert!(masked.iter().zip(&s).all(|(a, b)| a == b || *a == MASK));
        let dropped = noised(&s, &NoiseSettings { drop: 0.1, ..NONE }, MASK, 1);
        let gone = s.len() - dropped.len();
        assert!((share(gone) - 0.1).abs() < 0.005, "{gone}");
        assert!(dropped[1..dropped.len() - 1].is_sorted());
        // Both, independently.
        let both = noised(&s, &NoiseSettings::default(), MASK, 1);
        let hidden = both.iter().filter(|p| **p == MASK).count();
        assert!((share(both.len() - 2) - 0.9).abs() < 0.005);
        assert!((share(hidden) - 0.9 * 0.15).abs() < 0.005, "{hidden}");
        assert_eq!((both[0], both.last()), (5, Some(&2)));
    }

    #[test]
    fn pieces_move_by_less_than_the_window() {
        let s = sentence(10_000);
        for (window, moved_frac) in [(2usize, 0.2), (3, 0.4), (5, 0.6)] {
            let out = noised(&s, &NoiseSettings { shuffle: window, ..NONE }, MASK, 4);
            let moves: Vec<usize> =
                (1..10_001).map(|i| (out[i] as usize - 99).abs_diff(i)).collect();
            assert_eq!(moves.iter().max(), Some(&(window - 1)), "{window}");
            let moved = moves.iter().filter(|m| **m > 0).count() as f64 / 1e4;
            assert!(moved > moved_frac, "{window}: {moved}");
            let mut sorted = out.clone();
            sorted[1..10_001].sort();
            assert_eq!(sorted, s, "{window}: a permutation");
        }
    }

    #[test]
    fn the_key_decides() {
        let s = sentence(50);
        let of = |key| noised(&s, &NoiseSettings::default(), MASK, key);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        assert_ne!(of(7), of(7 << 32));
        let keys: std::collections::BTreeSet<u64> =
            (0..100).flat_map(|k| (0..100).map(move |s| sentence_key(k, s))).collect();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn a_piece_is_always_left() {
        let all = NoiseSettings { drop: 1.0, ..NoiseSettings::default() };
        let mut left = std::collections::BTreeSet::new();
        for key in 0..200 {
            let out = noised(&sentence(4), &all, MASK, key);
            assert_eq!((out.len(), out[0], out[2]), (3, 5, 2));
            left.insert(out[1]);
        }
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [100, 101, 102, 103]);
        assert_eq!(noised(&[5, 2], &all, MASK, 1), [5, 2]);
        assert_eq!(noised(&[5, 9, 2], &NoiseSettings { mask: 1.0, ..NONE }, MASK, 1), [5, MASK, 2]);
    }

    #[test]
    fn chances_are_checked() {
        assert!(NoiseSettings::default().check().is_ok());
        for bad in [-0.1, 1.1, f64::NAN] {
            let e = NoiseSettings { drop: bad, ..NONE }.check().unwrap_err();
            assert_eq!(e.exit_code() as i32, 2);
            assert!(NoiseSettings { mask: bad, ..NONE }.check().is_err());
        }
    }
}
