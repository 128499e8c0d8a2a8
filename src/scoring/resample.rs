//! Bootstrap intervals (Koehn 2004), paired bootstrap and approximate randomization
//! (Riezler and Maxwell 2005), number for number as sacrebleu 2.6.0 draws and counts them
//! (`sacrebleu/significance.py`, `metrics/base.py`).

use std::fmt;

use rayon::prelude::*;

use super::Metric;
use super::numpy::{self, Pcg64};
use crate::error::{Error, Result};

/// Where the random numbers begin. sacrebleu's default; `SACREBLEU_SEED` changes it there and
/// here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    Fixed(u64),
    /// `none`: from the operating system, different each time.
    Entropy(u64),
}

impl Default for Seed {
    fn default() -> Self {
        Self::Fixed(12345)
    }
}

impl Seed {
    pub fn parse(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("none") {
            // A hasher's keys are the standard library's only door to the system's entropy.
            use std::hash::{BuildHasher, RandomState};
            return Ok(Self::Entropy(RandomState::new().hash_one(0u8)));
        }
        text.parse().map(Self::Fixed).map_err(|_| {
            Error::usage("resampling seed is neither a number nor `none`")
                .flag("--resample-seed")
                .found(format!("`{text}`"))
        })
    }

    pub fn rng(self) -> Pcg64 {
        match self {
            Self::Fixed(seed) | Self::Entropy(seed) => Pcg64::new(seed),
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(seed) => write!(f, "{seed}"),
            Self::Entropy(_) => f.write_str("none"),
        }
    }
}

/// Which paired test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Bootstrap,
    Randomization,
}

impl Test {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "paired_bs",
            Self::Randomization => "paired_ar",
        }
    }
}

/// Scores of all samples of one system in one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    pub scores: Vec<f64>,
    /// Whether numpy holds them as 32-bit floats.
    pub single: bool,
}

/// A mean of samples and the range that holds the given share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub mean: f64,
    /// Half of the width, sacrebleu's "± 95 % CI".
    pub half: f64,
    pub low: f64,
    pub high: f64,
}

/// Which of sacrebleu's two ways to average samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Averaging {
    /// `statistics.mean`: exact (one system).
    Exact,
    /// `ndarray.mean`: in the samples' own precision (paired tests).
    Numpy,
}

impl Samples {
    fn singles(&self) -> Vec<f32> {
        self.scores.iter().map(|&s| s as f32).collect()
    }

    /// `level` is the share inside, for example 0.95: sacrebleu leaves out 1/40 on each side.
    pub fn interval(&self, level: f64, averaging: Averaging) -> Interval {
        let mut sorted = self.scores.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        // The small addend keeps 0.025 x 1000 from falling to 24.
        let cut = (n as f64 * (1.0 - level) / 2.0 + 1e-6).floor() as usize;
        let cut = cut.min((n - 1) / 2);
        let (low, high) = (sorted[cut], sorted[n - 1 - cut]);
        let half = if self.single {
            f64::from(0.5 * (high as f32 - low as f32))
        } else {
            0.5 * (high - low)
        };
        let mean = match (averaging, self.single) {
            (Averaging::Exact, single) => {
                let mean = compensated_sum(&sorted) / n as f64;
                if single { f64::from(mean as f32) } else { mean }
            }
            // sacrebleu has sorted them by then, and the order shows in the last digits.
            (Averaging::Numpy, true) => {
                let singles: Vec<f32> = sorted.iter().map(|&s| s as f32).collect();
                f64::from(numpy::mean(&singles))
            }
            (Averaging::Numpy, false) => numpy::mean(&sorted),
        };
        Interval { mean, half, low, high }
    }
}

