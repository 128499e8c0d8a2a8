//! `--shortlist`: search among the tokens of the target language.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::formats::provenance::{hex, short};
use crate::model::Checkpoint;
use crate::records::read_vocabularies;
use crate::text::TextTokenizer;

#[derive(Clone, Debug, clap::Args)]
pub struct ShortlistArgs {
    /// Choose from the target language's tokens only, as counted by `tokenize --vocabulary`: faster,
    /// as most of a large vocabulary belongs to other languages. Probabilities are among these
    /// tokens
    #[arg(long, value_name = "FILE", conflicts_with = "score_given", help_heading = "Decoding")]
    pub shortlist: Option<PathBuf>,
    /// Its most frequent tokens alone
    #[arg(long, value_name = "N", requires = "shortlist", help_heading = "Decoding")]
    pub shortlist_size: Option<usize>,
}

/// The tokens of each target language.
pub struct Shortlists {
    pub path: PathBuf,
    /// For signatures: `tokens@1a2b3c4d5e6f`, then `@8000` where only as many are used.
    pub signature: String,
    /// By the mark of the language: ascending.
    ids: BTreeMap<u32, Vec<u32>>,
}

impl ShortlistArgs {
    /// # Errors
    /// Usage: a size of zero. Data: a file that is not there, broken or of another model, a language
    /// that the model lacks or that stands there twice.
    pub fn load(
        &self,
        checkpoint: &Checkpoint,
        tokenizer: &TextTokenizer,
    ) -> Result<Option<Shortlists>> {
        let Some(path) = &self.shortlist else { return Ok(None) };
        if self.shortlist_size == Some(0) {
            return Err(Error::usage("value is out of range")
                .flag("--shortlist-size")
                .expected("at least 1"));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::data("cannot read the shortlist").at(path).cause(e.to_string()))?;
        let mut ids = BTreeMap::new();
        for (line, vocabulary) in read_vocabularies(path, &text, checkpoint.config.vocab_size)? {
            let place = |e: Error| e.at(path).line(line).field("lang");
            let mark = tokenizer.languages().id_of(&vocabulary.lang).map_err(place)?;
            let mut own = vocabulary.ids;
            own.truncate(self.shortlist_size.unwrap_or(usize::MAX));
            // A translation must be able to end.
            own.push(tokenizer.eos_id());
            own.sort_unstable();
            own.dedup();
            if ids.insert(mark, own).is_some() {
                let e = Error::data("a language stands there twice").found(vocabulary.lang);
                return Err(place(e));
            }
        }
        let stem = path.file_stem().map_or("-".into(), |n| n.to_string_lossy());
        let size = self.shortlist_size.map_or(String::new(), |n| format!("@{n}"));
        let signature = format!("{stem}@{}{size}", short(&hex(&Sha256::digest(&text))));
        Ok(Some(Shortlists { path: path.clone(), signature, ids }))
    }
}

impl Shortlists {
    /// The tokens of a language with this mark, ascending.
    ///
    /// # Errors
    /// Data: the file has no such language.
    pub fn ids(&self, mark: u32, lang: &str) -> Result<&[u32]> {
        let ids = self.ids.get(&mark).ok_or_else(|| {
            Error::data(format!("no shortlist of `{lang}`"))
                .at(&self.path)
                .expected("a `vocabulary` record of every target language")
                .hint("count its text, too, with `isogloss tokenize --vocabulary`")
        })?;
        Ok(ids)
    }
}
