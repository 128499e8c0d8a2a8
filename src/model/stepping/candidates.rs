//! The best next tokens of rows: what of the logits leaves the device.

use candle_core::{D, Tensor};

use crate::autograd::{Tape, Value, composed};
use crate::error::Result;
#[cfg(feature = "cuda")]
use crate::kernels::cuda;
use crate::kernels::infer::vocab::{Candidate, Normalizer};

/// Logits of a block. They, two arrays made of them and a padded copy stand at once: 512 MiB.
const BLOCK: usize = 1 << 25;
/// Tokens of a chunk. Only the greatest logit of each chunk leaves the device, then the chunks that can
/// hold one of the best.
const CHUNK: usize = 128;

/// Best tokens and normalisers of the rows of one step.
#[derive(Default)]
pub struct Candidates {
    best: Vec<Vec<Candidate>>,
    norms: Vec<Normalizer>,
}

impl Candidates {
    pub fn best(&self, row: usize) -> &[Candidate] {
        &self.best[row]
    }
    pub fn norm(&self, row: usize) -> Normalizer {
        self.norms[row]
    }

    /// Of `hidden` `[rows, d_model]`; `ids` are the tokens of the columns, ascending, where they are not
    /// all.
    pub fn find(
        &mut self,
        tape: &Tape,
        hidden: &Tensor,
        (weight, bias): (&Tensor, Option<&Tensor>),
        ids: Option<&[u32]>,
        best: usize,
    ) -> Result<()> {
        self.best.clear();
        self.norms.clear();
        let (rows, vocab) = (hidden.dims2()?.0, weight.dims2()?.0);
        // Once for all blocks.
        let weight = Value::constant(composed::factor(weight, tape.is_in_bf16())?);
        let bias = bias.cloned().map(Value::constant);
        let block = (BLOCK / vocab.max(1)).max(1);
        for first in (0..rows).step_by(block) {
            let h = Value::constant(hidden.narrow(0, first, block.min(rows - first))?);
            let logits = tape.linear(&h, &weight, bias.as_ref(), false)?;
            self.add(logits.tensor(), ids, best.min(vocab))?;
        }
        Ok(())
    }

    /// Of logits `[rows, columns]`.
    fn add(&mut self, logits: &Tensor, ids: Option<&[u32]>, best: usize) -> Result<()> {
        let (rows, columns) = logits.dims2()?;
        #[cfg(feature = "cuda")]
        if logits.device().is_cuda() && cuda::finds_best(columns) {
            for row in cuda::best_of_rows(logits, best)?.to_vec2::<f32>()? {
                let (values, columns) = row[2..].split_at(best);
                let norm = Normalizer { max: row[0], log_sum: row[1].ln() };
                let found = values.iter().zip(columns);
                let found = found.map(|(&logit, c)| Candidate { logit, id: c.to_bits() });
                self.keep(norm, found.collect(), ids);
            }
            return Ok(());
        }
        let most = logits.max_keepdim(1)?;
        let sums = logits.broadcast_sub(&most)?.exp()?.sum_keepdim(1)?;
        let chunks = columns.div_ceil(CHUNK);
        let missing = chunks * CHUNK - columns;
        let padded = match missing {
            0 => logits.clone(),
            n => {
                let device = logits.device();
                Tensor::cat(&[logits, &Tensor::full(f32::NEG_INFINITY, (rows, n), device)?], 1)?
            }
        };
        let padded = padded.reshape((rows * chunks, CHUNK))?;
        let heads = padded.max(D::Minus1)?.reshape((rows, chunks))?;
        let known = Tensor::cat(&[&most, &sums, &heads], 1)?.to_vec2::<f32>()?;

        let kept = best.min(chunks);
        let chosen: Vec<Vec<u32>> =
            known.iter().map(|known| best_chunks(&known[2..], kept)).collect();
        let at: Vec<u32> = chosen
            .iter()
            .zip(0..)
            .flat_map(|(own, row)| own.iter().map(move |c| row * chunks as u32 + c))
            .collect();
        let at = Tensor::from_slice(&at, at.len(), logits.device())?;
        let values = padded.index_select(&at, 0)?.to_vec2::<f32>()?;
        for ((own, values), known) in chosen.iter().zip(values.chunks(kept.max(1))).zip(&known) {
            let norm = Normalizer { max: known[0], log_sum: known[1].ln() };
            let all = own.iter().zip(values).flat_map(|(chunk, values)| {
                let first = *chunk * CHUNK as u32;
                values.iter().zip(first..).map(|(&logit, id)| Candidate { logit, id })
            });
            let mut all: Vec<Candidate> = all.filter(|c| (c.id as usize) < columns).collect();
            all.sort_unstable_by(Candidate::rank);
            all.truncate(best);
            self.keep(norm, all, ids);
        }
        Ok(())
    }

