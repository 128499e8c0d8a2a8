//! The two ends of decoding: items from the reader, lines and records to standard output.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use serde_json::Value;

use super::OutputFormat;
use super::reader::{Item, Message};
use super::weights::Maker;
use crate::cli::Context;
use crate::decoding::{Feed, Outcome, Stream, Target, Task};
use crate::error::{Error, Result};
use crate::io::Output;
use crate::methods::{DirectionUse, MaskUse, Provider};
use crate::records::{InputFormat, NBest, Scores, Translation, error_record};
use crate::report::Progress;
use crate::text::TextTokenizer;

pub struct Writing {
    pub format: Option<OutputFormat>,
    pub n_best: usize,
    pub token_scores: bool,
    pub score_given: bool,
    pub summary: bool,
    pub header: Option<Value>,
}

/// What a run has done.
pub struct Totals {
    pub out: Output,
    pub num_items: u64,
    pub num_errors: u64,
    pub num_tokens: u64,
    pub first_error: Option<Error>,
}

pub struct TranslationStream<'a, M> {
    feed: Receiver<Message>,
    maker: M,
    parts: Arc<Provider>,
    tokenizer: &'a TextTokenizer,
    context: &'a Context,
    writing: Writing,
    records: bool,
    progress: Progress,
    pending: VecDeque<Item>,
    /// Reading ended by this; what was read before is translated first.
    failure: Option<Error>,
    num_src_unk: u64,
    num_truncated: u64,
    totals: Totals,
}

impl<'a, M: Maker> TranslationStream<'a, M> {
    pub fn new(
        feed: Receiver<Message>,
        maker: M,
        parts: Arc<Provider>,
        tokenizer: &'a TextTokenizer,
        context: &'a Context,
        out: Output,
        writing: Writing,
    ) -> Self {
        Self {
            feed,
            maker,
            parts,
            tokenizer,
            context,
            records: context.json || writing.format == Some(OutputFormat::Jsonl),
            writing,
            progress: context.report.progress("translating", "sentences", None),
            pending: VecDeque::new(),
            failure: None,
            num_src_unk: 0,
            num_truncated: 0,
            totals: Totals { out, num_items: 0, num_errors: 0, num_tokens: 0, first_error: None },
        }
    }

    /// The format of the input decides that of the output, unless it is given.
    fn begin(&mut self, input: InputFormat) -> Result<()> {
        if self.writing.format.is_none() && !self.context.json {
            self.records = input != InputFormat::Text;
        }
        if !self.records {
            for (asked, flag) in [
                (self.writing.n_best > 1, "--n-best"),
                (self.writing.token_scores, "--token-scores"),
                (self.writing.score_given, "--score-given"),
                (self.writing.header.is_some(), "--header"),
                (self.writing.summary, "--summary"),
            ] {
                if asked {
                    return Err(Error::usage(format!("`{flag}` needs records as output"))
                        .flag(flag)
                        .hint("add `--format jsonl`"));
                }
            }
        }
        if let Some(header) = self.writing.header.take() {
            self.totals.out.record(&header)?;
        }
        Ok(())
    }

    fn item(&mut self, item: Item) -> Result<Feed<Item, M::Weights>> {
        let task = match &item.sentence {
            Err(_) => Task::Pass,
            // Nothing but blanks has nothing to translate.
            Ok(s) if s.given.is_none() && s.src.trim().is_empty() => Task::Pass,
            Ok(s) => Task::Decode {
                weights: self.maker.weights(&s.parts, &s.tgt_lang)?,
                src: s.encoded.ids.clone(),
                target: match &s.given {
                    Some(labels) => {
                        let num_forced = self.tokenizer.convention().num_forced();
                        Target::Given { labels: labels.clone(), num_forced }
                    }
                    None => Target::Search { forced: s.forced.clone() },
                },
            },
        };
        Ok(Feed::Item(item, task))
    }

    /// Names of LoRA and adapters in use, where there are any.
    fn names_of(&self, used: &DirectionUse) -> Option<Vec<String>> {
        let lora = self.parts.lora.as_ref().map(|(set, _)| {
            used.lora.names().into_iter().filter(|n| set.adapters.contains_key(*n))
        });
        if self.parts.lora.is_none() && self.parts.adapters.is_none() {
            return None;
        }
        let names: BTreeSet<&str> =
            lora.into_iter().flatten().chain(used.adapters.names()).collect();
        Some(names.into_iter().map(str::to_string).collect())
    }

