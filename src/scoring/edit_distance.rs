//! Word edit distance inside a beam around the diagonal, as in sacrebleu's TER
//! (`sacrebleu/metrics/lib_ter.py`, `BeamEditDistance`).
//!
//! A shift permutes a stretch of the hypothesis, so most of the matrix of a shifted hypothesis is
//! that of the unshifted one. Rows before the stretch are taken over; behind it, as soon as a row
//! differs from the old one by a constant, so do all rows after it, and the distance is known.
//! Both are exact: a row is a function of the row before (by minimum and addition only) and of
//! one word. sacrebleu keeps rows in a trie of prefixes instead, sacrebleu-rs none.

/// Cells outside the beam. Far above any distance, far below overflow.
const OUTSIDE: u32 = 1 << 30;

/// How a cell was reached; the words of the hypothesis are rewritten into the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Keep,
    Substitute,
    /// A word of the reference is inserted.
    Insert,
    /// A word of the hypothesis is deleted.
    Delete,
}

const BEAM_WIDTH: i64 = 25;

/// Which columns of each row are computed.
#[derive(Clone, Copy, Debug, Default)]
struct Beam {
    num_hyp: usize,
    num_ref: usize,
    ratio: f64,
    width: i64,
}

impl Beam {
    fn new(num_hyp: usize, num_ref: usize) -> Self {
        let ratio = if num_hyp > 0 { num_ref as f64 / num_hyp as f64 } else { 1.0 };
        // Very different lengths would leave rows without overlap.
        let width = if (BEAM_WIDTH as f64) < ratio / 2.0 {
            (ratio / 2.0 + BEAM_WIDTH as f64).ceil() as i64
        } else {
            BEAM_WIDTH
        };
        Self { num_hyp, num_ref, ratio, width }
    }

    /// First column and the column after the last of row `i`, counted from 1. Both grow with
    /// `i`, and neighbouring rows overlap or touch, so that every cell within is reached.
    fn columns(&self, i: usize) -> (usize, usize) {
        let diagonal = (i as f64 * self.ratio).floor() as i64;
        let all = self.num_ref as i64 + 1;
        let low = (diagonal - self.width).max(0);
        let high = if i == self.num_hyp { all } else { all.min(diagonal + self.width) };
        (low as usize, high as usize)
    }
}

/// One row: its first column and the costs from there on.
#[derive(Clone, Copy)]
struct Row<'a> {
    low: usize,
    costs: &'a [u32],
}

/// The matrix of one hypothesis against one reference, kept for its shifts.
#[derive(Debug, Default)]
pub struct EditMatrix {
    beam: Beam,
    costs: Vec<u32>,
    ops: Vec<Op>,
    /// Row 0 is not stored; row `i` begins at `starts[i - 1]`.
    starts: Vec<usize>,
    // Buffers of `shifted`.
    before: Vec<u32>,
    row: Vec<u32>,
    aligned: Vec<u32>,
    stretch: Vec<u32>,
}

impl EditMatrix {
    /// Fills the matrix; returns the distance.
    pub fn fill(&mut self, hyp: &[u32], reference: &[u32]) -> u32 {
        self.beam = Beam::new(hyp.len(), reference.len());
        self.costs.clear();
        self.ops.clear();
        self.starts.clear();
        for (i, &word) in hyp.iter().enumerate() {
            let (low, high) = self.beam.columns(i + 1);
            let start = self.costs.len();
            align(previous(&self.beam, &self.costs, &self.starts, i), low, high, &mut self.aligned);
            let (costs, ops) = (&mut self.costs, &mut self.ops);
            step(word, reference, low, high, &self.aligned, |cost, op| {
                costs.push(cost);
                ops.push(op);
            });
            self.starts.push(start);
        }
        self.distance()
    }

    /// The distance of the hypothesis last filled in.
    pub fn distance(&self) -> u32 {
        if self.beam.num_hyp == 0 {
            self.beam.num_ref as u32
        } else {
            self.costs.last().copied().unwrap_or(OUTSIDE)
        }
    }

    /// Calls `f` with the operations from the end of the texts to their beginning.
    pub fn trace_back(&self, mut f: impl FnMut(Op)) {
        let (mut i, mut j) = (self.beam.num_hyp, self.beam.num_ref);
        while i > 0 || j > 0 {
            let op = if i == 0 {
                Op::Insert
            } else {
                let (low, _) = self.beam.columns(i);
                self.ops[self.starts[i - 1] + j - low]
            };
            f(op);
            i -= usize::from(op != Op::Insert);
            j -= usize::from(op != Op::Delete);
        }
    }

    /// The distance of the hypothesis with `length` words from `start` on moved before the word
    /// at `target` (`_perform_shift` says what that means inside the stretch itself).
    pub fn shifted(
        &mut self,
        hyp: &[u32],
        reference: &[u32],
        start: usize,
        length: usize,
        target: usize,
    ) -> u32 {
        let first = shift_stretch(hyp, start, length, target, &mut self.stretch);
        let end = first + self.stretch.len();
        let mut prev_low = None;
        for i in first + 1..=hyp.len() {
            let word = if i <= end { self.stretch[i - 1 - first] } else { hyp[i - 1] };
            let (low, high) = self.beam.columns(i);
            let prev = match prev_low {
                None => previous(&self.beam, &self.costs, &self.starts, i - 1),
                Some(low) => Some(Row { low, costs: &self.before }),
            };
            align(prev, low, high, &mut self.aligned);
            self.row.clear();
            let row = &mut self.row;
            step(word, reference, low, high, &self.aligned, |cost, _| row.push(cost));
            if i >= end {
                let start = self.starts[i - 1];
                let old = &self.costs[start..start + row.len()];
                let delta = i64::from(row[0]) - i64::from(old[0]);
                if row.iter().zip(old).all(|(&a, &b)| i64::from(a) - i64::from(b) == delta) {
                    return (i64::from(self.distance()) + delta) as u32;
                }
            }
            std::mem::swap(&mut self.before, &mut self.row);
            prev_low = Some(low);
        }
        self.before.last().copied().unwrap_or(OUTSIDE)
    }
}

