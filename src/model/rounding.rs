//! What a narrower number format does to weights: the rounding itself, and its cost by kind of
//! matrix.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::Checkpoint;
use super::checkpoint::{SHARED, parameter_shapes};
use crate::error::Result;
use crate::kernels::packed::MatrixRows;
use crate::kernels::packed::int8::quantise_row;

/// A number format that models are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredFormat {
    F32,
    Bf16,
    F16,
    /// Integers of 8 bits with a scale for each row.
    Int8,
}

impl StoredFormat {
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }

    /// A row as it is read back from this format.
    fn round(self, row: &mut [f32], integers: &mut [i8]) {
        match self {
            Self::F32 => {}
            Self::Bf16 => row.iter_mut().for_each(|v| *v = half::bf16::from_f32(*v).to_f32()),
            Self::F16 => row.iter_mut().for_each(|v| *v = half::f16::from_f32(*v).to_f32()),
            Self::Int8 => {
                let scale = quantise_row(row, integers);
                row.iter_mut().zip(integers).for_each(|(v, q)| *v = f32::from(*q) * scale);
            }
        }
    }
}

/// Sums over weights: of squared errors and of squares.
#[derive(Clone, Copy, Default)]
struct Sums {
    error: f64,
    square: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.error += other.error;
        self.square += other.square;
    }
    /// Root mean square error over root mean square; 0 where there is nothing to lose.
    fn relative(self) -> f64 {
        if self.square == 0.0 { 0.0 } else { (self.error / self.square).sqrt() }
    }
}

/// The cost over the matrices of one kind.
#[derive(Default)]
struct Cost {
    sums: Sums,
    num_matrices: u64,
    /// The greatest relative error of a row, and which.
    worst: Option<(f64, String)>,
}

/// The relative error of a model's matrices in another format, root mean square over root mean
/// square: in all, by kind of matrix, and of the worst row of each kind.
///
/// # Errors
/// Artifact: weights that cannot be read.
pub fn rounding_cost(checkpoint: &Checkpoint, format: StoredFormat) -> Result<Value> {
    let mut kinds: BTreeMap<String, Cost> = BTreeMap::new();
    let mut whole = Sums::default();
    for (name, shape) in parameter_shapes(&checkpoint.config) {
        let &[n, k] = shape.as_slice() else { continue };
        let matrix = checkpoint.matrix(&name, [n, k])?;
        let cost = kinds.entry(kind(&name)).or_default();
        cost.num_matrices += 1;
        let rows = (0..n).into_par_iter().map_init(
            || (vec![0f32; k], vec![0f32; k], vec![0i8; k]),
            |(row, rounded, integers), i| {
                matrix.read(i, row);
                rounded.copy_from_slice(row);
                format.round(rounded, integers);
                let mut sums = Sums::default();
                for (v, r) in row.iter().zip(rounded) {
                    let (v, r) = (f64::from(*v), f64::from(*r));
                    sums.add(Sums { error: (v - r) * (v - r), square: v * v });
                }
                sums
            },
        );
        // In the order of the rows, whatever the threads.
        for (i, sums) in rows.collect::<Vec<_>>().into_iter().enumerate() {
            cost.sums.add(sums);
            whole.add(sums);
            let relative = sums.relative();
            if cost.worst.as_ref().is_none_or(|(worst, _)| relative > *worst) {
                cost.worst = Some((relative, format!("{name}[{i}]")));
            }
        }
        matrix.release(0..n);
    }
    let rounded = |v: f64| format!("{v:.3e}").parse::<f64>().unwrap_or(v);
    let rows: Vec<Value> = kinds
        .into_iter()
        .map(|(kind, cost)| {
            let (worst, row) = cost.worst.unwrap_or_default();
            json!({
                "kind": kind, "count": cost.num_matrices,
                "relative_error": rounded(cost.sums.relative()),
                "worst_row_error": rounded(worst), "worst_row": row,
            })
        })
        .collect();
    Ok(json!({
        "dtype": format.name(), "relative_error": rounded(whole.relative()), "kinds": rows,
    }))
}

/// `model.encoder.layers.3.self_attn.q_proj.weight` is of the kind `encoder.self_attn.q_proj`.
fn kind(name: &str) -> String {
    if name == SHARED {
        return "embedding".into();
    }
    let parts = name.split('.').filter(|p| {
        !["model", "layers", "weight"].contains(p) && !p.bytes().all(|b| b.is_ascii_digit())
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_leave_out_the_layer() {
        assert_eq!(kind(SHARED), "embedding");
        assert_eq!(
            kind("model.decoder.layers.11.encoder_attn.k_proj.weight"),
            "decoder.encoder_attn.k_proj"
        );
        assert_eq!(kind("model.encoder.layers.0.fc1.weight"), "encoder.fc1");
    }

    #[test]
    fn errors_are_those_of_the_formats() {
        let mut row = [1.0, -0.5, 127.0, 0.3];
        StoredFormat::Int8.round(&mut row, &mut [0; 4]);
        // The scale is 1; half a step goes to the even number.
        assert_eq!(row, [1.0, 0.0, 127.0, 0.0]);
        let sums = Sums { error: 0.25 + 0.09, square: 1.0 + 0.25 + 127.0 * 127.0 + 0.09 };
        assert!((sums.relative() - (0.34f64 / 16130.34).sqrt()).abs() < 1e-12);
        assert_eq!(Sums::default().relative(), 0.0);
        let mut row = [1.0 + 1.0 / 512.0, 3.0];
        StoredFormat::Bf16.round(&mut row, &mut []);
        assert_eq!(row, [1.0, 3.0]);
        let mut row = [1.0 + 1.0 / 4096.0, 3.0];
        StoredFormat::F16.round(&mut row, &mut []);
        assert_eq!(row, [1.0, 3.0]);
    }
}
