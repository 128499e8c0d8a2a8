//! Gradients summed over ranks, in pieces of a few MiB.

use super::Ranks;
use crate::autograd::Gradients;
use crate::error::Result;
use crate::kernels::storage::values;

/// Values of a piece: 4 MiB, large beside a message's delay and small beside a model.
const PIECE: usize = 1 << 20;
/// Values of a gradient that goes by itself; smaller ones share a piece.
const LARGE: usize = 1 << 16;

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
    let (mut piece, mut in_piece) = (Vec::with_capacity(PIECE), Vec::new());
    for slot in (0..slots).filter(|s| somewhere(*s)) {
        if gradients.get(slot).is_none() {
            // The one number that changes nothing it is added to, zero's sign included.
            gradients.write(slot, |v, _| v.fill(-0.0))?;
        }
        let len = gradients.get(slot).map_or(0, |g| g.elem_count());
        if len >= LARGE {
            let mut summed = Ok(());
            gradients.write(slot, |v, _| {
                summed = v.chunks_mut(PIECE).try_for_each(|part| ranks.sum(part));
            })?;
            summed?;
            continue;
        }
        if piece.len() + len > PIECE {
            sum_piece(ranks, gradients, &mut piece, &mut in_piece)?;
        }
        if let Some(g) = gradients.get(slot) {
            piece.extend_from_slice(&values(g)?);
            in_piece.push(slot);
        }
    }
    sum_piece(ranks, gradients, &mut piece, &mut in_piece)
}

/// Sums a piece and puts it back into its slots.
fn sum_piece(
    ranks: &mut dyn Ranks,
    gradients: &mut Gradients,
    piece: &mut Vec<f32>,
    slots: &mut Vec<usize>,
) -> Result<()> {
    ranks.sum(piece)?;
    let mut rest = &piece[..];
    for slot in slots.drain(..) {
        gradients.write(slot, |v, _| {
            let (own, others) = rest.split_at(v.len());
            v.copy_from_slice(own);
            rest = others;
        })?;
    }
    piece.clear();
    Ok(())
}