/// Row `i` of a matrix; none for row 0, which costs one insertion per word and is not stored.
fn previous<'a>(beam: &Beam, costs: &'a [u32], starts: &[usize], i: usize) -> Option<Row<'a>> {
    let start = starts[i.checked_sub(1)?];
    let end = starts.get(i).copied().unwrap_or(costs.len());
    Some(Row { low: beam.columns(i).0, costs: &costs[start..end] })
}

/// The previous row's costs of columns `low - 1` to `high - 1`, one after the other.
fn align(prev: Option<Row<'_>>, low: usize, high: usize, out: &mut Vec<u32>) {
    out.clear();
    let Some(prev) = prev else {
        // Column -1 does not exist.
        out.push(if low == 0 { OUTSIDE } else { low as u32 - 1 });
        out.extend(low as u32..high as u32);
        return;
    };
    out.resize(high - low + 1, OUTSIDE);
    let end = prev.low + prev.costs.len();
    // Columns of both, shifted by one so that column -1 is 0.
    let from = (prev.low + 1).max(low);
    let to = (end + 1).min(high + 1);
    if from < to {
        out[from - low..to - low]
            .copy_from_slice(&prev.costs[from - 1 - prev.low..to - 1 - prev.low]);
    }
}

/// One row. Ties go to keeping or substituting, then to deletion, then to insertion: Tercom's
/// order with the last two exchanged, because sacrebleu reads the trace the other way round.
fn step(
    word: u32,
    reference: &[u32],
    low: usize,
    high: usize,
    aligned: &[u32],
    mut put: impl FnMut(u32, Op),
) {
    let mut left = OUTSIDE;
    let mut j = low;
    if j == 0 {
        left = aligned[1] + 1;
        put(left, Op::Delete);
        j = 1;
    }
    let words = &reference[j - 1..high - 1];
    let cells = &aligned[j - low..];
    for (&other, pair) in words.iter().zip(cells.windows(2)) {
        let (mut cost, mut op) =
            if word == other { (pair[0], Op::Keep) } else { (pair[0] + 1, Op::Substitute) };
        if cost > pair[1] + 1 {
            (cost, op) = (pair[1] + 1, Op::Delete);
        }
        if cost > left + 1 {
            (cost, op) = (left + 1, Op::Insert);
        }
        put(cost, op);
        left = cost;
    }
}

/// The words that change when a shift is performed: returns where they begin, and the words in
/// their new order in `out`.
pub fn shift_stretch(
    words: &[u32],
    start: usize,
    length: usize,
    target: usize,
    out: &mut Vec<u32>,
) -> usize {
    out.clear();
    let moved = &words[start..start + length];
    if target < start {
        out.extend_from_slice(moved);
        out.extend_from_slice(&words[target..start]);
        target
    } else {
        let end = if target > start + length { target } else { (target + length).min(words.len()) };
        out.extend_from_slice(&words[start + length..end]);
        out.extend_from_slice(moved);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook's matrix without a beam.
    fn levenshtein(a: &[u32], b: &[u32]) -> u32 {
        let mut row: Vec<u32> = (0..=b.len() as u32).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i as u32 + 1;
            for (j, y) in b.iter().enumerate() {
                let cost = (diagonal + u32::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], cost);
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn short_texts_fit_into_the_beam(
            hyp in prop::collection::vec(0u32..5, 0..24),
            reference in prop::collection::vec(0u32..5, 1..24),
        ) {
            let mut m = EditMatrix::default();
            prop_assert_eq!(m.fill(&hyp, &reference), levenshtein(&hyp, &reference));
            let (mut cost, mut h, mut r) = (0, 0, 0);
            m.trace_back(|op| {
                cost += u32::from(op != Op::Keep);
                h += usize::from(op != Op::Insert);
                r += usize::from(op != Op::Delete);
            });
            prop_assert_eq!((cost, h, r), (m.distance(), hyp.len(), reference.len()));
        }

        #[test]
        fn a_shifted_hypothesis_costs_what_it_costs_from_scratch(
            hyp in prop::collection::vec(0u32..6, 1..120),
            reference in prop::collection::vec(0u32..6, 1..200),
            at in any::<(u16, u16, u16)>(),
        ) {
            let start = at.0 as usize % hyp.len();
            let length = 1 + at.1 as usize % (hyp.len() - start).min(10);
            let target = at.2 as usize % (hyp.len() + 1);
            let mut m = EditMatrix::default();
            m.fill(&hyp, &reference);
            let got = m.shifted(&hyp, &reference, start, length, target);
            let mut moved = hyp.clone();
            let mut stretch = Vec::new();
            let first = shift_stretch(&hyp, start, length, target, &mut stretch);
            moved[first..first + stretch.len()].copy_from_slice(&stretch);
            prop_assert_eq!(got, EditMatrix::default().fill(&moved, &reference));
        }
    }
}
