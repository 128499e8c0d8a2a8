//! The output layer of decoding: logits, their log-normaliser and the best few of each row in
//! one pass. Logits never leave the cache: a block of 256 columns is computed for some rows and
//! at once reduced to its maximum, its sum of exponentials and its candidates.

use std::cmp::Ordering;

use crate::error::Result;
use crate::kernels::buffer::{Arena, Buffer, SharedMut};
use crate::kernels::packed::{
    Epilogue, MatrixRows, PANEL, PackedLinear, PackedMatrix, Rows, int8, product,
};
use crate::kernels::team::Worker;
use crate::kernels::vector::{Isa, LANES, Simd, exp, simd_fn};

/// Columns of a block. Fixed, because the blocks' sums are added one by one: a block that grew
/// with the work would change the rounding.
const BLOCK: usize = 256;
const BLOCK_STRIDE: usize = BLOCK + LANES;
/// Rows whose logits of a block are in the second-level cache at once.
const HEIGHT: usize = 384;

/// A token with its logit. Better ones come first: the greater logit, then the lower id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub logit: f32,
    pub id: u32,
}

impl Candidate {
    const NONE: Self = Self { logit: f32::NEG_INFINITY, id: u32::MAX };

    pub fn rank(&self, other: &Self) -> Ordering {
        // No NaN gets here, and both zeros are one value.
        other.logit.partial_cmp(&self.logit).unwrap_or(Ordering::Equal).then(self.id.cmp(&other.id))
    }
}

/// The log-normaliser of one row: `log p(id) = (logit - max) - log_sum`, as torch computes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Normalizer {
    pub max: f32,
    pub log_sum: f32,
}

impl Normalizer {
    #[inline]
    pub fn log_prob(&self, logit: f32) -> f32 {
        (logit - self.max) - self.log_sum
    }
    /// False when a logit of the row was not a number or infinite.
    pub fn is_finite(&self) -> bool {
        self.max.is_finite() && self.log_sum.is_finite()
    }
}

/// The output layer: the shared embedding and, where stored, the final bias.
pub struct OutputLayer {
    linear: PackedLinear,
    /// The tokens of its columns, ascending; none where they are all tokens.
    ids: Option<Vec<u32>>,
}

/// Rows of a layer's matrix.
struct Chosen<'a> {
    from: &'a PackedMatrix,
    ids: &'a [u32],
}

impl MatrixRows for Chosen<'_> {
    fn len(&self) -> usize {
        self.ids.len()
    }
    fn read(&self, i: usize, out: &mut [f32]) {
        self.from.row(self.ids[i] as usize, 1.0, out);
    }
    fn read_int8(&self, i: usize, out: &mut [i8]) -> Result<Option<f32>> {
        Ok(self.from.int8_row(self.ids[i] as usize).map(|(row, scale)| {
            out.copy_from_slice(&row);
            scale
        }))
    }
}

impl OutputLayer {
    pub fn new(arena: &mut Arena, weight: PackedMatrix, bias: Option<&[f32]>) -> Self {
        let n = weight.n();
        let mut full = vec![f32::NEG_INFINITY; weight.num_panels() * PANEL];
        match bias {
            Some(bias) => full[..n].copy_from_slice(bias),
            None => full[..n].fill(0.0),
        }
        // Columns that pad the last panel become minus infinity and vanish.
        Self { linear: PackedLinear::new(arena, weight, &[&full]), ids: None }
    }

    /// The layer of some tokens of a whole layer, `ids` ascending and in its vocabulary. Their logits
    /// keep their bits; normalisers are sums over these tokens alone.
    ///
    /// # Errors
    /// None that a whole layer in memory can cause.
    pub fn of_tokens(&self, ids: Vec<u32>) -> Result<Self> {
        let (k, format) = (self.weight().k(), self.weight().format());
        let mut arena = Arena::with_capacity(PackedLinear::packed_len(format, ids.len(), k));
        let rows = Chosen { from: self.weight(), ids: &ids };
        let weight = PackedMatrix::pack_as(&mut arena, format, &[&rows], k)?;
        let bias: Vec<f32> = ids.iter().map(|&id| self.linear.bias()[id as usize]).collect();
        Ok(Self { ids: Some(ids), ..Self::new(&mut arena, weight, Some(&bias)) })
    }