/// Neumaier's sum: as good as exact for a thousand scores.
fn compensated_sum(values: &[f64]) -> f64 {
    let (mut sum, mut rest) = (0.0f64, 0.0);
    for &x in values {
        let next = sum + x;
        rest += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + rest
}

/// p-value of the paired bootstrap: how often the difference of a resample, centred at its
/// mean, exceeds the difference observed.
pub fn paired_bootstrap_p(system: &Samples, baseline: &Samples, observed: f64) -> f64 {
    if system.single && baseline.single {
        let diffs: Vec<f32> =
            system.singles().iter().zip(baseline.singles()).map(|(a, b)| (a - b).abs()).collect();
        let mean = numpy::mean(&diffs);
        p_value(diffs.iter().filter(|&&d| d - mean > observed as f32).count(), diffs.len())
    } else {
        let diffs: Vec<f64> =
            system.scores.iter().zip(&baseline.scores).map(|(a, b)| (a - b).abs()).collect();
        let mean = numpy::mean(&diffs);
        p_value(diffs.iter().filter(|&&d| d - mean > observed).count(), diffs.len())
    }
}

/// p-value of approximate randomization: how often two systems shuffled together differ by more
/// than the difference observed. `shuffled` holds both scores of each trial.
pub fn randomization_p(shuffled: &[(f64, f64)], observed: f64) -> f64 {
    let above = shuffled.iter().filter(|(a, b)| (a - b).abs() > observed).count();
    p_value(above, shuffled.len())
}

/// One is added on both sides, so that no finite number of trials claims certainty
/// (multeval's `StratifiedApproximateRandomizationTest`).
fn p_value(above: usize, trials: usize) -> f64 {
    (above + 1) as f64 / (trials + 1) as f64
}

/// Statistics of all segments of one system in one metric, segment after segment.
pub struct Table<'a, T> {
    pub metric: &'a Metric,
    pub rows: &'a [T],
}

/// Indices drawn and kept at a time; bounds memory at 32 MiB.
const BATCH_INDICES: usize = 1 << 22;

/// Scores of `samples` resamples of `num_segments` segments, for each table: every table sees the
/// same resamples. Statistics are summed in 32 bits, in the order drawn, as numpy does.
pub fn bootstrap(
    rng: &mut Pcg64,
    num_segments: usize,
    samples: usize,
    tables: &[Table<'_, f32>],
) -> Result<Vec<Samples>> {
    let n = u32::try_from(num_segments).map_err(|_| {
        Error::data("too many segments to resample").found(num_segments.to_string())
    })?;
    let mut out: Vec<Samples> = tables
        .iter()
        .map(|t| Samples {
            scores: Vec::with_capacity(samples),
            single: t.metric.samples_are_single(),
        })
        .collect();
    if n == 0 || tables.is_empty() {
        return Ok(out);
    }
    let batch = (BATCH_INDICES / num_segments).clamp(1, samples.max(1));
    let mut draw =
        |count: usize| -> Vec<u32> { (0..count * num_segments).map(|_| rng.index(n)).collect() };
    let mut left = samples;
    let mut indices = draw(batch.min(left));
    while left > 0 {
        let count = indices.len() / num_segments;
        left -= count;
        // The generator is one stream; it runs ahead while the other threads sum.
        let (scored, next) = rayon::join(
            || {
                (0..count * tables.len())
                    .into_par_iter()
                    .map(|i| {
                        let (sample, table) = (i / tables.len(), &tables[i % tables.len()]);
                        let indices = &indices[sample * num_segments..][..num_segments];
                        score_sample(table, indices)
                    })
                    .collect::<Vec<(f64, bool)>>()
            },
            || draw(batch.min(left)),
        );
        for (i, (score, single)) in scored.into_iter().enumerate() {
            let samples = &mut out[i % tables.len()];
            samples.scores.push(score);
            samples.single &= single;
        }
        indices = next;
    }
    Ok(out)
}

fn score_sample(table: &Table<'_, f32>, indices: &[u32]) -> (f64, bool) {
    let width = table.metric.num_stats();
    // Widths of BLEU, chrF, chrF++ and TER: sums stay in registers.
    match width {
        10 => table.metric.sample(&sum_rows::<10>(table.rows, indices)),
        18 => table.metric.sample(&sum_rows::<18>(table.rows, indices)),
        24 => table.metric.sample(&sum_rows::<24>(table.rows, indices)),
        2 => table.metric.sample(&sum_rows::<2>(table.rows, indices)),
        _ => {
            let mut sums = vec![0f32; width];
            for &i in indices {
                let row = &table.rows[i as usize * width..][..width];
                sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
            }
            table.metric.sample(&sums)
        }
    }
}

fn sum_rows<const W: usize>(rows: &[f32], indices: &[u32]) -> [f32; W] {
    let (rows, _) = rows.as_chunks::<W>();
    let mut sums = [0f32; W];
    for &i in indices {
        let row = &rows[i as usize];
        for k in 0..W {
            sums[k] += row[k];
        }
    }
    sums
}

/// Metric, differences of the segments, sums of baseline and system.
type Prepared<'a> = (&'a Metric, Vec<f64>, Vec<f64>, Vec<f64>);

