//! Products in bf16 and int8 beside plain arithmetic, on every instruction set.

use proptest::prelude::*;

use super::int8::{self, MAX_INPUTS, quantised, quantised_stride};
use super::tests::values;
use super::*;
use crate::kernels::buffer::Buffer;
use crate::kernels::team::Team;

fn packed(format: WeightFormat, dense: &[f32], k: usize, bias: &[f32]) -> PackedLinear {
    let mut arena = Arena::with_capacity(0);
    let rows = Dense { values: dense.into(), k };
    let weight = PackedMatrix::pack_as(&mut arena, format, &[&rows], k).unwrap();
    PackedLinear::new(&mut arena, weight, &[bias])
}

/// `op(x W^T + bias)` for rows `x` `[m, k]`, on what `y` `[m, n]` holds.
fn run(
    linear: &PackedLinear,
    x: &[f32],
    y: &[f32],
    isa: Isa,
    threads: usize,
    op: Epilogue,
) -> Vec<f32> {
    let (n, k) = (linear.weight.n(), linear.weight.k());
    let m = x.len() / k;
    let (sx, sy, sq) = (row_stride(k), row_stride(n), quantised_stride(k));
    let mut from = Buffer::zeros(m * sx);
    let mut to = Buffer::zeros(m * sy);
    let mut quant = Buffer::zeros(m * sq);
    for r in 0..m {
        from.as_mut_slice()[r * sx..][..k].copy_from_slice(&x[r * k..][..k]);
        to.as_mut_slice()[r * sy..][..n].copy_from_slice(&y[r * n..][..n]);
    }
    // Left over from other rows: must not be read.
    quant.as_mut_slice().fill(f32::from_bits(0x5a5a_5a5a));
    let from = Rows { data: SharedMut::new(from.as_mut_slice()), stride: sx };
    let quant = Rows { data: SharedMut::new(quant.as_mut_slice()), stride: sq };
    let rows = Rows { data: SharedMut::new(to.as_mut_slice()), stride: sy };
    // SAFETY: the set is available and nobody else uses the buffers.
    Team::new(threads).run(usize::MAX, &|w| unsafe {
        let input = linear.weight.input(w, isa, from, quant, m);
        linear.phase(w, isa, input, rows, m, op);
    });
    (0..m).flat_map(|r| to.as_slice()[r * sy..][..n].to_vec()).collect()
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| x.to_bits()).collect()
}

const OPS: [Epilogue; 4] = [Epilogue::Set, Epilogue::Relu, Epilogue::Add, Epilogue::AddRelu];

