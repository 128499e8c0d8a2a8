//! Rows of the shared embedding, and entries of the logits' bias, for new vocabulary entries.

use safetensors::tensor::Dtype;

use crate::error::{Error, Result};

/// A row to be set: to the mean of the rows it is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    pub row: usize,
    pub like: Vec<usize>,
}

/// The bytes of a matrix `[_, width]` with `num_rows` rows, of which those of `new` are set. What
/// it held stays bit for bit where no new row takes its place; a row like a single other is its copy.
///
/// # Errors
/// Artifact: numbers that no mean can be taken of. Bug: rows that are not there.
pub fn grow_rows(
    dtype: Dtype,
    bytes: &[u8],
    width: usize,
    num_rows: usize,
    new: &[NewRow],
) -> Result<Vec<u8>> {
    let row_bytes = width * size_of(dtype)?;
    let absent = || Error::bug("a row is outside its matrix");
    let old = |row: usize| bytes.get(row * row_bytes..(row + 1) * row_bytes).ok_or_else(absent);
    let mut out = bytes.to_vec();
    out.resize(out.len().max(num_rows * row_bytes), 0);
    for NewRow { row, like } in new {
        let values = match like.as_slice() {
            [one] => old(*one)?.to_vec(),
            several => {
                let mut sum = vec![0f64; width];
                for &row in several {
                    for (s, v) in sum.iter_mut().zip(decode(dtype, old(row)?)) {
                        *s += v;
                    }
                }
                encode(dtype, sum.iter().map(|s| s / several.len() as f64))
            }
        };
        let place = out.get_mut(row * row_bytes..(row + 1) * row_bytes).ok_or_else(absent)?;
        place.copy_from_slice(&values);
    }
    Ok(out)
}

fn size_of(dtype: Dtype) -> Result<usize> {
    match dtype {
        Dtype::F16 | Dtype::BF16 => Ok(2),
        Dtype::F32 => Ok(4),
        Dtype::F64 => Ok(8),
        other => Err(Error::artifact("tensor has a type we cannot compute with")
            .found(format!("{other:?}"))
            .expected("F32, F16, BF16 or F64")),
    }
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::F16 => {
            bytes.as_chunks().0.iter().map(|c| half::f16::from_le_bytes(*c).to_f64()).collect()
        }
        Dtype::BF16 => {
            bytes.as_chunks().0.iter().map(|c| half::bf16::from_le_bytes(*c).to_f64()).collect()
        }
        Dtype::F64 => bytes.as_chunks().0.iter().map(|c| f64::from_le_bytes(*c)).collect(),
        _ => bytes.as_chunks().0.iter().map(|c| f64::from(f32::from_le_bytes(*c))).collect(),
    }
}

fn encode(dtype: Dtype, values: impl Iterator<Item = f64>) -> Vec<u8> {
    match dtype {
        Dtype::F16 => values.flat_map(|v| half::f16::from_f64(v).to_le_bytes()).collect(),
        Dtype::BF16 => values.flat_map(|v| half::bf16::from_f64(v).to_le_bytes()).collect(),
        Dtype::F64 => values.flat_map(f64::to_le_bytes).collect(),
        _ => values.flat_map(|v| (v as f32).to_le_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dtype; 4] = [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64];

    /// Rows 0, 1 and 2 of width 2.
    const OLD: [f64; 6] = [1.0, -2.0, 3.0, 0.5, -8.0, 4.0];

    fn row(row: usize, like: &[usize]) -> NewRow {
        NewRow { row, like: like.to_vec() }
    }

    #[test]
    fn rows_are_copied_or_averaged_in_every_type() {
        for dtype in ALL {
            let old = encode(dtype, OLD.into_iter());
            // Row 2 is spare and replaced; rows 3 and 4 are new; what they are like is the old.
            let new = [row(2, &[1]), row(3, &[0, 1]), row(4, &[0, 1, 2, 0])];
            let grown = grow_rows(dtype, &old, 2, 5, &new).unwrap();
            let want = [1.0, -2.0, 3.0, 0.5, 3.0, 0.5, 2.0, -0.75, -0.75, 0.125];
            assert_eq!(decode(dtype, &grown), want, "{dtype:?}");
            assert_eq!(grown[..old.len() / 3 * 2], old[..old.len() / 3 * 2]);
            // Nothing new, nothing changed.
            assert_eq!(grow_rows(dtype, &old, 2, 3, &[]).unwrap(), old);
        }
    }

    /// A copy is no computation: not even a signalling NaN changes.
    #[test]
    fn a_single_row_is_copied_bit_by_bit() {
        let odd: Vec<u8> =
            [0x7fa0_0001u32, 0x8000_0000].into_iter().flat_map(u32::to_le_bytes).collect();
        let grown = grow_rows(Dtype::F32, &odd, 2, 2, &[row(1, &[0])]).unwrap();
        assert_eq!(grown, [&odd[..], &odd[..]].concat());
    }

    #[test]
    fn rows_outside_and_other_types_are_errors() {
        let old = encode(Dtype::F32, OLD.into_iter());
        for new in [row(3, &[3]), row(4, &[0]), row(3, &[0, 9])] {
            assert!(grow_rows(Dtype::F32, &old, 2, 4, &[new]).is_err());
        }
        let e = grow_rows(Dtype::I64, &[0; 16], 1, 3, &[row(2, &[0])]).unwrap_err();
        assert_eq!(e.exit_code() as i32, 4);
    }
}
