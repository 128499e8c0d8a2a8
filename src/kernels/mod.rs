//! Fused CPU operations on plain slices, each beside the plain reference it must equal (in
//! its tests: candle's composed operations, or f64 loops).
//!
//! Row-major throughout. Results depend neither on the number of threads nor on how rows are
//! spread over them: work is cut into chunks of fixed size, and partial sums are added in
//! the order of the chunks.

pub mod adam;
pub mod attention;
pub mod buffer;
pub mod crew;
pub mod cross_entropy;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod dropout;
pub mod elementwise;
pub mod embedding;
pub mod infer;
pub mod layer_norm;
pub mod linear;
pub mod low_rank;
pub mod masked;
pub mod packed;
pub mod parallel;
mod product;
pub mod simd;
pub mod storage;
pub mod team;
pub mod vector;
pub mod weights;

#[cfg(test)]
mod reference;

/// Rows a task works on, so that tasks hold some tens of thousands of values.
pub(crate) fn rows_per_task(row_len: usize) -> usize {
    (16384 / row_len.max(1)).max(1)
}