    pub fn weight(&self) -> &PackedMatrix {
        &self.linear.weight
    }
    pub fn size_bytes(&self) -> usize {
        self.linear.size_bytes()
    }
    fn num_blocks(&self) -> usize {
        self.weight().n().div_ceil(BLOCK)
    }
    /// The logit of one token for one row `[k]`: the same bits as in the whole product. Of a whole
    /// layer only.
    pub fn logit(&self, isa: Isa, x: &[f32], id: u32) -> f32 {
        let id = id as usize;
        if let Some((column, scale)) = self.weight().int8_row(id) {
            let (integers, x_scale) = int8::quantised(x);
            return int8::single(&integers, x_scale, &column, scale) + self.linear.bias()[id];
        }
        // SAFETY: `isa` was detected, and the kernel checks the slices.
        unsafe { single(isa, &self.linear, x, id) }
    }
}

/// What [`OutputLayer::phases`] leaves behind for each row.
#[derive(Default)]
pub struct TopK {
    rows: usize,
    capacity: usize,
    /// `[threads, rows, capacity]`, each row sorted.
    lists: Vec<Candidate>,
    /// `[threads, rows]`
    counts: Vec<u32>,
    /// `[rows, blocks]`: maximum and sum of exponentials below it.
    stats: Vec<(f32, f32)>,
    pub norms: Vec<Normalizer>,
    /// `[threads, min(rows, HEIGHT), BLOCK_STRIDE]`
    scratch: Buffer,
}

impl TopK {
    /// Makes room for `rows` rows of up to `capacity` candidates.
    pub fn prepare(&mut self, layer: &OutputLayer, threads: usize, rows: usize, capacity: usize) {
        self.rows = rows;
        self.capacity = capacity.min(layer.weight().n());
        let lists = threads * rows * self.capacity;
        if self.lists.len() < lists {
            self.lists.resize(lists, Candidate::NONE);
        }
        self.counts.clear();
        self.counts.resize(threads * rows, 0);
        if self.stats.len() < rows * layer.num_blocks() {
            self.stats.resize(rows * layer.num_blocks(), (0.0, 0.0));
        }
        self.norms.clear();
        self.norms.resize(rows, Normalizer::default());
        self.scratch.ensure(threads * rows.min(HEIGHT) * BLOCK_STRIDE);
    }

    /// The best candidates of a row, best first: `capacity` of them, or the whole vocabulary.
    pub fn best(&self, row: usize) -> &[Candidate] {
        &self.lists[row * self.capacity..][..self.counts[row] as usize]
    }

    pub fn shared(&mut self) -> SharedTopK<'_> {
        SharedTopK {
            rows: self.rows,
            capacity: self.capacity,
            lists: SharedMut::new(&mut self.lists),
            counts: SharedMut::new(&mut self.counts),
            stats: SharedMut::new(&mut self.stats),
            norms: SharedMut::new(&mut self.norms),
            scratch: SharedMut::new(self.scratch.as_mut_slice()),
        }
    }
}

/// The same, as the threads of a team see it.
#[derive(Clone, Copy)]
pub struct SharedTopK<'a> {
    rows: usize,
    capacity: usize,
    lists: SharedMut<'a, Candidate>,
    counts: SharedMut<'a, u32>,
    stats: SharedMut<'a, (f32, f32)>,
    norms: SharedMut<'a, Normalizer>,
    scratch: SharedMut<'a>,
}

impl OutputLayer {
    /// Phases of a team: candidates and normaliser of every row of `x`. `quant` is as for
    /// [`PackedMatrix::input`].
    ///
    /// # Safety
    /// `isa` is available; `top` was prepared for this layer, the team's threads and the rows;
    /// nobody else touches `quant`.
    pub unsafe fn phases(
        &self,
        w: &Worker<'_>,
        isa: Isa,
        x: Rows<'_>,
        quant: Rows<'_>,
        top: SharedTopK<'_>,
    ) {
        let (rows, blocks) = (top.rows, self.num_blocks());
        // SAFETY: passed on; a barrier ends the phase.
        let x = unsafe { self.weight().input(w, isa, x, quant, rows) };
        let heights = rows.div_ceil(HEIGHT);
        w.each(heights * blocks, |i| {
            let (first, block) = (i / blocks * HEIGHT, i % blocks);
            // SAFETY: each piece has its own block statistics; lists and scratch are the
            // thread's own.
            unsafe { self.block(w.id, isa, x, first..(first + HEIGHT).min(rows), block, top) };
        });
        let chunk = rows.div_ceil(w.threads() * 4).max(1);
        w.each(rows.div_ceil(chunk), |i| {
            for row in i * chunk..((i + 1) * chunk).min(rows) {
                // SAFETY: each row is one thread's, and the lists are complete.
                unsafe {
                    let stats = top.stats.slice(row * blocks, blocks);
                    top.norms.slice_mut(row, 1)[0] = normalizer(stats);
                    merge(row, w.threads(), top);
                    if let Some(ids) = &self.ids {
                        let held = top.counts.slice(row, 1)[0] as usize;
                        for c in &mut top.lists.slice_mut(row * top.capacity, top.capacity)[..held]
                        {
                            c.id = ids[c.id as usize];
                        }
                    }
                }
            }
        });
    }

