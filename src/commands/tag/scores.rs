//! How many words have the right tag, and what is to be said of those that cannot.

use std::collections::{BTreeMap, BTreeSet};

use super::sentences::Sentence;
use crate::cli::Context;
use crate::error::Error;
use crate::records::TagScore;
use crate::report::{Align, Table, TableFormat};

/// Names that are listed in a warning.
const SHOWN: usize = 24;

/// Counts while text is tagged.
pub struct Tally {
    known: BTreeSet<String>,
    /// Words and correct ones, by language.
    by_lang: BTreeMap<String, (u64, u64)>,
    /// Tags of the input that are not of the tag head; hostile input could fill the memory with
    /// them.
    unknown: BTreeSet<String>,
    num_truncated: u64,
    num_untagged: u64,
}

impl Tally {
    /// For a tag set.
    pub fn new(tags: &[String]) -> Self {
        Self {
            known: tags.iter().cloned().collect(),
            by_lang: BTreeMap::new(),
            unknown: BTreeSet::new(),
            num_truncated: 0,
            num_untagged: 0,
        }
    }

    /// Counts a sentence that was tagged.
    pub fn add(&mut self, sentence: &Sentence, tags: &[Option<String>]) {
        self.num_truncated += u64::from(sentence.truncated);
        self.num_untagged += tags.iter().filter(|t| t.is_none()).count() as u64;
        let Some(right) = &sentence.record.tags else { return };
        let (words, correct) = self.by_lang.entry(sentence.lang.clone()).or_default();
        *words += right.len() as u64;
        for (tag, right) in tags.iter().zip(right) {
            *correct += u64::from(tag.as_ref() == Some(right));
            if !self.known.contains(right) && self.unknown.len() <= SHOWN {
                self.unknown.insert(right.clone());
            }
        }
    }

    /// One score for each language that has tags, then one for all.
    pub fn scores(&self) -> Vec<TagScore> {
        let of = |(lang, (words, correct)): (&String, &(u64, u64))| {
            TagScore::new(lang.clone(), *words, *correct)
        };
        let mut scores: Vec<TagScore> = self.by_lang.iter().map(of).collect();
        if !scores.is_empty() {
            let sum = |f: fn(&TagScore) -> u64| scores.iter().map(f).sum();
            scores.push(TagScore::new("all", sum(|s| s.words), sum(|s| s.correct)));
        }
        scores
    }

    pub fn warn(&self, context: &Context) {
        let warn = |e: Error| context.report.warning(&e);
        if !self.unknown.is_empty() {
            let listed: Vec<&str> = self.unknown.iter().map(String::as_str).take(SHOWN).collect();
            let more = if self.unknown.len() > SHOWN { ", ..." } else { "" };
            let known: Vec<&str> = self.known.iter().map(String::as_str).take(SHOWN).collect();
            warn(
                Error::data(
                    "the text has tags that the tag head was not trained on: they count as wrong",
                )
                .field("tags")
                .found(format!("{}{more}", listed.join(", ")))
                .expected(format!(
                    "one of {}: {}",
                    self.known.len(),
                    known.join(", ")
                )),
            );
        }
        if self.num_truncated > 0 {
            let n = self.num_truncated;
            warn(Error::data(format!("{n} sentences were cut to the model's length")));
        }
        if self.num_untagged > 0 {
            let n = self.num_untagged;
            warn(Error::data(format!("{n} words have no tag: no piece of them was read")));
        }
    }
}

/// For people.
pub fn table(scores: &[TagScore]) -> String {
    let columns = [
        ("language", Align::Left),
        ("accuracy", Align::Right),
        ("words", Align::Right),
        ("correct", Align::Right),
    ];
    let mut table = Table::new(columns);
    for s in scores {
        let accuracy = format!("{:.2} %", s.accuracy);
        table.row([s.lang.clone(), accuracy, s.words.to_string(), s.correct.to_string()]);
    }
    table.render(TableFormat::Text)
}