/// Both scores of each of `trials` random exchanges of segments between the systems, for each
/// pair of tables (baseline, system) of one metric. All pairs see the same exchanges.
pub fn randomize(
    rng: &mut Pcg64,
    num_segments: usize,
    trials: usize,
    pairs: &[(Table<'_, f64>, Table<'_, f64>)],
) -> Vec<Vec<(f64, f64)>> {
    // Exchanging a segment moves its difference from one sum to the other.
    let prepared: Vec<Prepared<'_>> = pairs
        .iter()
        .map(|(baseline, system)| {
            let width = baseline.metric.num_stats();
            let differences = baseline.rows.iter().zip(system.rows).map(|(b, s)| b - s).collect();
            let total = |rows: &[f64]| {
                let mut sums = vec![0.0; width];
                for row in rows.chunks_exact(width) {
                    sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
                }
                sums
            };
            (baseline.metric, differences, total(baseline.rows), total(system.rows))
        })
        .collect();
    let mut out: Vec<Vec<(f64, f64)>> = pairs.iter().map(|_| Vec::with_capacity(trials)).collect();
    if num_segments == 0 {
        return out;
    }
    // Bits of one trial follow those of the trial before without a gap.
    let batch = (BATCH_INDICES * 8 / num_segments).clamp(1, trials.max(1));
    let mut word = rng.next_u32();
    let mut bit = 0;
    let mut left = trials;
    while left > 0 {
        let count = batch.min(left);
        left -= count;
        let words_per_trial = num_segments.div_ceil(64);
        let mut bits = vec![0u64; count * words_per_trial];
        for trial in bits.chunks_exact_mut(words_per_trial) {
            for i in 0..num_segments {
                if bit == 32 {
                    word = rng.next_u32();
                    bit = 0;
                }
                trial[i / 64] |= u64::from(word >> bit & 1) << (i % 64);
                bit += 1;
            }
        }
        for (pair, scores) in prepared.iter().zip(&mut out) {
            let (metric, differences, baseline, system) = pair;
            scores.par_extend(bits.par_chunks_exact(words_per_trial).map(|trial| {
                let mut moved = vec![0.0; baseline.len()];
                sum_selected(differences, trial, &mut moved);
                let side = |from: &[f64], sign: f64| -> Vec<f64> {
                    from.iter().zip(&moved).map(|(x, d)| x + sign * d).collect()
                };
                (metric.score(&side(system, 1.0)), metric.score(&side(baseline, -1.0)))
            }));
        }
    }
    out
}