    pub fn finish(mut self) -> Result<Totals> {
        if let Some(e) = self.failure {
            self.totals.out.flush()?;
            return Err(e);
        }
        let warn = |text: String| self.context.report.warning(&Error::data(text));
        if self.num_src_unk > 0 {
            warn(match self.num_src_unk {
                1 => "1 source token is unknown to the tokenizer".to_string(),
                n => format!("{n} source tokens are unknown to the tokenizer"),
            });
        }
        if self.num_truncated > 0 {
            warn(format!("{} sources were cut to the model's length", self.num_truncated));
        }
        self.progress.finish();
        Ok(self.totals)
    }
}

impl<M: Maker> Stream for TranslationStream<'_, M> {
    type Tag = Item;
    type Weights = M::Weights;

    fn next(&mut self, wait: bool) -> Result<Feed<Item, M::Weights>> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return self.item(item);
            }
            let message = if wait {
                self.feed.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.feed.try_recv()
            };
            match message {
                Ok(Message::Format(format)) => self.begin(format)?,
                Ok(Message::Item(item)) => self.pending.push_back(*item),
                Ok(Message::Failed(e)) => {
                    self.failure = Some(e);
                    return Ok(Feed::End);
                }
                Err(TryRecvError::Empty) => return Ok(Feed::Pending),
                Ok(Message::End) => return Ok(Feed::End),
                Err(TryRecvError::Disconnected) => {
                    self.failure.get_or_insert_with(|| Error::bug("the reader ended by itself"));
                    return Ok(Feed::End);
                }
            }
        }
    }

    fn emit(&mut self, item: Item, outcome: Option<Outcome>) -> Result<()> {
        self.totals.num_items += 1;
        self.progress.add(1);
        let sentence = match item.sentence {
            Ok(s) => s,
            Err(e) => {
                self.totals.num_errors += 1;
                self.context.report.warning(&e);
                let line = if self.records {
                    Value::Object(error_record(item.id, &e, item.record.raw)).to_string()
                } else {
                    String::new()
                };
                self.totals.first_error.get_or_insert(e);
                return self.totals.out.line(&line);
            }
        };
        let hypotheses = outcome.unwrap_or_default();
        let decode = |tokens: &[u32]| self.tokenizer.decode(tokens);
        let hyp = match (hypotheses.first(), &sentence.given) {
            (None, _) => String::new(),
            (Some(_), Some(_)) => sentence.reference.clone().unwrap_or_default(),
            (Some(h), None) => decode(&h.tokens)?,
        };
        self.num_src_unk += u64::from(sentence.encoded.num_unk);
        self.num_truncated += u64::from(sentence.encoded.truncated);
        let best = hypotheses.first();
        self.totals.num_tokens += best.map_or(0, |h| h.tokens.len() as u64);
        if !self.records {
            // One line in, one line out: a break inside a hypothesis becomes a space.
            let line = if hyp.contains(['\n', '\r']) {
                hyp.split(['\n', '\r']).filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ")
            } else {
                hyp
            };
            return self.totals.out.line(&line);
        }
        let nbest = if self.writing.n_best > 1 {
            let list = hypotheses
                .iter()
                .map(|h| {
                    Ok(NBest {
                        hyp: decode(&h.tokens)?,
                        score: h.score.into(),
                        score_norm: h.score_norm.into(),
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            Some(list)
        } else {
            None
        };
        let record = Translation {
            id: item.id,
            src_lang: sentence.src_lang,
            tgt_lang: sentence.tgt_lang,
            src: sentence.src,
            hyp,
            scores: best.map(|h| Scores {
                score: h.score.into(),
                score_norm: h.score_norm.into(),
                num_hyp_tokens: h.tokens.len() as u64,
                finish: h.finish.name(),
                token_ids: self.writing.token_scores.then(|| h.tokens.clone()),
                token_scores: self
                    .writing
                    .token_scores
                    .then(|| h.token_scores.iter().map(|s| f64::from(*s)).collect()),
            }),
            num_src_tokens: sentence.encoded.ids.len() as u64,
            num_src_unk: sentence.encoded.num_unk.into(),
            truncated: sentence.encoded.truncated,
            nbest,
            mask: match &sentence.parts.masks {
                MaskUse::Dense => None,
                MaskUse::Group(group) => Some(group.clone()),
                MaskUse::Merged { encoder, decoder } => Some(format!("{encoder}/{decoder}")),
            },
            adapters: self.names_of(&sentence.parts),
            swapped_reference: sentence.reference.filter(|_| sentence.swapped),
        };
        let line = serde_json::to_string(&record.into_map(item.record.raw))
            .map_err(|e| Error::bug("cannot encode a record").cause(e.to_string()))?;
        self.totals.out.line(&line)
    }

    fn idle(&mut self) -> Result<()> {
        self.totals.out.flush()
    }
}
