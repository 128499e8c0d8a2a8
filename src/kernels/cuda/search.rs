//! The best next tokens of rows of logits.

use candle_core::{DType, Tensor};

use super::launch::{Call, THREADS, unwritten};
use crate::error::Result;

/// `CHUNK_COLUMNS` of search.cuh, and bytes of memory that a chunk takes together with the others.
const CHUNK: usize = 128;
const CHUNK_BYTES: usize = 8;
/// Bytes of memory for chunks; the rest of what a block has is for its warps.
const MEMORY: usize = 40 << 10;

/// Whether the kernel knows as many columns.
pub fn finds_best(columns: usize) -> bool {
    columns.div_ceil(CHUNK) * CHUNK_BYTES <= MEMORY
}

/// Of each row of logits `[rows, columns]`, `[rows, 2 + 2 * best]`: the greatest, the sum of the exponentials of
/// all minus it, the `best` greatest, of equal ones the first, and the bits of their columns.
pub fn best_of_rows(logits: &Tensor, best: usize) -> Result<Tensor> {
    let logits = logits.contiguous()?;
    let (rows, columns) = logits.dims2()?;
    let best = best.min(columns);
    let out = unwritten((rows, 2 + 2 * best), DType::F32, &logits)?;
    let call = Call::new("best_f32", &logits)?.u32(columns)?.u32(best)?.values(&logits)?;
    let shared = columns.div_ceil(CHUNK) * CHUNK_BYTES;
    // SAFETY: the arguments are the kernel's; logits hold `rows` rows of `columns`, out as many of 2 + 2 best.
    unsafe { call.values(&out)?.launch((rows, 1, 1), (THREADS, 1), shared)? };
    Ok(out)
}
