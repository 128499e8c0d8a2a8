//! Token embeddings with sinusoidal positions (Vaswani et al. 2017, section 3.5), as laid
//! out by M2M-100: first the sines, then the cosines.

use super::parallel;
use super::storage::uninit;
use super::weights::Weights;
use crate::multiversion;

/// The table `[positions, width]` for table rows `0..positions`; row `pad_id` is zero.
///
/// transformers, `M2M100SinusoidalPositionalEmbedding.get_embedding`: frequencies
/// `exp(-i ln(10000) / (half - 1))`.
pub fn sinusoidal_positions(positions: usize, width: usize, pad_id: usize) -> Vec<f32> {
    let half = width / 2;
    // f32 arithmetic throughout, as in the reference.
    let step = (10000f64.ln() / (half as f64 - 1.0)) as f32;
    let mut table = vec![0f32; positions * width];
    for (p, row) in table.chunks_exact_mut(width).enumerate() {
        if p == pad_id {
            continue;
        }
        for i in 0..half {
            let angle = p as f32 * (i as f32 * -step).exp();
            row[i] = angle.sin();
            row[half + i] = angle.cos();
        }
    }
    table
}

multiversion! {
    fn row(weight: &[f32], position: &[f32], scale: f32, out: &mut [f32]) {
        let _ = FMA;
        for ((o, w), p) in out.iter_mut().zip(weight).zip(position) {
            *o = w * scale + p;
        }
    }
}

/// `scale * weight[id] + table[first_position + index in sentence]`, `[tokens, width]`.
pub fn forward(
    weight: Weights<'_>,
    table: &[f32],
    ids: &[u32],
    offsets: &[usize],
    first_position: usize,
    scale: f32,
    width: usize,
) -> Vec<f32> {
    let mut out = uninit(ids.len() * width);
    let mut position = vec![0usize; ids.len()];
    for w in offsets.windows(2) {
        for (i, p) in position[w[0]..w[1]].iter_mut().enumerate() {
            *p = first_position + i;
        }
    }
    const ROWS: usize = 64;
    let chunks = out.chunks_mut(ROWS * width).zip(ids.chunks(ROWS)).zip(position.chunks(ROWS));
    parallel::for_each(chunks, |((out, ids), position)| {
        let mut scratch = vec![0f32; width];
        for ((out, &id), &p) in out.chunks_exact_mut(width).zip(ids).zip(position) {
            weight.with_row(id as usize, &mut scratch, |weight| {
                row(weight, &table[p * width..(p + 1) * width], scale, out);
            });
        }
    });
    out
}

multiversion! {
    fn add_scaled(to: &mut [f32], from: &[f32], scale: f32) {
        let _ = FMA;
        for (t, f) in to.iter_mut().zip(from) {
            *t += scale * f;
        }
    }
}

/// `dw[id] += scale * dy[token]`; `dw` is `[vocab, width]`.
///
/// One thread: a few megabytes are touched, and the sum runs in the order of the tokens.
pub fn backward(ids: &[u32], dy: &[f32], scale: f32, width: usize, dw: &mut [f32]) {
    for (token, &id) in ids.iter().enumerate() {
        let id = id as usize;
        add_scaled(
            &mut dw[id * width..(id + 1) * width],
            &dy[token * width..(token + 1) * width],
            scale,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_rows() {
        let t = sinusoidal_positions(4, 4, 1);
        assert_eq!(&t[..4], [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(&t[4..8], [0.0; 4]);
        assert!((t[8] - 2f32.sin()).abs() < 1e-6 && (t[9] - (2e-4f32).sin()).abs() < 1e-7);
        let w = [0f32, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0];
        let y = forward(Weights::F32(&w), &t, &[1, 0, 1], &[0, 2, 3], 2, 2.0, 4);
        let want: Vec<f32> = (0..4).map(|i| 2.0 * w[4 + i] + t[8 + i]).collect();
        assert_eq!(&y[..4], want);
        assert_eq!(&y[8..], want);
        assert_eq!(&y[4..8], &t[12..16]);
        let mut dw = vec![0f32; 8];
        backward(&[1, 0, 1], &[1.0; 12], 2.0, 4, &mut dw);
        assert_eq!(dw, [2.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0]);
    }
}
