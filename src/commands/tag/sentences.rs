//! Records of tokens as the model reads them, a window at a time.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::io::Input;
use crate::model::ModelConfig;
use crate::records::{TaggedReader, TaggedRecord};
use crate::text::{EncodedWords, TextTokenizer};

/// A sentence ready to be tagged.
pub struct Sentence {
    pub lang: String,
    pub record: TaggedRecord,
    pub encoded: EncodedWords,
    /// Words at the end are not in `encoded`.
    pub truncated: bool,
}

/// The records of all inputs, one input after another.
pub struct Sentences<'a> {
    inputs: std::vec::IntoIter<Input>,
    reader: Option<TaggedReader>,
    /// Language of records that name none.
    lang: Option<String>,
    tokenizer: &'a TextTokenizer,
    max_len: usize,
    refuse_long: bool,
}

impl<'a> Sentences<'a> {
    pub fn new(
        inputs: Vec<Input>,
        lang: Option<String>,
        tokenizer: &'a TextTokenizer,
        config: &ModelConfig,
    ) -> Self {
        let max_len = config.max_len();
        let inputs = inputs.into_iter();
        Self { inputs, reader: None, lang, tokenizer, max_len, refuse_long: false }
    }

    /// A sentence that is too long is an error instead of being cut.
    pub fn refusing_long(mut self, refuse: bool) -> Self {
        self.refuse_long = refuse;
        self
    }

    /// The next sentences, at most `n`, and what is wrong with the one behind them, if something
    /// is. `prepare` is told the language of each, and may refuse it. None are left when there are
    /// none.
    pub fn window(
        &mut self,
        n: usize,
        mut prepare: impl FnMut(&str) -> Result<()>,
    ) -> (Vec<Sentence>, Option<Error>) {
        let mut window = Vec::new();
        let mut failure = None;
        // No more than there are: the window may be asked to be huge.
        while window.len() < n && failure.is_none() {
            match self.next(&mut prepare) {
                Ok(Some(next)) => window.push(next),
                Ok(None) => break,
                Err(e) => failure = Some(e),
            }
        }
        match self.encoded(window) {
            Ok((sentences, None)) => (sentences, failure),
            Ok((sentences, Some(e))) => (sentences, Some(e)),
            Err(e) => (Vec::new(), Some(e)),
        }
    }

    /// A record, its language and the file it stands in.
    fn next(
        &mut self,
        prepare: &mut impl FnMut(&str) -> Result<()>,
    ) -> Result<Option<(TaggedRecord, String, PathBuf)>> {
        loop {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    let Some(input) = self.inputs.next() else { return Ok(None) };
                    self.reader.insert(TaggedReader::open(&input, self.lang.clone())?)
                }
            };
            let Some(record) = reader.next_record()? else {
                self.reader = None;
                continue;
            };
            let path = reader.path().to_path_buf();
            let place = |e: Error| e.at(&path).line(record.line);
            let lang = record.lang.clone().ok_or_else(|| {
                place(Error::data("record has no `lang`").field("lang"))
                    .hint("give it for all records with `--lang`")
            })?;
            self.tokenizer.languages().id_of(&lang).map_err(|e| place(e.field("lang")))?;
            prepare(&lang).map_err(place)?;
            return Ok(Some((record, lang, path)));
        }
    }

    /// All that come before one that is too long, where that is an error.
    fn encoded(
        &self,
        window: Vec<(TaggedRecord, String, PathBuf)>,
    ) -> Result<(Vec<Sentence>, Option<Error>)> {
        let items: Vec<(&str, &[String])> =
            window.iter().map(|(record, lang, _)| (&**lang, &*record.tokens)).collect();
        let encoded = self.tokenizer.encode_words_batch(&items)?;
        let mut sentences = Vec::with_capacity(window.len());
        for ((record, lang, path), mut encoded) in window.into_iter().zip(encoded) {
            let truncated = encoded.ids.len() > self.max_len;
            if truncated && self.refuse_long {
                let e = Error::data("sentence is too long")
                    .at(path)
                    .line(record.line)
                    .field("tokens")
                    .found(format!("{} tokens with its marks", encoded.ids.len()))
                    .expected(format!("at most {}", self.max_len))
                    .hint("`--on-long cut` tags the beginning");
                return Ok((sentences, Some(e)));
            }
            encoded.cut(self.max_len);
            sentences.push(Sentence { lang, record, encoded, truncated });
        }
        Ok((sentences, None))
    }
}