    unsafe fn block(
        &self,
        thread: usize,
        isa: Isa,
        x: Rows<'_>,
        rows: std::ops::Range<usize>,
        block: usize,
        top: SharedTopK<'_>,
    ) {
        let (n, blocks) = (self.weight().n() as u32, self.num_blocks());
        let first_panel = block * (BLOCK / PANEL);
        let panels = first_panel..(first_panel + BLOCK / PANEL).min(self.weight().num_panels());
        let width = panels.len() * PANEL;
        let room = top.rows.min(HEIGHT) * BLOCK_STRIDE;
        // SAFETY: the scratch and the lists are this thread's; rows and columns lie inside the
        // operands.
        unsafe {
            let logits = top.scratch.slice_mut(thread * room, room);
            let from = x.data.ptr(rows.start * x.stride);
            let to = logits.as_mut_ptr();
            let linear = &self.linear;
            product(
                isa,
                linear,
                from,
                x.stride,
                rows.len(),
                panels,
                to,
                BLOCK_STRIDE,
                Epilogue::Set,
            );
            for (logits, row) in logits.chunks_exact(BLOCK_STRIDE).zip(rows) {
                let at = thread * top.rows + row;
                let list = top.lists.slice_mut(at * top.capacity, top.capacity);
                let held = &mut top.counts.slice_mut(at, 1)[0];
                top.stats.slice_mut(row * blocks + block, 1)[0] =
                    reduce(isa, &logits[..width], (block * BLOCK) as u32, n, list, held);
            }
        }
    }
}

simd_fn!(
    /// Maximum and sum of exponentials of a block of logits; its candidates go into the sorted
    /// `list` of which `held` are filled.
    unsafe fn reduce(logits: &[f32], first_id: u32, num_ids: u32, list: &mut [Candidate], held: &mut u32) -> (f32, f32) = reduce_kernel
);
simd_fn!(unsafe fn single(linear: &PackedLinear, x: &[f32], id: usize) -> f32 = single_kernel);

#[inline(always)]
unsafe fn reduce_kernel<S: Simd>(
    logits: &[f32],
    first_id: u32,
    num_ids: u32,
    list: &mut [Candidate],
    held: &mut u32,
) -> (f32, f32) {
    // SAFETY: whole vectors inside `logits`: its length is a multiple of a panel.
    unsafe {
        let p = logits.as_ptr();
        let mut max = S::splat(f32::NEG_INFINITY);
        for i in (0..logits.len()).step_by(LANES) {
            max = S::max(S::load(p.add(i)), max);
        }
        let max = S::max_lane(max);
        let center = S::splat(max);
        let mut sum = S::splat(0.0);
        for i in (0..logits.len()).step_by(LANES) {
            sum = S::add(sum, exp::<S>(S::sub(S::load(p.add(i)), center)));
        }
        let mut bar = threshold(list, *held);
        // Equal logits may still win by their lower id.
        if max >= bar {
            for i in (0..logits.len()).step_by(LANES) {
                let mut mask = S::ge_mask(S::load(p.add(i)), S::splat(bar));
                while mask != 0 {
                    let lane = mask.trailing_zeros();
                    mask &= mask - 1;
                    let id = first_id + i as u32 + lane;
                    if id < num_ids {
                        insert(list, held, Candidate { logit: logits[i + lane as usize], id });
                        bar = threshold(list, *held);
                    }
                }
            }
        }
        (max, S::sum(sum))
    }
}

/// What a logit must reach to enter the list.
#[inline(always)]
fn threshold(list: &[Candidate], held: u32) -> f32 {
    match list.last() {
        Some(last) if held as usize == list.len() => last.logit,
        _ => f32::NEG_INFINITY,
    }
}

