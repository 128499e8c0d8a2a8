//! The part of numpy's random numbers and sums that sacrebleu's resampling rests on, so that
//! equal seeds give equal intervals and p-values.
//!
//! * `numpy.random.default_rng(seed)`: `SeedSequence` and PCG64, that is O'Neill's XSL-RR 128/64
//!   (`numpy/random/bit_generator.pyx`, `src/pcg64/pcg64.h`);
//! * `Generator.choice(n, size)`: Lemire's bounded integers from 32-bit halves
//!   (`src/distributions/distributions.c`, `buffered_bounded_lemire_uint32`);
//! * `Generator.integers(2, dtype=bool)`: bits of 32-bit words, lowest first;
//! * `ndarray.mean` of one dimension: pairwise summation (`loops_utils.h.src`).

use super::real::Real;

/// PCG64 as numpy seeds and buffers it.
#[derive(Clone, Debug)]
pub struct Pcg64 {
    state: u128,
    increment: u128,
    /// The upper half of a 64-bit output whose lower half was used.
    half: Option<u32>,
}

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

impl Pcg64 {
    /// `numpy.random.default_rng(seed)`.
    pub fn new(seed: u64) -> Self {
        let [a, b, c, d] = seed_words(seed);
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let mut rng = Self { state: 0, increment: wide(c, d) << 1 | 1, half: None };
        rng.step();
        rng.state = rng.state.wrapping_add(wide(a, b));
        rng.step();
        rng
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    pub fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    pub fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let next = self.next_u64();
        self.half = Some((next >> 32) as u32);
        next as u32
    }

    /// `choice(n)` with replacement, one draw. For n of 1 numpy draws nothing.
    pub fn index(&mut self, n: u32) -> u32 {
        if n <= 1 {
            return 0;
        }
        let mut product = u64::from(self.next_u32()) * u64::from(n);
        if (product as u32) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u32) < threshold {
                product = u64::from(self.next_u32()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)`.
fn seed_words(seed: u64) -> [u64; 4] {
    const POOL: usize = 4;
    let mut constant = 0x43B0_D7E5u32;
    let mut hash = |value: u32| {
        let mut value = value ^ constant;
        constant = constant.wrapping_mul(0x931E_8875);
        value = value.wrapping_mul(constant);
        value ^ value >> 16
    };
    let entropy = [seed as u32, (seed >> 32) as u32, 0, 0];
    let mut pool = entropy.map(&mut hash);
    for from in 0..POOL {
        for to in 0..POOL {
            if from != to {
                let mixed = pool[to]
                    .wrapping_mul(0xCA01_F9DD)
                    .wrapping_sub(hash(pool[from]).wrapping_mul(0x4973_F715));
                pool[to] = mixed ^ mixed >> 16;
            }
        }
    }
    let mut constant = 0x8B51_F9DDu32;
    let words: [u32; 8] = std::array::from_fn(|i| {
        let mut value = pool[i % POOL] ^ constant;
        constant = constant.wrapping_mul(0x58F3_8DED);
        value = value.wrapping_mul(constant);
        value ^ value >> 16
    });
    std::array::from_fn(|i| u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32)
}

/// `ndarray.mean()` of one dimension, summed in `T`.
pub fn mean<T: Real>(values: &[T]) -> T {
    pairwise_sum(values) / T::from_f64(values.len() as f64)
}

fn pairwise_sum<T: Real>(values: &[T]) -> T {
    let n = values.len();
    if n < 8 {
        return values.iter().fold(T::from_f64(0.0), |sum, &x| sum + x);
    }
    if n > 128 {
        let half = n / 2 - (n / 2) % 8;
        return pairwise_sum(&values[..half]) + pairwise_sum(&values[half..]);
    }
    let (blocks, rest) = values.as_chunks::<8>();
    let mut r = blocks[0];
    for block in &blocks[1..] {
        for (sum, &x) in r.iter_mut().zip(block) {
            *sum = *sum + x;
        }
    }
    let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(sum, |sum, &x| sum + x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_numpys() {
        // numpy 2.4: `default_rng(12345).bit_generator.state`.
        let rng = Pcg64::new(12345);
        assert_eq!(rng.state, 33261208707367790463622745601869196757);
        assert_eq!(rng.increment, 268209174141567072605526753992732310247);
        // `default_rng(12345).choice(10, size=20)`
        let mut rng = Pcg64::new(12345);
        let drawn: Vec<u32> = (0..20).map(|_| rng.index(10)).collect();
        assert_eq!(drawn, [6, 2, 7, 3, 2, 7, 6, 6, 9, 3, 8, 3, 5, 5, 2, 1, 2, 6, 6, 9]);
        // `integers(2, size=80, dtype=bool)`, the first 40 of them, then `choice(7, size=5)`.
        let mut rng = Pcg64::new(12345);
        let words: Vec<u32> = (0..3).map(|_| rng.next_u32()).collect();
        let bits: String =
            (0..40).map(|i| char::from(b'0' + (words[i / 32] >> (i % 32) & 1) as u8)).collect();
        assert_eq!(bits, "1011100110000011111111110100110110110001");
        let drawn: Vec<u32> = (0..5).map(|_| rng.index(7)).collect();
        assert_eq!(drawn, [2, 1, 5, 4, 4]);
        // One segment: nothing is drawn.
        assert_eq!(rng.index(1), 0);
    }

    #[test]
    fn seeds_of_more_than_32_bits() {
        // `default_rng(2**40 + 5).choice(1000, size=4)`
        let mut rng = Pcg64::new((1 << 40) + 5);
        let drawn: Vec<u32> = (0..4).map(|_| rng.index(1000)).collect();
        assert_eq!(drawn, [14, 4, 449, 372]);
    }

    #[test]
    fn sums_are_pairwise() {
        // `v = (arange(1003) * 7919 % 1000).astype("float32") / float32(3)`; `v.mean()`.
        let values: Vec<f32> = (0..1003).map(|i| (i * 7919 % 1000) as f32 / 3.0).collect();
        assert_eq!(mean(&values), 166.585_9);
        // One after the other gives another number.
        let plain = values.iter().fold(0.0, |sum, &x| sum + x) / 1003.0;
        assert_ne!(plain, 166.585_9f32);
    }
}