fn sum_selected(rows: &[f64], selected: &[u64], sums: &mut [f64]) {
    fn run<const W: usize>(rows: &[f64], selected: &[u64], out: &mut [f64]) {
        let (rows, _) = rows.as_chunks::<W>();
        let mut sums = [0f64; W];
        for (block, &word) in selected.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                let row = &rows[block * 64 + word.trailing_zeros() as usize];
                for k in 0..W {
                    sums[k] += row[k];
                }
                word &= word - 1;
            }
        }
        out.copy_from_slice(&sums);
    }
    let width = sums.len();
    match width {
        10 => run::<10>(rows, selected, sums),
        18 => run::<18>(rows, selected, sums),
        24 => run::<24>(rows, selected, sums),
        2 => run::<2>(rows, selected, sums),
        _ => {
            for (i, row) in rows.chunks_exact(width).enumerate() {
                if selected[i / 64] >> (i % 64) & 1 == 1 {
                    sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bleu::Bleu;
    use super::super::chrf::Chrf;
    use super::super::ter::Ter;
    use super::*;

    #[test]
    fn seeds() {
        assert_eq!(Seed::parse("7").unwrap(), Seed::Fixed(7));
        assert_eq!(Seed::parse("None").unwrap().to_string(), "none");
        assert!(Seed::parse("-1").unwrap_err().to_string().contains("--resample-seed"));
    }

    #[test]
    fn the_interval_leaves_out_a_fortieth_on_each_side() {
        let samples = Samples { scores: (0..1000).map(f64::from).collect(), single: false };
        let i = samples.interval(0.95, Averaging::Exact);
        assert_eq!((i.mean, i.low, i.high, i.half), (499.5, 25.0, 974.0, 474.5));
        let i = samples.interval(0.8, Averaging::Numpy);
        assert_eq!((i.low, i.high), (100.0, 899.0));
        let one = Samples { scores: vec![3.0], single: true };
        assert_eq!(one.interval(0.95, Averaging::Exact).half, 0.0);
        assert_eq!(one.interval(0.0, Averaging::Exact).low, 3.0);
    }

    #[test]
    fn equal_systems_never_differ_by_more_than_nothing() {
        let samples = Samples { scores: vec![1.0, 2.0, 3.0], single: true };
        // sacrebleu's number for a system against itself.
        assert_eq!(paired_bootstrap_p(&samples, &samples, 0.0), 0.25);
        assert_eq!(randomization_p(&[(1.0, 1.0), (2.0, 2.0)], 0.0), 1.0 / 3.0);
        assert_eq!(randomization_p(&[(1.0, 3.0), (2.0, 2.0)], 1.0), 2.0 / 3.0);
    }

    #[test]
    fn exchanges_keep_the_sum_of_both_systems() {
        let ter = Metric::Ter(Ter::default());
        let (b, s): (Vec<f64>, Vec<f64>) =
            (0..200).map(|i| (f64::from(i % 7), f64::from(i % 5))).unzip();
        let pair = (Table { metric: &ter, rows: &b[..] }, Table { metric: &ter, rows: &s[..] });
        let out = randomize(&mut Seed::default().rng(), 100, 50, &[pair]);
        assert_eq!(out[0].len(), 50);
        assert!(out[0].iter().any(|(a, b)| a != b));
    }

    #[test]
    fn narrow_and_general_sums_agree() {
        // Orders 6 + 2 have a loop of their own, 5 + 2 have not; zero statistics for the
        // missing order leave scores comparable only per metric, so sums are compared.
        let rows: Vec<f32> = (0..24 * 10).map(|i| (i * 7 % 11) as f32).collect();
        let indices = [3u32, 0, 9, 3, 7];
        let sums = sum_rows::<24>(&rows, &indices);
        for (k, sum) in sums.iter().enumerate() {
            let plain: f32 = indices.iter().map(|&i| rows[i as usize * 24 + k]).sum();
            assert_eq!(*sum, plain);
        }
        let mut selected = vec![0.0; 10];
        let wide: Vec<f64> = (0..10 * 70).map(f64::from).collect();
        sum_selected(&wide, &[1 << 63 | 1, 1 << 3], &mut selected);
        assert_eq!(selected[0], 0.0 + 630.0 + 670.0);
    }

    #[test]
    fn batches_do_not_change_the_draws() {
        let metrics = [
            Metric::Bleu(Bleu::default()),
            Metric::Chrf(Chrf { word_order: 1, ..Chrf::default() }),
        ];
        let rows: Vec<Vec<f32>> = metrics
            .iter()
            .map(|m| (0..m.num_stats() * 40).map(|i| (i * 5 % 13 + 1) as f32).collect())
            .collect();
        let table = |i: usize| Table { metric: &metrics[i], rows: &rows[i][..] };
        let both = bootstrap(&mut Seed::default().rng(), 40, 30, &[table(0), table(1)]).unwrap();
        for (i, samples) in both.iter().enumerate() {
            let alone = bootstrap(&mut Seed::default().rng(), 40, 30, &[table(i)]).unwrap();
            assert_eq!(alone[0], *samples);
            assert_eq!(samples.scores.len(), 30);
        }
    }
}