#[inline(always)]
fn insert(list: &mut [Candidate], held: &mut u32, new: Candidate) {
    let full = *held as usize == list.len();
    match list.last() {
        None => return,
        Some(last) if full && new.rank(last).is_gt() => return,
        _ => {}
    }
    let mut at = if full { list.len() - 1 } else { *held as usize };
    while at > 0 && new.rank(&list[at - 1]).is_lt() {
        list[at] = list[at - 1];
        at -= 1;
    }
    list[at] = new;
    *held += u32::from(!full);
}

/// Merges the threads' lists of one row into the first thread's.
unsafe fn merge(row: usize, threads: usize, top: SharedTopK<'_>) {
    // SAFETY: one thread works on a row, and the lists of other rows are left alone.
    unsafe {
        let list = top.lists.slice_mut(row * top.capacity, top.capacity);
        let held = &mut top.counts.slice_mut(row, 1)[0];
        for thread in 1..threads {
            let at = thread * top.rows + row;
            let count = top.counts.slice(at, 1)[0] as usize;
            for c in &top.lists.slice(at * top.capacity, top.capacity)[..count] {
                insert(list, held, *c);
            }
        }
    }
}

fn normalizer(stats: &[(f32, f32)]) -> Normalizer {
    let max = stats.iter().fold(f32::NEG_INFINITY, |m, s| m.max(s.0));
    let sum: f64 = stats.iter().map(|s| f64::from(s.1) * f64::from(s.0 - max).exp()).sum();
    Normalizer { max, log_sum: sum.ln() as f32 }
}

