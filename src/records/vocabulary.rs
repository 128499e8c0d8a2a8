//! Records of `tokenize --vocabulary`: the tokens of each language.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// Which tokens the texts of one language have, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "vocabulary")]
pub struct Vocabulary {
    pub lang: String,
    /// Of the model that the tokens belong to.
    pub vocab_size: usize,
    pub num_texts: u64,
    /// The most frequent first; of equally frequent ones the lower id.
    pub ids: Vec<u32>,
    /// One for each id.
    pub counts: Vec<u64>,
}

impl Vocabulary {
    /// From how often each token of a vocabulary occurs.
    pub fn new(lang: String, num_texts: u64, counts: &[u64]) -> Self {
        let mut ids: Vec<u32> =
            (0..counts.len() as u32).filter(|&id| counts[id as usize] > 0).collect();
        ids.sort_by_key(|&id| (std::cmp::Reverse(counts[id as usize]), id));
        let found = ids.iter().map(|&id| counts[id as usize]).collect();
        Self { lang, vocab_size: counts.len(), num_texts, ids, counts: found }
    }

    fn check(&self, vocab_size: usize) -> Result<()> {
        if self.vocab_size != vocab_size {
            return Err(Error::data("tokens of another model")
                .field("vocab_size")
                .found(self.vocab_size.to_string())
                .expected(vocab_size.to_string())
                .hint("make the file with `isogloss tokenize --vocabulary` and this model"));
        }
        if let Some(id) = self.ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(Error::data("token id is not in the vocabulary")
                .field("ids")
                .found(id.to_string())
                .expected(format!("below {vocab_size}")));
        }
        if self.counts.len() != self.ids.len() {
            return Err(Error::data("not one count for each token")
                .field("counts")
                .found(self.counts.len().to_string())
                .expected(self.ids.len().to_string()));
        }
        Ok(())
    }
}

/// The `vocabulary` records of a file, with their lines; other records are passed over.
///
/// # Errors
/// Data: a line that is not JSON, a record that does not fit the model, no record at all.
pub fn read_vocabularies(
    path: &Path,
    text: &str,
    vocab_size: usize,
) -> Result<Vec<(u64, Vocabulary)>> {
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let number = i as u64 + 1;
        let place = |e: Error| e.at(path).line(number);
        let value: Value = serde_json::from_str(line)
            .map_err(|e| place(Error::data("not a JSON object").cause(e.to_string())))?;
        if value["type"] != "vocabulary" {
            continue;
        }
        let record: Vocabulary = serde_json::from_value(value)
            .map_err(|e| place(Error::data("not a `vocabulary` record").cause(e.to_string())))?;
        record.check(vocab_size).map_err(place)?;
        found.push((number, record));
    }
    if found.is_empty() {
        return Err(Error::data("no vocabulary in the file")
            .at(path)
            .expected("records of type `vocabulary`")
            .hint("make it with `isogloss tokenize --vocabulary -m MODEL corpus.jsonl`"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_tokens_come_first() {
        let v = Vocabulary::new("de".into(), 2, &[0, 3, 5, 0, 3]);
        assert_eq!((v.ids.as_slice(), v.counts.as_slice()), (&[2, 1, 4][..], &[5, 3, 3][..]));
        let text = format!("{{\"type\":\"header\"}}\n\n{}\n", serde_json::to_string(&v).unwrap());
        assert_eq!(read_vocabularies(Path::new("v"), &text, 5).unwrap(), [(3, v)]);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_line() {
        let record = |ids: &str, counts: &str, size: usize| {
            format!(
                "{{\"type\":\"vocabulary\",\"lang\":\"de\",\"vocab_size\":{size},\"num_texts\":1,\
                 \"ids\":{ids},\"counts\":{counts}}}"
            )
        };
        let good = record("[1]", "[1]", 5);
        for (bad, part) in [
            (record("[1]", "[1]", 6), "another model"),
            (record("[5]", "[1]", 5), "below 5"),
            (record("[1,2]", "[1]", 5), "one count"),
            ("{".to_string(), "not a JSON object"),
            ("{\"type\":\"vocabulary\"}".to_string(), "not a `vocabulary` record"),
        ] {
            let text = format!("{good}\n{bad}\n");
            let e = read_vocabularies(Path::new("v.jsonl"), &text, 5).unwrap_err().to_string();
            assert!(e.contains(part) && e.contains("v.jsonl:2"), "{e}");
        }
        let e = read_vocabularies(Path::new("v.jsonl"), "{\"type\":\"x\"}", 5).unwrap_err();
        assert!(e.to_string().contains("no vocabulary"), "{e}");
    }
}
