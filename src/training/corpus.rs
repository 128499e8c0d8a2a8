//! Text in memory as token ids: parallel text by direction, and by language what tasks beside
//! translation are trained on.

mod denoising;
mod parallel;
mod tagging;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::task::Task;
use crate::error::{Error, Result};
use crate::formats::provenance::hex;
use crate::io::Input;
use crate::records::{InputFormat, ReadOptions};
use crate::text::{Convention, Direction};

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

/// How the text of a task beside translation is read.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// By extension and content when none is given; tagged text is always JSON Lines.
    pub format: Option<InputFormat>,
    /// Language of text that names none.
    pub lang: Option<String>,
    /// Tokens of a sentence, marks included.
    pub max_len: usize,
    pub on_long: OnLong,
}

/// One pair in one direction, as indices of sentences. In tasks of one language both are the same
/// clean sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example {
    pub src: u32,
    pub tgt: u32,
    pub weight: f32,
    /// Index of the record it came from.
    pub record: u32,
}

/// What one task has in one direction: a lane. Batches hold examples of one lane only.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionExamples {
    pub task: Task,
    /// From a language to itself in tasks beside translation.
    pub direction: Direction,
    pub examples: Vec<Example>,
}

impl DirectionExamples {
    /// `en-de`, `denoise:fi` or `tag:fi`.
    pub fn name(&self) -> String {
        self.task.lane_name(&self.direction)
    }
}

/// What was left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorpusSummary {
    pub num_records: u64,
    pub num_empty: u64,
    pub num_long: u64,
    pub num_unk: u64,
    pub num_tokens: u64,
    /// Tagged words that are trained on.
    pub num_words: u64,
    /// Tagged words that are not, because the tokenizer has no piece for them.
    pub num_dropped: u64,
}

/// Tokenized text. A sentence is stored once for both directions, as `[mark, pieces, eos]`; the
/// tokenizer's convention makes sources and targets of it.
pub struct Corpus {
    convention: Convention,
    tokens: Vec<u32>,
    /// `[sentences + 1]`.
    offsets: Vec<u64>,
    /// Index of a token's tag, else [`IGNORED`](crate::model::IGNORED); as long as the tokens of
    /// the last tagged sentence reach.
    labels: Vec<u16>,
    /// The tag set of tagged text.
    pub tags: Vec<String>,
    /// Sorted by task and direction.
    pub directions: Vec<DirectionExamples>,
    /// Index of the file and one-based line of each record.
    places: Vec<(u32, u32)>,
    files: Vec<String>,
    /// Of each sentence, where it was asked for.
    texts: Vec<String>,
    /// Of the parallel text.
    pub summary: CorpusSummary,
    any_weight: bool,
}

/// Records tokenized at a time, in parallel.
const WINDOW: usize = 8192;

impl Corpus {
    /// No text, to add that of tasks to.
    pub fn empty() -> Self {
        Self {
            convention: Convention::M2m100,
            tokens: Vec::new(),
            offsets: vec![0],
            labels: Vec::new(),
            tags: Vec::new(),
            directions: Vec::new(),
            places: Vec::new(),
            files: Vec::new(),
            texts: Vec::new(),
            summary: CorpusSummary::default(),
            any_weight: false,
        }
    }

    fn begin_file(&mut self, input: &Input) {
        let name = input.name().display().to_string();
        if self.files.last() != Some(&name) {
            self.files.push(name);
        }
    }

    /// A record of the file that was begun last.
    fn add_place(&mut self, line: u64) -> u32 {
        let file = self.files.len().saturating_sub(1) as u32;
        self.places.push((file, line.min(u64::from(u32::MAX)) as u32));
        self.places.len() as u32 - 1
    }

    /// Keeps the beginning of a sentence that is too long, and its end mark.
    fn add_sentence(&mut self, ids: &[u32], max_len: usize) -> u32 {
        match ids.split_last() {
            Some((end, _)) if ids.len() > max_len => {
                self.tokens.extend_from_slice(&ids[..max_len - 1]);
                self.tokens.push(*end);
            }
            _ => self.tokens.extend_from_slice(ids),
        }
        self.offsets.push(self.tokens.len() as u64);
        self.offsets.len() as u32 - 2
    }

    /// Adds the examples of a task by language to the lanes there are.
    fn add_lanes(&mut self, task: Task, by_lang: BTreeMap<String, Vec<Example>>) {
        for (lang, examples) in by_lang {
            let direction = Direction::new(lang.clone(), lang);
            let key = (task, &direction);
            match self.directions.binary_search_by(|d| (d.task, &d.direction).cmp(&key)) {
                Ok(i) => self.directions[i].examples.extend(examples),
                Err(i) => {
                    self.directions.insert(i, DirectionExamples { task, direction, examples });
                }
            }
        }
    }