/// Int8 by its definition, in integers of 64 bits.
fn plain_int8(
    dense: &[f32],
    bias: &[f32],
    x: &[f32],
    y: &[f32],
    k: usize,
    op: Epilogue,
) -> Vec<f32> {
    let n = bias.len();
    let rounded = |row: &[f32]| -> (Vec<i64>, f32) {
        let max = row.iter().fold(0f32, |m, v| m.max(v.abs()));
        let factor = 127.0 / max;
        let q = row.iter().map(|v| (v * factor).round_ties_even() as i64).collect();
        (if max == 0.0 { vec![0; row.len()] } else { q }, max / 127.0)
    };
    let weights: Vec<_> = dense.chunks(k).map(rounded).collect();
    let mut out = Vec::new();
    for (x, y) in x.chunks(k).zip(y.chunks(n)) {
        let (qx, sx) = rounded(x);
        for (j, (qw, sw)) in weights.iter().enumerate() {
            let sum: i64 = qx.iter().zip(qw).map(|(a, b)| a * b).sum();
            let v = sum as f32 * (sx * sw) + bias[j];
            out.push(match op {
                Epilogue::Set => v,
                Epilogue::Relu => v.max(0.0),
                Epilogue::Add => y[j] + v,
                Epilogue::AddRelu => (y[j] + v).max(0.0),
            });
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn int8_equals_plain_integers_bit_for_bit(
        m in 1usize..40, n in 1usize..150, k in 1usize..150, seed in any::<u32>()
    ) {
        let seed = u64::from(seed);
        let (dense, bias) = (values(n * k, seed), values(n, seed + 1));
        let (x, y) = (values(m * k, seed + 2), values(m * n, seed + 3));
        let linear = packed(WeightFormat::Int8, &dense, k, &bias);
        for op in OPS {
            let want = plain_int8(&dense, &bias, &x, &y, k, op);
            for isa in Isa::available() {
                for threads in [1, 2] {
                    let got = run(&linear, &x, &y, isa, threads, op);
                    // Zeros of either sign are one value of ReLU.
                    let same = got.iter().zip(&want).all(|(g, w)| g == w);
                    prop_assert!(same, "{} {op:?}", isa.name());
                }
            }
        }
    }

    #[test]
    fn bf16_is_f32_on_rounded_weights_bit_for_bit(
        m in 1usize..40, n in 1usize..150, k in 1usize..150, seed in any::<u32>()
    ) {
        let seed = u64::from(seed);
        let (dense, bias) = (values(n * k, seed), values(n, seed + 1));
        let (x, y) = (values(m * k, seed + 2), values(m * n, seed + 3));
        // To the nearest of the values whose low halves are zero, ties to even.
        let rounded: Vec<f32> = dense
            .iter()
            .map(|v| f32::from_bits((v.to_bits() + 0x7fff + (v.to_bits() >> 16 & 1)) & 0xffff_0000))
            .collect();
        let narrow = packed(WeightFormat::Bf16, &dense, k, &bias);
        let wide = packed(WeightFormat::F32, &rounded, k, &bias);
        prop_assert_eq!(narrow.weight.to_rows(), rounded);
        for isa in Isa::available() {
            for op in OPS {
                let got = run(&narrow, &x, &y, isa, 2, op);
                prop_assert_eq!(bits(&got), bits(&run(&wide, &x, &y, isa, 1, op)));
            }
        }
    }
}

#[test]
fn greatest_integers_neither_saturate_nor_overflow() {
    // Each magnitude becomes 127: the sum is k * 127 * 127.
    for k in [1, 3, 64, 4096, MAX_INPUTS] {
        for (wx, ww) in [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)] {
            let linear = packed(WeightFormat::Int8, &vec![ww; k], k, &[0.0]);
            for isa in Isa::available() {
                let y = run(&linear, &vec![wx; k], &[0.0], isa, 1, Epilogue::Set);
                let want = (k * 127 * 127) as f32 * (1f32 / 127.0 * (1.0 / 127.0)) * wx * ww;
                assert_eq!(y, [want], "{} {k}", isa.name());
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_the_others_or_on_threads() {
    // Large enough to be cut in pieces, odd enough to leave tails.
    let (m, n, k) = (61, 32 * 9 + 5, 203);
    let (dense, bias) = (values(n * k, 5), values(n, 6));
    let mut x = values(m * k, 7);
    // Rows of very different size, each with its own scale.
    x.chunks_mut(k).enumerate().for_each(|(r, row)| {
        row.iter_mut().for_each(|v| *v *= 10f32.powi(r as i32 % 9 - 4));
    });
    for format in [WeightFormat::Bf16, WeightFormat::Int8] {
        let linear = packed(format, &dense, k, &bias);
        let zero = vec![0.0; m * n];
        let alone: Vec<f32> = x
            .chunks(k)
            .flat_map(|row| run(&linear, row, &zero, Isa::detect(), 1, Epilogue::Set))
            .collect();
        for isa in Isa::available() {
            if format == WeightFormat::Bf16 && isa == Isa::Portable {
                continue; // not fused everywhere
            }
            for threads in [1, 2, 3] {
                let got = run(&linear, &x, &zero, isa, threads, Epilogue::Set);
                assert_eq!(bits(&got), bits(&alone), "{format:?} {} {threads}", isa.name());
            }
        }
    }
}

#[test]
fn what_is_not_finite_is_seen() {
    let (n, k) = (70, 33);
    let (dense, bias) = (values(n * k, 9), values(n, 10));
    let mut broken = dense.clone();
    broken[3 * k + 2] = f32::NEG_INFINITY;
    let mut x = values(5 * k, 11);
    x[k + 4] = f32::NAN;
    x[3 * k + 32] = f32::INFINITY;
    for isa in Isa::available() {
        for op in [Epilogue::Set, Epilogue::Relu] {
            let linear = packed(WeightFormat::Int8, &dense, k, &bias);
            let y = run(&linear, &x, &vec![0.0; 5 * n], isa, 1, op);
            for (r, row) in y.chunks(n).enumerate() {
                let nan = r == 1 || r == 3;
                assert!(row.iter().all(|v| v.is_nan() == nan), "{} row {r}", isa.name());
            }
            let linear = packed(WeightFormat::Int8, &broken, k, &bias);
            let y = run(&linear, &values(k, 12), &vec![0.0; n], isa, 1, op);
            assert!(y.iter().enumerate().all(|(j, v)| v.is_nan() == (j == 3)));
        }
    }
}

#[test]
fn rounding_is_to_the_nearest_multiple_of_the_row_s_scale() {
    let row: Vec<f32> = values(1000, 3).iter().map(|v| v * 0.01).collect();
    let max = row.iter().fold(0f32, |m, v| m.max(v.abs()));
    let (q, scale) = quantised(&row);
    assert_eq!(scale, max / 127.0);
    for (q, v) in q.iter().zip(&row) {
        assert!((v / scale - f32::from(*q)).abs() <= 0.5001, "{v} {q}");
    }
    assert_eq!(q.iter().map(|q| q.unsigned_abs()).max(), Some(127));
    // Ties go to even numbers.
    let ties = [127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, 0.0];
    assert_eq!(quantised(&ties).0, [127, -127, 0, 2, 2, 0, -2, -2, 126, 0]);
    for small in [0.0, 1e-38, -1e-40] {
        assert_eq!(quantised(&[small; 5]), (vec![0; 5], 0.0));
    }
    assert_eq!(quantised(&[f32::MAX, f32::MIN, 0.0]).0, [127, -127, 0]);
}

#[test]
fn rows_come_back_in_every_format_and_keep_given_scales() {
    let (n, k) = (49, 7);
    let (a, b) = (values(40 * k, 1), values(9 * k, 2));
    let parts = [Dense { values: a[..].into(), k }, Dense { values: b[..].into(), k }];
    let parts: Vec<&dyn MatrixRows> = parts.iter().map(|p| p as &dyn MatrixRows).collect();
    let all: Vec<f32> = a.iter().chain(&b).copied().collect();
    for format in [WeightFormat::F32, WeightFormat::Bf16, WeightFormat::Int8] {
        let mut arena = Arena::with_capacity(PackedMatrix::packed_len(format, n, k));
        let packed = PackedMatrix::pack_as(&mut arena, format, &parts, k).unwrap();
        assert_eq!((packed.n(), packed.k(), packed.num_panels()), (n, k, 2));
        let step = match format {
            WeightFormat::F32 => 0.0,
            WeightFormat::Bf16 => 1.5 / 256.0,
            WeightFormat::Int8 => 1.5 / 127.0 / 2.0 * 1.001,
        };
        let rows = packed.to_rows();
        assert!(rows.iter().zip(&all).all(|(r, w)| (r - w).abs() <= step), "{format:?}");
        let mut row = vec![0.0; k];
        packed.row(45, 2.0, &mut row);
        assert!(row.iter().zip(&rows[45 * k..]).all(|(r, w)| *r == w * 2.0));
        let Some(scales) = packed.scales() else { continue };
        // Every second column with the scales of whole rows: no integer changes.
        let half: Vec<f32> = rows.chunks(k).flat_map(|r| r.iter().step_by(2).copied()).collect();
        let kept = Multiples { values: &half, k: 4, scales };
        let kept = PackedMatrix::pack_as(&mut arena, format, &[&kept], 4).unwrap();
        assert_eq!(kept.scales(), Some(scales));
        assert_eq!(kept.to_rows(), half);
        let (whole, scale) = packed.int8_row(17).unwrap();
        let every_second: Vec<i8> = whole.iter().step_by(2).copied().collect();
        assert_eq!(kept.int8_row(17).unwrap(), (every_second, scale));
    }
}

#[test]
fn rows_that_cannot_be_read_are_an_error() {
    struct Broken;
    impl MatrixRows for Broken {
        fn len(&self) -> usize {
            100
        }
        fn read(&self, _: usize, out: &mut [f32]) {
            out.fill(1.0);
        }
        fn read_int8(&self, i: usize, _: &mut [i8]) -> Result<Option<f32>> {
            match i {
                70 => Err(crate::error::Error::artifact("row 70")),
                _ => Ok(None),
            }
        }
    }
    let mut arena = Arena::with_capacity(0);
    let e = PackedMatrix::pack_as(&mut arena, WeightFormat::Int8, &[&Broken], 8).err().unwrap();
    assert!(e.to_string().contains("row 70"));
    assert!(PackedMatrix::pack_as(&mut arena, WeightFormat::F32, &[&Broken], 8).is_ok());
    let (q, scale) = int8::quantised(&[1.0; 8]);
    let packed = PackedMatrix::pack_as(
        &mut arena,
        WeightFormat::Int8,
        &[&Dense { values: vec![1.0; 8].into(), k: 8 }],
        8,
    );
    assert_eq!(packed.unwrap().int8_row(0).unwrap(), (q, scale));
}
