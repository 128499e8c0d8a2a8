use super::*;
use proptest::prelude::*;

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let at = |i: u32| i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 8;
    (0..n as u32).map(|i| at(i) as f32 / 8_388_608.0 - 1.0).collect()
}

#[derive(Clone, Debug)]
struct Case {
    shape: (usize, usize, usize),
    transposed: (bool, bool),
    accumulate: bool,
    scale: f32,
    bias: bool,
    relu: bool,
    /// Values between the rows of `C` that must stay.
    gap: usize,
    seed: u32,
}

/// The documented order of the sums, one element at a time.
fn definition(c: &mut [f32], case: &Case, a: Matrix<'_>, b: Matrix<'_>, bias: &[f32]) {
    let (m, n, k) = case.shape;
    for i in 0..m {
        for j in 0..n {
            let c = &mut c[i * (n + case.gap) + j];
            let mut value = case.accumulate.then_some(*c);
            for start in (0..k).step_by(DEPTH) {
                let mut sum = 0f32;
                for l in start..(start + DEPTH).min(k) {
                    let x = a.values[i * a.row_stride + l * a.col_stride];
                    let y = b.values[l * b.row_stride + j * b.col_stride];
                    sum = x.mul_add(y, sum);
                }
                value = Some(value.map_or(case.scale * sum, |v| case.scale.mul_add(sum, v)));
            }
            let mut v = value.unwrap_or(0.0);
            if case.bias {
                v += bias[j];
            }
            *c = if case.relu && v < 0.0 { 0.0 } else { v };
        }
    }
}

fn check(case: &Case, change: impl Fn(&mut [f32], &mut [f32])) {
    let (m, n, k) = case.shape;
    let (mut av, mut bv) = (numbers(m * k, case.seed), numbers(k * n, case.seed ^ 5));
    change(&mut av, &mut bv);
    let operand = |v: &'static [f32], t: bool, rows: usize, cols: usize| {
        if t { Matrix::transposed(v, rows) } else { Matrix::plain(v, cols) }
    };
    let (av, bv): (&'static [f32], &'static [f32]) = (av.leak(), bv.leak());
    let (a, b) = (operand(av, case.transposed.0, m, k), operand(bv, case.transposed.1, k, n));
    let bias = numbers(n, case.seed ^ 9);
    let before = numbers(m * (n + case.gap), case.seed ^ 11);
    let mut want = before.clone();
    definition(&mut want, case, a, b, &bias);
    for isa in Isa::available() {
        let mut c = before.clone();
        let target = Target::rows(&mut c, n + case.gap)
            .accumulate(case.accumulate)
            .scale(case.scale)
            .finish(case.bias.then_some(&bias), case.relu);
        product_on(isa, case.shape, target, a, b);
        for (i, (got, want)) in c.iter().zip(&want).enumerate() {
            let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            // Without fused products the last bits may differ.
            let close = isa == Isa::Portable && (got - want).abs() <= 1e-4 * (1.0 + want.abs());
            assert!(same || close, "{} {case:?} at {i}: {got} {want}", isa.name());
        }
    }
}

prop_compose! {
    fn cases(m: usize, n: usize, k: usize)(
        shape in (0..=m, 0..=n, 0..=k), transposed: (bool, bool), accumulate: bool,
        scale in prop_oneof![Just(1f32), Just(-0.37)], bias: bool, relu: bool, gap in 0usize..3,
        seed: u32,
    ) -> Case {
        Case { shape, transposed, accumulate, scale, bias, relu, gap, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_bit_is_that_of_the_definition(case in cases(40, 70, 50)) {
        check(&case, |_, _| ());
    }

    #[test]
    fn long_sums_and_few_rows_too(case in cases(14, 40, 600)) {
        check(&case, |_, _| ());
    }

    /// What is not finite stays in its row and column.
    #[test]
    fn not_a_number_and_infinity(case in cases(20, 40, 20), at: usize, which in 0usize..3) {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][which];
        check(&case, |a, b| {
            let side = if at.is_multiple_of(2) { a } else { b };
            if !side.is_empty() {
                let at = at / 2 % side.len();
                side[at] = odd;
            }
        });
    }
}

/// Shared between threads, split both ways, more groups and blocks than one, and an inner
/// dimension whose packing does not fit at once.
#[test]
fn large_products_are_the_same() {
    let plain = |shape, seed| Case {
        shape,
        transposed: (seed % 2 == 0, seed % 3 == 0),
        accumulate: seed % 2 == 1,
        scale: 1.0,
        bias: true,
        relu: false,
        gap: 0,
        seed,
    };
    let shapes =
        [(700, 130, 300), (130, 700, 300), (1300, 10, 90), (7, 1300, 270), (20, 300, 8000)];
    for (i, shape) in shapes.into_iter().enumerate() {
        for seed in [i as u32, i as u32 + 6, i as u32 + 3] {
            check(&plain(shape, seed), |_, _| ());
        }
    }
}

/// Many products at once, more of them than threads: those that find the team taken work alone.
#[test]
fn products_side_by_side() {
    let case = Case {
        shape: (300, 200, 100),
        transposed: (false, true),
        accumulate: false,
        scale: 1.0,
        bias: false,
        relu: true,
        gap: 0,
        seed: 3,
    };
    std::thread::scope(|s| {
        for _ in 0..6 {
            s.spawn(|| (0..5).for_each(|_| check(&case, |_, _| ())));
        }
    });
}
