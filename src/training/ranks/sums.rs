//! Gradients summed over ranks, in pieces of a few MiB.

use super::Ranks;
use crate::autograd::Gradients;
use crate::error::Result;
use crate::kernels::storage::values;

/// Values of a piece: 4 MiB, large beside a message's delay and small beside a model.
const PIECE: usize = 1 << 20;

/// A run of a slot's values in the piece.
struct Run {
    slot: usize,
    start: usize,
    len: usize,
}

/// Replaces gradients by their sum over all ranks. A slot that no rank has a gradient of stays
/// without; one that some lack counts nothing for them.
pub fn sum_over(ranks: &mut dyn Ranks, gradients: &mut Gradients) -> Result<()> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let slots = gradients.len();
    let mut mine = vec![0u64; slots.div_ceil(64)];
    for slot in (0..slots).filter(|s| gradients.get(*s).is_some()) {
        mine[slot / 64] |= 1 << (slot % 64);
    }
    let all = ranks.gather(&mine)?;
    let somewhere = |slot: usize| {
        all.iter().skip(slot / 64).step_by(mine.len()).any(|w| w >> (slot % 64) & 1 == 1)
    };
    let mut piece: Vec<f32> = Vec::with_capacity(PIECE);
    let mut runs: Vec<Run> = Vec::new();
    for slot in (0..slots).filter(|s| somewhere(*s)) {
        // The one number that changes nothing it is added to, zero's sign included.
        gradients.write(slot, |v, has_values| {
            if !has_values {
                v.fill(-0.0);
            }
        })?;
        let len = gradients.get(slot).map_or(0, |g| g.elem_count());
        let mut start = 0;
        while start < len {
            let n = (PIECE - piece.len()).min(len - start);
            if let Some(g) = gradients.get(slot) {
                piece.extend_from_slice(&values(g)?[start..start + n]);
            }
            runs.push(Run { slot, start, len: n });
            start += n;
            if piece.len() == PIECE {
                exchange(ranks, gradients, &mut piece, &mut runs)?;
            }
        }
    }
    exchange(ranks, gradients, &mut piece, &mut runs)
}

/// Sums a piece and puts it back.
fn exchange(
    ranks: &mut dyn Ranks,
    gradients: &mut Gradients,
    piece: &mut Vec<f32>,
    runs: &mut Vec<Run>,
) -> Result<()> {
    ranks.sum(piece)?;
    let mut at = 0;
    for run in runs.drain(..) {
        let sums = &piece[at..at + run.len];
        gradients.write(run.slot, |v, _| {
            v[run.start..run.start + run.len].copy_from_slice(sums);
        })?;
        at += run.len;
    }
    piece.clear();
    Ok(())
}
