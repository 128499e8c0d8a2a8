//! Parallel text in memory as token ids, grouped by direction.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::formats::provenance::hex;
use crate::io::Input;
use crate::records::{ParallelReader, ParallelRecord, ReadOptions};
use crate::text::{Direction, TextTokenizer};

/// What to do with a sentence that has more tokens than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnLong {
    /// Leave the pair out and count it
    Skip,
    /// Keep the beginning
    Cut,
    /// Stop
    Error,
}

#[derive(Clone, Debug)]
pub struct CorpusOptions {
    pub read: ReadOptions,
    /// Every pair is also used the other way round.
    pub both_directions: bool,
    /// Every pair is used the other way round.
    pub reverse: bool,
    /// Only these; none means all.
    pub directions: Option<Vec<Direction>>,
    /// Tokens of a side, marks included.
    pub max_len: usize,
    pub on_long: OnLong,
    /// The text stays in memory beside its tokens, for scoring.
    pub keep_text: bool,
}

/// One pair in one direction, as indices of sentences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example {
    pub src: u32,
    pub tgt: u32,
    pub weight: f32,
    /// Index of the record it came from.
    pub record: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DirectionExamples {
    pub direction: Direction,
    pub examples: Vec<Example>,
}

/// What was left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorpusSummary {
    pub num_records: u64,
    pub num_empty: u64,
    pub num_long: u64,
    pub num_unk: u64,
    pub num_tokens: u64,
}

/// Tokenized parallel text. A sentence is `[mark, pieces, eos]`, the same as source and as
/// target, and is stored once for both directions.
pub struct Corpus {
    tokens: Vec<u32>,
    /// `[sentences + 1]`.
    offsets: Vec<u64>,
    /// Sorted by direction.
    pub directions: Vec<DirectionExamples>,
    /// Index of the file and one-based line of each record.
    places: Vec<(u32, u32)>,
    files: Vec<String>,
    /// Of each sentence, where it was asked for.
    texts: Vec<String>,
    pub summary: CorpusSummary,
    any_weight: bool,
}

/// Records tokenized at a time, in parallel.
const WINDOW: usize = 8192;

impl Corpus {
    fn empty() -> Self {
        Self {
            tokens: Vec::new(),
            offsets: vec![0],
            directions: Vec::new(),
            places: Vec::new(),
            files: Vec::new(),
            texts: Vec::new(),
            summary: CorpusSummary::default(),
            any_weight: false,
        }
    }

    /// All text at once; `progress` is told how many records were read.
    pub fn read(
        inputs: &[Input],
        tokenizer: &TextTokenizer,
        options: &CorpusOptions,
        mut progress: impl FnMut(u64),
    ) -> Result<Self> {
        let mut this = Self::empty();
        let mut by_direction: BTreeMap<Direction, Vec<Example>> = BTreeMap::new();
        windows(inputs, options, |window, input| {
            let name = input.name().display().to_string();
            if this.files.last() != Some(&name) {
                this.files.push(name);
            }
            let n = window.len() as u64;
            this.add(window, input, tokenizer, options, &mut by_direction)?;
            progress(n);
            Ok(())
        })?;
        this.check(inputs, options, &by_direction.keys().cloned().collect())?;
        this.take(by_direction, options);
        Ok(this)
    }

    /// The text piece by piece, each a corpus of its own with at most some thousands of records:
    /// memory does not grow with the input. Returns what was left out of all of it.
    pub fn read_in_windows(
        inputs: &[Input],
        tokenizer: &TextTokenizer,
        options: &CorpusOptions,
        mut each: impl FnMut(&Self) -> Result<()>,
    ) -> Result<CorpusSummary> {
        let mut this = Self::empty();
        let mut seen = BTreeSet::new();
        windows(inputs, options, |window, input| {
            this = Self {
                files: vec![input.name().display().to_string()],
                summary: this.summary,
                ..Self::empty()
            };
            let mut by_direction = BTreeMap::new();
            this.add(window, input, tokenizer, options, &mut by_direction)?;
            seen.extend(by_direction.keys().cloned());
            this.take(by_direction, options);
            each(&this)
        })?;
        this.check(inputs, options, &seen)?;
        Ok(this.summary)
    }

