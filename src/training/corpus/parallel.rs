//! Parallel text: pairs of sentences by direction.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Corpus, CorpusOptions, CorpusSummary, DirectionExamples, Example, OnLong, in_windows, too_long,
};
use crate::error::{Error, Result};
use crate::io::Input;
use crate::records::{ParallelReader, ParallelRecord};
use crate::text::{Direction, TextTokenizer};
use crate::training::task::Task;

impl Corpus {
    /// All text at once; `progress` is told how many records were read.
    pub fn read(
        inputs: &[Input],
        tokenizer: &TextTokenizer,
        options: &CorpusOptions,
        mut progress: impl FnMut(u64),
    ) -> Result<Self> {
        let mut this = Self { convention: tokenizer.convention(), ..Self::empty() };
        let mut by_direction: BTreeMap<Direction, Vec<Example>> = BTreeMap::new();
        windows(inputs, options, |window, input| {
            this.begin_file(input);
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
                convention: tokenizer.convention(),
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
            .map(|(direction, examples)| DirectionExamples {
                task: Task::Translation,
                direction,
                examples,
            })
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
                        return Err(too_long(longest, options.max_len)
                            .at(input.name())
                            .line(r.line));
                    }
                }
            }
            let record = self.add_place(r.line);
            self.summary.num_unk += pair.iter().map(|e| u64::from(e.num_unk)).sum::<u64>();
            let src = self.add_sentence(&pair[0].ids, options.max_len);
            let tgt = self.add_sentence(&pair[1].ids, options.max_len);
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
}

/// Records of all inputs, some thousands at a time, none of two inputs together.
fn windows(
    inputs: &[Input],
    options: &CorpusOptions,
    mut each: impl FnMut(Vec<ParallelRecord>, &Input) -> Result<()>,
) -> Result<()> {
    for input in inputs {
        let mut reader = ParallelReader::open(input, options.read.clone())?;
        in_windows(&mut reader, |window| each(window, input))?;
    }
    Ok(())
}
