//! A system's statistics: summed by unit as segments stream past, and by segment where
//! resampling needs them. No text and no n-gram is kept.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;

use super::signature::NumRefs;
use super::{Metric, Scratch};
use crate::error::{Error, Result};
use crate::records::Segment;

/// What segments are told apart by: languages, and the fields asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnitKey {
    pub src_lang: Option<String>,
    pub tgt_lang: Option<String>,
    pub fields: Vec<Option<String>>,
}

impl UnitKey {
    /// `src-tgt` where both are known.
    pub fn lang_pair(&self) -> Option<String> {
        Some(format!("{}-{}", self.src_lang.as_ref()?, self.tgt_lang.as_ref()?))
    }

    /// How errors call it.
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        match (self.lang_pair(), &self.src_lang, &self.tgt_lang) {
            (Some(pair), _, _) => parts.push(format!("`{pair}`")),
            (None, Some(lang), None) | (None, None, Some(lang)) => parts.push(format!("`{lang}`")),
            _ => {}
        }
        parts.extend(self.fields.iter().flatten().map(|f| format!("`{f}`")));
        if parts.is_empty() { "the segments".into() } else { parts.join(", ") }
    }
}

/// All segments with one key.
#[derive(Clone, Debug)]
pub struct Unit {
    pub key: UnitKey,
    pub num_sentences: u64,
    pub num_refs: NumRefs,
    /// Summed statistics, by metric.
    pub sums: Vec<Vec<f64>>,
    /// Sum of the hashes of the references: equal for equal references in any order.
    pub refs_digest: u64,
}

/// What is kept of each segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Sums by unit only: memory does not grow with the input.
    Sums,
    /// Statistics in 32 bits, for the bootstrap.
    Single,
    /// Statistics in full, for randomization.
    Double,
}