    fn take(
        &mut self,
        mut by_direction: BTreeMap<Direction, Vec<Example>>,
        options: &CorpusOptions,
    ) {
        if let Some(wanted) = &options.directions {
            by_direction.retain(|d, _| wanted.contains(d));
        }
        self.directions = by_direction
            .into_iter()
            .map(|(direction, examples)| DirectionExamples { direction, examples })
            .collect();
    }

    /// Whether there is text, and of every direction that was asked for.
    fn check(
        &self,
        inputs: &[Input],
        options: &CorpusOptions,
        seen: &BTreeSet<Direction>,
    ) -> Result<()> {
        if self.summary.num_records == 0 {
            let e = Error::data("no records to read");
            return Err(match inputs.first() {
                Some(i) => e.at(i.name()),
                None => e,
            });
        }
        if let Some(wanted) = &options.directions
            && let Some(d) = wanted.iter().find(|d| !seen.contains(d))
        {
            let have: Vec<String> = seen.iter().map(ToString::to_string).collect();
            return Err(Error::data(format!("the data has no pairs for direction `{d}`"))
                .expected(have.join(", "))
                .suggest(&d.to_string(), have.iter().map(String::as_str)));
        }
        if seen.is_empty() {
            return Err(Error::data("no usable sentence pairs")
                .found(format!(
                    "{} records, {} with an empty side, {} too long",
                    self.summary.num_records, self.summary.num_empty, self.summary.num_long
                ))
                .hint("`--max-len` and `--on-long cut` decide what is too long"));
        }
        Ok(())
    }

    fn add(
        &mut self,
        window: Vec<ParallelRecord>,
        input: &Input,
        tokenizer: &TextTokenizer,
        options: &CorpusOptions,
        by_direction: &mut BTreeMap<Direction, Vec<Example>>,
    ) -> Result<()> {
        let before = self.tokens.len();
        let mut items: Vec<(&str, &str)> = Vec::with_capacity(window.len() * 2);
        let mut kept: Vec<&ParallelRecord> = Vec::with_capacity(window.len());
        for r in &window {
            self.summary.num_records += 1;
            let place = |e: Error| e.at(input.name()).line(r.line);
            let missing = |field: &str| {
                place(Error::data(format!("record has no `{field}`")).field(field).hint(
                    "a pair has src_lang, tgt_lang, src and tgt; \
                     languages can be given with `--src-lang` and `--tgt-lang`",
                ))
            };
            let src_lang = r.src_lang.as_deref().ok_or_else(|| missing("src_lang"))?;
            let tgt_lang = r.tgt_lang.as_deref().ok_or_else(|| missing("tgt_lang"))?;
            let src = r.src.as_deref().ok_or_else(|| missing("src"))?;
            let tgt = r.refs.first().ok_or_else(|| missing("tgt"))?;
            for (field, lang) in [("src_lang", src_lang), ("tgt_lang", tgt_lang)] {
                tokenizer.languages().id_of(lang).map_err(|e| place(e.field(field)))?;
            }
            if src.trim().is_empty() || tgt.trim().is_empty() {
                self.summary.num_empty += 1;
                continue;
            }
            items.push((src_lang, src));
            items.push((tgt_lang, tgt));
            kept.push(r);
        }
        // One token more than allowed, to tell what is too long.
        let encoded = tokenizer.encode_batch(&items, usize::MAX)?;
        for (r, pair) in kept.iter().zip(encoded.chunks_exact(2)) {
            let longest = pair.iter().map(|e| e.ids.len()).max().unwrap_or(0);
            if longest > options.max_len {
                self.summary.num_long += 1;
                match options.on_long {
                    OnLong::Skip => continue,
                    OnLong::Cut => {}
                    OnLong::Error => {
                        return Err(Error::data("sentence is too long")
                            .at(input.name())
                            .line(r.line)
                            .found(format!("{longest} tokens"))
                            .expected(format!("at most {}", options.max_len))
                            .hint("`--on-long cut` keeps the beginning, `--on-long skip` leaves it out"));
                    }
                }
            }
            let record = self.places.len() as u32;
            self.places.push((self.files.len() as u32 - 1, r.line.min(u64::from(u32::MAX)) as u32));
            let mut sentence = |e: &crate::text::Encoded| {
                let mut ids = &e.ids[..];
                let last = ids.last().copied();
                if ids.len() > options.max_len {
                    ids = &ids[..options.max_len - 1];
                }
                self.tokens.extend_from_slice(ids);
                if ids.len() < e.ids.len() {
                    self.tokens.extend(last);
                }
                self.summary.num_unk += u64::from(e.num_unk);
                self.offsets.push(self.tokens.len() as u64);
                self.offsets.len() as u32 - 2
            };
            let (src, tgt) = (sentence(&pair[0]), sentence(&pair[1]));
            if options.keep_text {
                self.texts.extend(r.src.clone());
                self.texts.extend(r.refs.first().cloned());
            }
            let weight = r.weight.unwrap_or(1.0) as f32;
            self.any_weight |= weight != 1.0;
            let (Some(a), Some(b)) = (&r.src_lang, &r.tgt_lang) else { continue };
            let direction = Direction::new(a.clone(), b.clone());
            if options.both_directions || options.reverse {
                by_direction.entry(direction.reversed()).or_default().push(Example {
                    src: tgt,
                    tgt: src,
                    weight,
                    record,
                });
            }
            if options.both_directions || !options.reverse {
                by_direction.entry(direction).or_default().push(Example {
                    src,
                    tgt,
                    weight,
                    record,
                });
            }
        }
        self.summary.num_tokens += (self.tokens.len() - before) as u64;
        Ok(())
    }

