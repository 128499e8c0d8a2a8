//! Gradients summed over ranks, in pieces of a few MiB.

use candle_core::Tensor;

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
    // The same on all ranks, whatever gradients they have.
    if slots > 0 && !gradients.buffer(0).device().is_cpu() {
        let summed = (0..slots).filter(|s| somewhere(*s)).collect::<Vec<_>>();
        if sum_on_device(ranks, gradients, &summed)? {
            return Ok(());
        }
    }
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

/// Values of a piece that stays on its device: 64 MiB.
const DEVICE_PIECE: usize = 1 << 24;

/// The same for gradients that lie on a device, where the ranks can sum there; false where they cannot.
fn sum_on_device(
    ranks: &mut dyn Ranks,
    gradients: &mut Gradients,
    slots: &[usize],
) -> Result<bool> {
    let mut rest = slots;
    while !rest.is_empty() {
        let (mut taken, mut len) = (0, 0);
        while taken < rest.len() && (taken == 0 || len < DEVICE_PIECE) {
            len += gradients.buffer(rest[taken]).elem_count();
            taken += 1;
        }
        let (own, others) = rest.split_at(taken);
        let flat = own
            .iter()
            .map(|&slot| {
                let missing = gradients.get(slot).is_none();
                let t = gradients.buffer(slot).flatten_all()?;
                // The one number that changes nothing it is added to, zero's sign included.
                Ok(if missing { Tensor::full(-0f32, t.dims(), t.device())? } else { t })
            })
            .collect::<Result<Vec<_>>>()?;
        let Some(sum) = ranks.sum_on_device(&Tensor::cat(&flat, 0)?)? else {
            return Ok(false);
        };
        let mut at = 0;
        for &slot in own {
            let dims = gradients.buffer(slot).dims().to_vec();
            let n = dims.iter().product();
            gradients.replace(slot, sum.narrow(0, at, n)?.reshape(dims)?);
            at += n;
        }
        rest = others;
    }
    Ok(true)
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