/// Statistics of one metric, segment after segment.
#[derive(Clone, Debug)]
enum Rows {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

/// What is known of each segment beside its statistics.
#[derive(Clone, Debug, Default)]
pub struct SegmentInfo {
    pub unit: Vec<u32>,
    /// Hashes: equal texts, equal numbers.
    pub id: Vec<Option<u64>>,
    pub refs: Vec<u64>,
    pub line: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct Corpus {
    pub metrics: Vec<Metric>,
    pub units: Vec<Unit>,
    index: HashMap<String, u32>,
    keep: Keep,
    pub segments: SegmentInfo,
    rows: Vec<Rows>,
    /// Hypotheses that end in a space and a full stop: sacrebleu's sign of tokenized text.
    pub num_tokenized_ends: u64,
}

/// Results of some neighbouring segments.
struct Batch {
    /// Unit, or a new key.
    units: Vec<Result<u32, String>>,
    keys: HashMap<String, UnitKey>,
    num_refs: Vec<u32>,
    refs: Vec<u64>,
    info: SegmentInfo,
    /// By metric, segment after segment.
    stats: Vec<Vec<f64>>,
    num_tokenized_ends: u64,
}

/// Segments one worker takes at a time.
const BATCH_SEGMENTS: usize = 64;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Corpus {
    pub fn new(metrics: Vec<Metric>, keep: Keep) -> Self {
        let rows = match keep {
            Keep::Sums => Vec::new(),
            Keep::Single => metrics.iter().map(|_| Rows::Single(Vec::new())).collect(),
            Keep::Double => metrics.iter().map(|_| Rows::Double(Vec::new())).collect(),
        };
        Self {
            metrics,
            units: Vec::new(),
            index: HashMap::new(),
            keep,
            segments: SegmentInfo::default(),
            rows,
            num_tokenized_ends: 0,
        }
    }

    pub fn num_sentences(&self) -> u64 {
        self.units.iter().map(|u| u.num_sentences).sum()
    }

    /// Scores segments on all threads of the current pool and adds them in their order, so that
    /// sums do not depend on the number of threads. `parse` turns an input into a segment, or
    /// none where there is nothing to score; the first error in input order is returned.
    pub fn add<'r, R: Sync>(
        &mut self,
        raws: &'r [R],
        parse: impl Fn(&'r R) -> Result<Option<Segment<'r>>> + Sync,
    ) -> Result<()> {
        let this = &*self;
        let batches: Vec<Result<Batch>> = raws
            .par_chunks(BATCH_SEGMENTS)
            .map(|raws| SCRATCH.with_borrow_mut(|scratch| this.score(raws, &parse, scratch)))
            .collect();
        for batch in batches {
            self.merge(batch?);
        }
        Ok(())
    }

    fn score<'r, R>(
        &self,
        raws: &'r [R],
        parse: impl Fn(&'r R) -> Result<Option<Segment<'r>>>,
        scratch: &mut Scratch,
    ) -> Result<Batch> {
        let mut batch = Batch {
            units: Vec::with_capacity(raws.len()),
            keys: HashMap::new(),
            num_refs: Vec::with_capacity(raws.len()),
            refs: Vec::with_capacity(raws.len()),
            info: SegmentInfo::default(),
            stats: self
                .metrics
                .iter()
                .map(|m| Vec::with_capacity(raws.len() * m.num_stats()))
                .collect(),
            num_tokenized_ends: 0,
        };
        let mut name = String::new();
        for raw in raws {
            let Some(segment) = parse(raw)? else { continue };
            let Some(hyp) = segment.hyp.as_deref() else {
                return Err(Error::data("record has no hypothesis")
                    .line(segment.line)
                    .expected("field `hyp` (or `mt`, `translation`)"));
            };
            if segment.refs.is_empty() {
                return Err(Error::data("record has no reference")
                    .line(segment.line)
                    .expected("field `tgt`, `ref` or `refs`")
                    .hint("name the file that holds them with `--ref`"));
            }
            // sacrebleu's program strips every line it reads; only chrF with white space sees it.
            let trim = super::tokenizers::words::trim_end;
            let refs: Vec<&str> = segment.refs.iter().map(|r| trim(r)).collect();
            batch.num_tokenized_ends += u64::from(hyp.ends_with(" ."));
            for (metric, stats) in self.metrics.iter().zip(&mut batch.stats) {
                metric.segment(trim(hyp), &refs, scratch, stats);
            }
            batch.num_refs.push(refs.len() as u32);
            batch.refs.push(hash(&refs));
            encode_key(&segment, &mut name);
            batch.units.push(match self.index.get(&name) {
                Some(&unit) => Ok(unit),
                None => {
                    if !batch.keys.contains_key(&name) {
                        batch.keys.insert(name.clone(), unit_key(&segment));
                    }
                    Err(name.clone())
                }
            });
            if self.keep != Keep::Sums {
                batch.info.id.push(segment.id.as_deref().map(hash));
                batch.info.line.push(segment.line);
            }
        }
        Ok(batch)
    }

    fn merge(&mut self, mut batch: Batch) {
        for (i, unit) in batch.units.into_iter().enumerate() {
            let num_refs = batch.num_refs[i];
            let unit = unit.unwrap_or_else(|name| match self.index.get(&name) {
                Some(&unit) => unit,
                None => {
                    let number = self.units.len() as u32;
                    self.units.push(Unit {
                        key: batch.keys.remove(&name).unwrap_or_default(),
                        num_sentences: 0,
                        num_refs: NumRefs { min: num_refs, max: num_refs },
                        sums: self.metrics.iter().map(|m| vec![0.0; m.num_stats()]).collect(),
                        refs_digest: 0,
                    });
                    self.index.insert(name, number);
                    number
                }
            });
            let u = &mut self.units[unit as usize];
            u.num_sentences += 1;
            u.num_refs.min = u.num_refs.min.min(num_refs);
            u.num_refs.max = u.num_refs.max.max(num_refs);
            u.refs_digest = u.refs_digest.wrapping_add(batch.refs[i]);
            for (sums, stats) in u.sums.iter_mut().zip(&batch.stats) {
                let row = &stats[i * sums.len()..][..sums.len()];
                sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
            }
            if self.keep != Keep::Sums {
                self.segments.unit.push(unit);
            }
        }
        self.segments.id.append(&mut batch.info.id);
        if self.keep != Keep::Sums {
            self.segments.refs.append(&mut batch.refs);
        }
        self.segments.line.append(&mut batch.info.line);
        for (rows, stats) in self.rows.iter_mut().zip(&batch.stats) {
            match rows {
                Rows::Single(rows) => rows.extend(stats.iter().map(|&x| x as f32)),
                Rows::Double(rows) => rows.extend_from_slice(stats),
            }
        }
        self.num_tokenized_ends += batch.num_tokenized_ends;
    }

    /// Statistics of the given segments in one metric, in 32 bits.
    pub fn rows_single(&self, metric: usize, segments: &[u32]) -> Vec<f32> {
        let width = self.metrics[metric].num_stats();
        match self.rows.get(metric) {
            Some(Rows::Single(rows)) => select(rows, width, segments, |x| x),
            Some(Rows::Double(rows)) => select(rows, width, segments, |x| x as f32),
            None => Vec::new(),
        }
    }

    /// Statistics of the given segments in one metric.
    pub fn rows_double(&self, metric: usize, segments: &[u32]) -> Vec<f64> {
        let width = self.metrics[metric].num_stats();
        match self.rows.get(metric) {
            Some(Rows::Single(rows)) => select(rows, width, segments, f64::from),
            Some(Rows::Double(rows)) => select(rows, width, segments, |x| x),
            None => Vec::new(),
        }
    }

    /// The segments of some units, in input order.
    pub fn segments_of(&self, units: &[usize]) -> Vec<u32> {
        let mut wanted = vec![false; self.units.len()];
        units.iter().for_each(|&u| wanted[u] = true);
        (0..self.segments.unit.len() as u32)
            .filter(|&s| wanted[self.segments.unit[s as usize] as usize])
            .collect()
    }
}

fn select<T: Copy, U>(rows: &[T], width: usize, segments: &[u32], f: impl Fn(T) -> U) -> Vec<U> {
    let mut out = Vec::with_capacity(segments.len() * width);
    for &s in segments {
        out.extend(rows[s as usize * width..][..width].iter().map(|&x| f(x)));
    }
    out
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// An unambiguous name of a segment's key: each part with its length.
fn encode_key(segment: &Segment<'_>, out: &mut String) {
    out.clear();
    for part in [&segment.src_lang, &segment.tgt_lang].into_iter().chain(&segment.fields) {
        // Writing to a string does not fail.
        let _ = match part {
            Some(text) => write!(out, "{}:{text}", text.len()),
            None => write!(out, "-"),
        };
    }
}

fn unit_key(segment: &Segment<'_>) -> UnitKey {
    let own = |text: &Option<Cow<'_, str>>| text.as_ref().map(|t| t.to_string());
    UnitKey {
        src_lang: own(&segment.src_lang),
        tgt_lang: own(&segment.tgt_lang),
        fields: segment.fields.iter().map(own).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bleu::Bleu;
    use super::super::ter::Ter;
    use super::*;

    fn segment(pair: (&'static str, &'static str), hyp: &str, refs: &[&str]) -> Segment<'static> {
        Segment {
            src_lang: Some(pair.0.into()),
            tgt_lang: Some(pair.1.into()),
            hyp: Some(hyp.to_string().into()),
            refs: refs.iter().map(|r| r.to_string().into()).collect(),
            ..Segment::default()
        }
    }

    #[test]
    fn units_and_sums_do_not_depend_on_batches_or_threads() {
        let segments: Vec<Segment<'static>> = (0..500)
            .map(|i| {
                let pair = [("de", "en"), ("en", "de"), ("en", "d")][i % 3];
                let refs = ["a b c d", "a b", "x"];
                segment(pair, &format!("a b {} d", i % 5), &refs[..1 + i % 3])
            })
            .collect();
        let metrics = vec![Metric::Bleu(Bleu::default()), Metric::Ter(Ter::default())];
        let score = |threads: usize, chunk: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut corpus = Corpus::new(metrics.clone(), Keep::Single);
            for part in segments.chunks(chunk) {
                pool.install(|| corpus.add(part, |s| Ok(Some(s.clone())))).unwrap();
            }
            corpus
        };
        let (one, many) = (score(1, 7), score(3, 500));
        assert_eq!(one.units.len(), 3);
        for (a, b) in one.units.iter().zip(&many.units) {
            assert_eq!((&a.key, a.num_sentences, &a.sums), (&b.key, b.num_sentences, &b.sums));
        }
        assert_eq!(one.units[0].key.lang_pair().as_deref(), Some("de-en"));
        assert_eq!(one.units[1].num_refs, NumRefs { min: 2, max: 2 });
        let all: Vec<u32> = (0..500).collect();
        assert_eq!(one.segments_of(&[0, 1, 2]), all);
        assert_eq!(one.rows_single(1, &all), many.rows_single(1, &all));
        let of_unit = one.rows_double(0, &one.segments_of(&[2]));
        let summed: f64 = of_unit.chunks(10).map(|r| r[0]).sum();
        assert_eq!(summed, one.units[2].sums[0][0]);
    }

    #[test]
    fn a_segment_without_texts_is_an_error_at_its_line() {
        let mut corpus = Corpus::new(vec![Metric::Bleu(Bleu::default())], Keep::Sums);
        let mut bad = segment(("a", "b"), "x", &[]);
        bad.line = 9;
        let e = corpus.add(&[bad.clone()], |s| Ok(Some(s.clone()))).unwrap_err();
        assert!(e.to_string().contains("line 9") && e.to_string().contains("--ref"), "{e}");
        bad.hyp = None;
        let e = corpus.add(&[bad], |s| Ok(Some(s.clone()))).unwrap_err();
        assert!(e.to_string().contains("no hypothesis"));
    }
}