    /// The best columns of a row, as tokens.
    fn keep(&mut self, norm: Normalizer, mut best: Vec<Candidate>, ids: Option<&[u32]>) {
        self.norms.push(norm);
        if !norm.is_finite() {
            // Values that are not numbers have no order.
            best.clear();
        }
        if let Some(ids) = ids {
            best.iter_mut().for_each(|c| c.id = ids[c.id as usize]);
        }
        self.best.push(best);
    }
}

/// The chunks with the greatest heads, the first of equal ones. The best `kept` values, of equal ones
/// those with the lowest number, are all in them: each chunk before another holds one that is better
/// than all of the other.
fn best_chunks(heads: &[f32], kept: usize) -> Vec<u32> {
    let mut order: Vec<Candidate> =
        heads.iter().zip(0..).map(|(&logit, id)| Candidate { logit, id }).collect();
    if kept < order.len() {
        if order.iter().any(|c| c.logit.is_nan()) {
            return (0..kept as u32).collect();
        }
        order.select_nth_unstable_by(kept, Candidate::rank);
        order.truncate(kept);
    }
    order.into_iter().map(|c| c.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Against sorting whole rows, with ties across chunks and a shortlist.
    #[test]
    fn the_best_of_chunks_are_the_best_of_all() {
        for (columns, best) in [(1, 4), (5, 3), (128, 7), (300, 1), (1000, 12), (1000, 2000)] {
            let value = |i: usize| ((i * 7919 + i / 13) % 23) as f32 - 9.0;
            let rows = 3;
            let z: Vec<f32> = (0..rows * columns).map(value).collect();
            let logits = Tensor::from_slice(&z, (rows, columns), &Device::Cpu).unwrap();
            #[cfg(feature = "cuda")]
            let on_gpu = Some(logits.to_device(&cuda::tests::gpu()).unwrap());
            #[cfg(not(feature = "cuda"))]
            let on_gpu = None;
            let ids: Vec<u32> = (0..columns as u32).map(|i| 3 * i + 1).collect();
            let all = [Some(&logits), on_gpu.as_ref()].into_iter().flatten();
            for (logits, ids) in all.flat_map(|l| [(l, None), (l, Some(&*ids))]) {
                let mut found = Candidates::default();
                found.add(logits, ids, best.min(columns)).unwrap();
                for (r, z) in z.chunks(columns).enumerate() {
                    let mut order: Vec<u32> = (0..columns as u32).collect();
                    order.sort_by(|&a, &b| z[b as usize].total_cmp(&z[a as usize]).then(a.cmp(&b)));
                    order.truncate(best);
                    let own = |i: u32| ids.map_or(i, |ids| ids[i as usize]);
                    let want: Vec<(u32, f32)> =
                        order.iter().map(|&i| (own(i), z[i as usize])).collect();
                    let got: Vec<(u32, f32)> =
                        found.best(r).iter().map(|c| (c.id, c.logit)).collect();
                    assert_eq!(got, want, "{columns} {best}");
                    let most = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let sum: f64 = z.iter().map(|v| f64::from(v - most).exp()).sum();
                    assert_eq!(found.norm(r).max, most);
                    assert!((f64::from(found.norm(r).log_sum) - sum.ln()).abs() < 1e-5);
                }
            }
        }
    }

    /// Logits that are no numbers show in the normaliser wherever they stand; those that are minus infinity
    /// count for nothing.
    #[cfg(feature = "cuda")]
    #[test]
    fn what_is_no_number_is_seen_on_a_gpu() {
        let gpu = cuda::tests::gpu();
        for (bad, columns) in [(0..128, 2000), (5..6, 2000), (1152..1280, 2000), (1999..2000, 2000)]
        {
            for (value, finite) in
                [(f32::NAN, false), (f32::INFINITY, false), (f32::NEG_INFINITY, true)]
            {
                let z: Vec<f32> = (0..columns)
                    .map(|i| if bad.contains(&i) { value } else { (i as f32 * 0.37).sin() })
                    .collect();
                let logits = Tensor::from_slice(&z, (1, columns), &gpu).unwrap();
                let mut found = Candidates::default();
                found.add(&logits, None, 3).unwrap();
                assert_eq!(found.norm(0).is_finite(), finite, "{bad:?} {value}");
                assert_eq!(found.best(0).len(), if finite { 3 } else { 0 });
                if finite {
                    let sum: f64 = z.iter().map(|v| f64::from(v - found.norm(0).max).exp()).sum();
                    assert!((f64::from(found.norm(0).log_sum) - sum.ln()).abs() < 1e-5);
                }
            }
        }
    }
}
