//! Products in f32.

use super::*;
use crate::kernels::buffer::Buffer;
use crate::kernels::team::Team;
use proptest::prelude::*;

struct Case {
    x: Buffer,
    y: Buffer,
    linear: PackedLinear,
    dense: Vec<f32>,
    bias: Vec<f32>,
    m: usize,
}

pub(super) fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 1.5
        })
        .collect()
}

fn case(m: usize, n: usize, k: usize, seed: u64) -> Case {
    let dense = values(n * k, seed);
    let bias = values(n, seed + 7);
    let (sx, sy) = (row_stride(k), row_stride(n));
    let (mut x, mut y) = (Buffer::zeros(m * sx), Buffer::zeros(m * sy));
    for r in 0..m {
        x.as_mut_slice()[r * sx..][..k].copy_from_slice(&values(k, seed + 100 + r as u64));
        y.as_mut_slice()[r * sy..][..n].copy_from_slice(&values(n, seed + 300 + r as u64));
    }
    let mut arena = Arena::with_capacity(PackedLinear::packed_len(WeightFormat::F32, n, k));
    let weight = PackedMatrix::pack(&mut arena, &[&dense], k);
    let linear = PackedLinear::new(&mut arena, weight, &[&bias]);
    Case { x, y, linear, dense, bias, m }
}

fn run(c: &mut Case, isa: Isa, team: &mut Team, op: Epilogue) -> Vec<f32> {
    let (n, k, m) = (c.linear.weight.n, c.linear.weight.k, c.m);
    let before = c.y.as_slice().to_vec();
    let x = Rows { data: SharedMut::new(c.x.as_mut_slice()), stride: row_stride(k) };
    let y = Rows { data: SharedMut::new(c.y.as_mut_slice()), stride: row_stride(n) };
    // SAFETY: the set is available and nobody else uses the buffers.
    team.run(usize::MAX, &|w| unsafe { c.linear.phase(w, isa, x, y, m, op) });
    let out = (0..m).flat_map(|r| c.y.as_slice()[r * row_stride(n)..][..n].to_vec()).collect();
    c.y.as_mut_slice().copy_from_slice(&before);
    out
}

/// The plain reference, in f64.
fn reference(c: &Case, op: Epilogue) -> Vec<f64> {
    let (n, k) = (c.linear.weight.n, c.linear.weight.k);
    let mut out = Vec::new();
    for r in 0..c.m {
        let x = &c.x.as_slice()[r * row_stride(k)..][..k];
        for j in 0..n {
            let dot: f64 = (0..k).map(|i| f64::from(x[i]) * f64::from(c.dense[j * k + i])).sum();
            let v = dot + f64::from(c.bias[j]);
            out.push(match op {
                Epilogue::Set => v,
                Epilogue::Relu => v.max(0.0),
                Epilogue::Add => v + f64::from(c.y.as_slice()[r * row_stride(n) + j]),
                Epilogue::AddRelu => {
                    (v + f64::from(c.y.as_slice()[r * row_stride(n) + j])).max(0.0)
                }
            });
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn equals_the_reference(m in 1usize..40, n in 1usize..200, k in 1usize..150, seed in any::<u32>()) {
        let mut c = case(m, n, k, u64::from(seed));
        for isa in Isa::available() {
            for threads in [1, 2] {
                let mut team = Team::new(threads);
                for op in [Epilogue::Set, Epilogue::Relu, Epilogue::Add, Epilogue::AddRelu] {
                    let got = run(&mut c, isa, &mut team, op);
                    let want = reference(&c, op);
                    for (g, w) in got.iter().zip(&want) {
                        let tolerance = 4e-6 * (k as f64 + 4.0);
                        prop_assert!((f64::from(*g) - w).abs() < tolerance, "{g} {w}");
                    }
                }
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_rows_threads_or_instruction_set() {
    // Large enough to be cut in pieces, odd enough to leave tails.
    let (n, k) = (32 * 9 + 5, 203);
    let mut c = case(61, n, k, 3);
    let mut alone = Vec::new();
    let mut one = Team::new(1);
    for r in 0..61 {
        let row = c.x.as_slice()[r * row_stride(k)..][..k].to_vec();
        let mut single = case(1, n, k, 3);
        single.x.as_mut_slice()[..k].copy_from_slice(&row);
        alone.extend(run(&mut single, Isa::detect(), &mut one, Epilogue::Set));
    }
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for isa in Isa::available() {
        if isa == Isa::Portable && Isa::detect() != isa && !cfg!(target_feature = "fma") {
            continue;
        }
        for threads in [1, 2, 3] {
            let got = run(&mut c, isa, &mut Team::new(threads), Epilogue::Set);
            assert_eq!(bits(&got), bits(&alone), "{} {threads} threads", isa.name());
        }
    }
}

#[test]
fn not_a_number_and_infinity_stay_where_they_belong() {
    let (n, k) = (70, 33);
    let mut c = case(5, n, k, 9);
    let stride = row_stride(k);
    c.x.as_mut_slice()[stride + 4] = f32::NAN;
    c.x.as_mut_slice()[3 * stride + 32] = f32::INFINITY;
    for isa in Isa::available() {
        for op in [Epilogue::Set, Epilogue::Relu] {
            let y = run(&mut c, isa, &mut Team::new(1), op);
            for r in 0..5 {
                let row = &y[r * n..][..n];
                match r {
                    1 => assert!(row.iter().all(|v| v.is_nan())),
                    3 => assert!(row.iter().all(|v| *v == 0.0 || v.is_infinite())),
                    _ => assert!(row.iter().all(|v| v.is_finite())),
                }
            }
        }
    }
}

#[test]
fn rows_come_back_and_stacked_parts_keep_their_order() {
    let (a, b) = (values(40 * 7, 1), values(9 * 7, 2));
    let packed = PackedMatrix::pack(&mut Arena::with_capacity(0), &[&a, &b], 7);
    assert_eq!((packed.n(), packed.k(), packed.num_panels()), (49, 7, 2));
    let mut row = [0.0; 7];
    for i in 0..49 {
        packed.row(i, 2.0, &mut row);
        let want = if i < 40 { &a[i * 7..][..7] } else { &b[(i - 40) * 7..][..7] };
        assert!(row.iter().zip(want).all(|(r, w)| *r == w * 2.0));
    }
}