    /// Token ids of a sentence: `[mark, pieces, eos]`.
    pub fn sentence(&self, i: u32) -> &[u32] {
        let i = i as usize;
        &self.tokens[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
    /// A sentence as it was written, if [`CorpusOptions::keep_text`] was set.
    pub fn text(&self, i: u32) -> Option<&str> {
        self.texts.get(i as usize).map(String::as_str)
    }
    pub fn sentence_len(&self, i: u32) -> usize {
        let i = i as usize;
        (self.offsets[i + 1] - self.offsets[i]) as usize
    }
    pub fn num_examples(&self) -> usize {
        self.directions.iter().map(|d| d.examples.len()).sum()
    }
    pub fn has_weights(&self) -> bool {
        self.any_weight
    }
    /// Fingerprint of tokens, pairs and weights.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for t in &self.tokens {
            hasher.update(t.to_le_bytes());
        }
        for o in &self.offsets {
            hasher.update(o.to_le_bytes());
        }
        for d in &self.directions {
            hasher.update(d.direction.to_string());
            for e in &d.examples {
                hasher.update(e.src.to_le_bytes());
                hasher.update(e.tgt.to_le_bytes());
                hasher.update(e.weight.to_le_bytes());
            }
        }
        hex(&hasher.finalize())
    }
    /// `file:line` of a record.
    pub fn place(&self, record: u32) -> String {
        let (file, line) = self.places[record as usize];
        format!("{}:{line}", self.files[file as usize])
    }
}

/// Records of all inputs, some thousands at a time, none of two inputs together.
fn windows(
    inputs: &[Input],
    options: &CorpusOptions,
    mut each: impl FnMut(Vec<ParallelRecord>, &Input) -> Result<()>,
) -> Result<()> {
    for input in inputs {
        let mut reader = ParallelReader::open(input, options.read.clone())?;
        loop {
            let mut window = Vec::with_capacity(WINDOW);
            while window.len() < WINDOW {
                match reader.next_record()? {
                    Some(r) => window.push(r),
                    None => break,
                }
            }
            if window.is_empty() {
                break;
            }
            each(window, input)?;
        }
    }
    Ok(())
}