#[inline(always)]
unsafe fn single_kernel<S: Simd>(linear: &PackedLinear, x: &[f32], id: usize) -> f32 {
    let mut column = vec![0.0; linear.weight.k()];
    linear.weight.row(id, 1.0, &mut column);
    let mut sum = 0.0;
    for (x, w) in x.iter().zip(&column) {
        // SAFETY: no memory operands.
        sum = unsafe { S::fma1(*x, *w, sum) };
    }
    sum + linear.bias()[id]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::packed::int8::quantised_stride;
    use crate::kernels::packed::{Dense, WeightFormat, row_stride};
    use crate::kernels::team::Team;

    const FORMATS: [WeightFormat; 3] = [WeightFormat::F32, WeightFormat::Bf16, WeightFormat::Int8];

    fn output(format: WeightFormat, dense: &[f32], k: usize, bias: Option<&[f32]>) -> OutputLayer {
        let mut arena = Arena::with_capacity(dense.len());
        let rows = Dense { values: dense.into(), k };
        let weight = PackedMatrix::pack_as(&mut arena, format, &[&rows], k).unwrap();
        OutputLayer::new(&mut arena, weight, bias)
    }

    fn run(
        layer: &OutputLayer,
        x: &mut Buffer,
        rows: usize,
        isa: Isa,
        threads: usize,
        k: usize,
    ) -> Vec<(Normalizer, Vec<Candidate>)> {
        let mut top = TopK::default();
        top.prepare(layer, threads, rows, k);
        let stride = row_stride(layer.weight().k());
        let shared = top.shared();
        let view = Rows { data: SharedMut::new(x.as_mut_slice()), stride };
        let mut integers = Buffer::zeros(rows * quantised_stride(layer.weight().k()));
        let quant = Rows {
            data: SharedMut::new(integers.as_mut_slice()),
            stride: quantised_stride(layer.weight().k()),
        };
        // SAFETY: the set is available, `top` is prepared.
        Team::new(threads)
            .run(usize::MAX, &|w| unsafe { layer.phases(w, isa, view, quant, shared) });
        (0..rows).map(|r| (top.norms[r], top.best(r).to_vec())).collect()
    }

    #[test]
    fn best_tokens_and_normalizer_equal_a_full_sort_whatever_the_rows_and_threads() {
        let shapes = [(1, 3, 2), (5, 4, 3), (256, 16, 1), (1000, 24, 30), (2311, 33, 70)];
        for (format, (n, k, rows)) in FORMATS.into_iter().flat_map(|f| shapes.map(|s| (f, s))) {
            // Few distinct weights, so that equal logits occur.
            let dense: Vec<f32> =
                (0..n * k).map(|i| ((i * 7919 % 13) as f32 - 6.0) / 4.0).collect();
            let bias: Vec<f32> = (0..n).map(|i| (i % 3) as f32 / 8.0).collect();
            let layer = output(format, &dense, k, Some(&bias));
            let stride = row_stride(k);
            let mut x = Buffer::zeros(rows * stride);
            for r in 0..rows {
                for i in 0..k {
                    x.as_mut_slice()[r * stride + i] = ((r * 31 + i * 17) % 9) as f32 / 4.0 - 1.0;
                }
            }
            for take in [1, 4, 10] {
                let first = run(&layer, &mut x, rows, Isa::detect(), 1, take);
                for isa in Isa::available() {
                    for threads in [1, 2, 3] {
                        // All values are exact in f32, so even the portable set agrees here.
                        let got = run(&layer, &mut x, rows, isa, threads, take);
                        assert_eq!(
                            got.iter().map(|g| &g.1).collect::<Vec<_>>(),
                            first.iter().map(|g| &g.1).collect::<Vec<_>>()
                        );
                        if isa != Isa::Portable {
                            assert_eq!(got, first);
                        }
                    }
                }
                for (r, (norm, best)) in first.iter().enumerate() {
                    let row = x.as_slice()[r * stride..][..k].to_vec();
                    let mut all: Vec<Candidate> = (0..n)
                        .map(|j| Candidate {
                            logit: layer.logit(Isa::detect(), &row, j as u32),
                            id: j as u32,
                        })
                        .collect();
                    let z: f64 = all.iter().map(|c| f64::from(c.logit - norm.max).exp()).sum();
                    assert!((z.ln() - f64::from(norm.log_sum)).abs() < 1e-5);
                    all.sort_by(Candidate::rank);
                    all.truncate(take);
                    assert_eq!(&all, best);
                    assert_eq!(norm.max, best[0].logit);
                }
            }
        }
    }

    #[test]
    fn some_tokens_are_those_of_the_whole_layer_in_its_order() {
        let (n, k, rows) = (900, 24, 5);
        let dense: Vec<f32> = (0..n * k).map(|i| ((i * 7919 % 13) as f32 - 6.0) / 4.0).collect();
        let bias: Vec<f32> = (0..n).map(|i| (i % 3) as f32 / 8.0).collect();
        let stride = row_stride(k);
        let mut x = Buffer::zeros(rows * stride);
        for (i, v) in x.as_mut_slice().iter_mut().enumerate() {
            *v = if i % stride < k { (i * 17 % 9) as f32 / 4.0 - 1.0 } else { 0.0 };
        }
        let ids: Vec<u32> = (0..n as u32).filter(|i| i % 3 == 1 || *i > 880).collect();
        for format in FORMATS {
            let whole = output(format, &dense, k, Some(&bias));
            let some = whole.of_tokens(ids.clone()).unwrap();
            for isa in Isa::available() {
                let all = run(&whole, &mut x, rows, isa, 2, n);
                let got = run(&some, &mut x, rows, isa, 2, 7);
                let every = run(&some, &mut x, rows, isa, 1, n);
                for ((all, got), every) in all.iter().zip(&got).zip(&every) {
                    let mut want = all.1.clone();
                    want.retain(|c| ids.binary_search(&c.id).is_ok());
                    assert_eq!(every.1, want);
                    assert_eq!(got.1, want[..7]);
                    let z: f64 = want.iter().map(|c| f64::from(c.logit - got.0.max).exp()).sum();
                    assert!((z.ln() - f64::from(got.0.log_sum)).abs() < 1e-5);
                    assert_eq!(got.0, every.0);
                }
            }
        }
    }

    #[test]
    fn not_a_number_is_noticed() {
        let k = 8;
        let dense: Vec<f32> = (0..600 * k).map(|i| (i as f32).sin()).collect();
        let stride = row_stride(k);
        for (format, isa) in
            FORMATS.into_iter().flat_map(|f| Isa::available().into_iter().map(move |i| (f, i)))
        {
            let layer = output(format, &dense, k, None);
            let mut x = Buffer::zeros(2 * stride);
            x.as_mut_slice()[..k].fill(1.0);
            x.as_mut_slice()[3] = f32::NAN;
            x.as_mut_slice()[stride..][..k].fill(1.0);
            let got = run(&layer, &mut x, 2, isa, 1, 4);
            assert!(!got[0].0.is_finite() && got[1].0.is_finite());
        }
    }
}