    /// Where the tokenizer of the text puts its marks.
    pub fn convention(&self) -> Convention {
        self.convention
    }
    /// What the encoder reads of `sentence`, the source of `e` or a damaged copy of it.
    pub fn as_source<'a>(&self, sentence: &'a [u32], e: Example) -> Cow<'a, [u32]> {
        let target_mark = self.sentence(e.tgt).first().copied().unwrap_or(0);
        self.convention.source(sentence, target_mark)
    }
    /// What the encoder reads of an example.
    pub fn source(&self, e: Example) -> Cow<'_, [u32]> {
        self.as_source(self.sentence(e.src), e)
    }
    /// The labels of an example.
    pub fn target(&self, e: Example) -> &[u32] {
        self.convention.target(self.sentence(e.tgt))
    }
    /// Token ids of a sentence as it is stored: `[mark, pieces, eos]`.
    pub fn sentence(&self, i: u32) -> &[u32] {
        let i = i as usize;
        &self.tokens[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
    /// For each token of a tagged sentence the index of its tag in [`Corpus::tags`], else
    /// [`IGNORED`](crate::model::IGNORED). None for sentences behind the last tagged one.
    pub fn labels(&self, i: u32) -> Option<&[u16]> {
        let i = i as usize;
        self.labels.get(self.offsets[i] as usize..self.offsets[i + 1] as usize)
    }
    /// A sentence of a pair as it was written, if [`CorpusOptions::keep_text`] was set.
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
    /// Tokens of all sentences that a lane has, each counted once.
    pub fn num_tokens(&self) -> usize {
        let mut is_used = vec![false; self.offsets.len() - 1];
        for e in self.directions.iter().flat_map(|d| &d.examples) {
            is_used[e.src as usize] = true;
            is_used[e.tgt as usize] = true;
        }
        let used = (0u32..).zip(&is_used).filter(|(_, used)| **used);
        used.map(|(i, _)| self.sentence_len(i)).sum()
    }
    pub fn has_weights(&self) -> bool {
        self.any_weight
    }
    /// Whether a task has text here.
    pub fn has(&self, task: Task) -> bool {
        self.directions.iter().any(|d| d.task == task)
    }
    /// Fingerprint of tokens, pairs, weights and tags.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for t in &self.tokens {
            hasher.update(t.to_le_bytes());
        }
        for o in &self.offsets {
            hasher.update(o.to_le_bytes());
        }
        for d in &self.directions {
            hasher.update(d.name());
            for e in &d.examples {
                hasher.update(e.src.to_le_bytes());
                hasher.update(e.tgt.to_le_bytes());
                hasher.update(e.weight.to_le_bytes());
            }
        }
        // Nothing more for the usual convention and parallel text alone, as it was before there were
        // others.
        if matches!(self.convention, Convention::NllbLegacy | Convention::Small100) {
            hasher.update(self.convention.name());
        }
        for t in &self.labels {
            hasher.update(t.to_le_bytes());
        }
        for tag in &self.tags {
            hasher.update((tag.len() as u64).to_le_bytes());
            hasher.update(tag);
        }
        hex(&hasher.finalize())
    }
    /// `file:line` of a record.
    pub fn place(&self, record: u32) -> String {
        let (file, line) = self.places[record as usize];
        format!("{}:{line}", self.files[file as usize])
    }
}

/// The records of one input, some thousands at a time.
fn in_windows<T>(
    reader: &mut dyn Iterator<Item = Result<T>>,
    mut each: impl FnMut(Vec<T>) -> Result<()>,
) -> Result<()> {
    loop {
        let window = reader.take(WINDOW).collect::<Result<Vec<T>>>()?;
        if window.is_empty() {
            return Ok(());
        }
        each(window)?;
    }
}

fn too_long(found: usize, max_len: usize) -> Error {
    Error::data("sentence is too long")
        .found(format!("{found} tokens"))
        .expected(format!("at most {max_len}"))
        .hint("`--on-long cut` keeps the beginning, `--on-long skip` leaves it out")
}

/// What is gathered from the text of a task.
#[derive(Default)]
struct Gathered {
    summary: CorpusSummary,
    by_lang: BTreeMap<String, Vec<Example>>,
}

impl Gathered {
    fn add(&mut self, lang: &str, sentence: u32, record: u32) {
        let example = Example { src: sentence, tgt: sentence, weight: 1.0, record };
        match self.by_lang.get_mut(lang) {
            Some(examples) => examples.push(example),
            None => {
                self.by_lang.insert(lang.to_string(), vec![example]);
            }
        }
    }

    /// Whether there is a sentence.
    fn check(&self, inputs: &[Input]) -> Result<()> {
        if !self.by_lang.is_empty() {
            return Ok(());
        }
        let s = &self.summary;
        let e = match s.num_records {
            0 => Error::data("no records to read"),
            n => Error::data("no usable sentences")
                .found(format!("{n} texts, {} empty, {} too long", s.num_empty, s.num_long))
                .hint("`--max-len` and `--on-long cut` decide what is too long"),
        };
        Err(match inputs.first() {
            Some(input) => e.at(input.name()),
            None => e,
        })
    }
}

#[cfg(test)]
mod tests;
