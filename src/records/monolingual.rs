//! Text of one language: `{"lang", "text"}` records, plain lines, or parallel records, of which
//! both sides are taken.

use super::parallel::{InputFormat, ParallelReader, ParallelRecord, ReadOptions, text_field};
use crate::error::{Error, Result};
use crate::io::Input;

/// One text with its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonolingualRecord {
    pub lang: String,
    pub text: String,
    /// The field the language stood in, for errors.
    pub lang_field: &'static str,
    /// One-based; the two texts of a pair have the same.
    pub line: u64,
}

/// Reads texts one by one; memory does not grow with the input.
pub struct MonolingualReader {
    pairs: ParallelReader,
    /// Language of a text that names none; never of a pair.
    lang: Option<String>,
    /// The other side of the last pair.
    pending: Option<MonolingualRecord>,
}

impl MonolingualReader {
    /// Format by extension and content when none is given.
    pub fn open(input: &Input, format: Option<InputFormat>, lang: Option<String>) -> Result<Self> {
        let options = ReadOptions { format, ..ReadOptions::default() };
        Ok(Self { pairs: ParallelReader::open(input, options)?, lang, pending: None })
    }

    /// The next text; `None` at the end.
    ///
    /// # Errors
    /// Data: not a record, a record without text or language; file, line and field are named.
    pub fn next_record(&mut self) -> Result<Option<MonolingualRecord>> {
        if let Some(record) = self.pending.take() {
            return Ok(Some(record));
        }
        let Some(record) = self.pairs.next_record()? else { return Ok(None) };
        let line = record.line;
        let (first, second) = self.split(record).map_err(|e| e.at(self.pairs.path()).line(line))?;
        self.pending = second;
        Ok(Some(first))
    }

    fn split(&self, r: ParallelRecord) -> Result<(MonolingualRecord, Option<MonolingualRecord>)> {
        let one = |lang: Option<String>, text, lang_field, line| match lang {
            Some(lang) => Ok(MonolingualRecord { lang, text, lang_field, line }),
            None => Err(missing(lang_field)),
        };
        let line = r.line;
        match (r.src, r.refs.into_iter().next()) {
            (Some(src), Some(tgt)) => Ok((
                one(r.src_lang, src, "src_lang", line)?,
                Some(one(r.tgt_lang, tgt, "tgt_lang", line)?),
            )),
            (Some(text), None) => {
                let own = text_field(&r.raw, "lang")?;
                let field = if own.is_none() && r.src_lang.is_some() { "src_lang" } else { "lang" };
                let lang = own.or(r.src_lang).or_else(|| self.lang.clone());
                Ok((one(lang, text, field, line)?, None))
            }
            (None, Some(text)) => {
                let lang = r.tgt_lang.or_else(|| self.lang.clone());
                Ok((one(lang, text, "tgt_lang", line)?, None))
            }
            (None, None) => Err(missing("text")),
        }
    }
}

fn missing(field: &str) -> Error {
    Error::data(format!("record has no `{field}`")).field(field).hint(
        "a text has `lang` and `text`, a pair src_lang, tgt_lang, src and tgt; \
         plain lines need a language",
    )
}

impl Iterator for MonolingualReader {
    type Item = Result<MonolingualRecord>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str, lang: Option<&str>) -> Result<Vec<(String, String, u64)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        MonolingualReader::open(&Input::Path(path), None, lang.map(str::to_string))?
            .map(|r| r.map(|r| (r.lang, r.text, r.line)))
            .collect()
    }

    fn of(list: &[(&str, &str, u64)]) -> Vec<(String, String, u64)> {
        list.iter().map(|(l, t, n)| (l.to_string(), t.to_string(), *n)).collect()
    }

    #[test]
    fn texts_pairs_and_lines() {
        let records = concat!(
            r#"{"lang":"fi","text":"a"}"#,
            "\n",
            r#"{"src_lang":"en","tgt_lang":"de","src":"b","tgt":"c"}"#,
            "\n",
            r#"{"type":"header"}"#,
            "\n",
            r#"{"text":"d"}"#,
            "\n",
            r#"{"translation":{"uk":"e","ru":"f"}}"#,
            "\n",
        );
        assert_eq!(
            read("x.jsonl", records, Some("sv")).unwrap(),
            of(&[
                ("fi", "a", 1),
                ("en", "b", 2),
                ("de", "c", 2),
                ("sv", "d", 4),
                ("uk", "e", 5),
                ("ru", "f", 5)
            ])
        );
        assert_eq!(
            read("x.txt", "a\n\nb\n", Some("nl")).unwrap(),
            of(&[("nl", "a", 1), ("nl", "", 2), ("nl", "b", 3)])
        );
        assert_eq!(read("x.tsv", "lang\ttext\nfi\ta\n", None).unwrap(), of(&[("fi", "a", 2)]));
    }

    #[test]
    fn faults_name_line_and_field() {
        for (name, text, lang, line, field) in [
            ("x.txt", "a\n", None, 1, "lang"),
            ("x.jsonl", "{\"lang\":\"fi\",\"text\":\"a\"}\n{\"text\":\"a\"}\n", None, 2, "lang"),
            ("x.jsonl", "{\"lang\":3,\"text\":\"a\"}\n", None, 1, "lang"),
            ("x.jsonl", "{\"lang\":\"fi\"}\n", None, 1, "text"),
            // A given language is not that of both sides of a pair.
            (
                "x.jsonl",
                "{\"src\":\"a\",\"tgt\":\"b\",\"tgt_lang\":\"fi\"}\n",
                Some("sv"),
                1,
                "src_lang",
            ),
            (
                "x.jsonl",
                "{\"src\":\"a\",\"tgt\":\"b\",\"src_lang\":\"fi\"}\n",
                Some("sv"),
                1,
                "tgt_lang",
            ),
        ] {
            let e = read(name, text, lang).unwrap_err();
            assert_eq!(e.exit_code() as i32, 3, "{text}");
            assert_eq!(
                (e.place().line, e.place().field.as_deref()),
                (Some(line), Some(field)),
                "{text}"
            );
        }
    }
}
