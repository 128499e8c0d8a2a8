//! Tagged text: JSON Lines records of tokens, each with its tag (such as its part of speech).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::parallel::{kind_of, text_field};
use crate::error::{Error, Result};
use crate::io::{Input, LineReader};

/// One sentence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaggedRecord {
    pub lang: Option<String>,
    /// At least one, none of them blank.
    pub tokens: Vec<String>,
    /// As many as tokens, none of them empty; none where the text is yet to be tagged.
    pub tags: Option<Vec<String>>,
    /// The whole object as it was read, for carrying fields through.
    pub raw: Map<String, Value>,
    /// Where it stood; one-based.
    pub line: u64,
}

/// Reads records one by one; memory does not grow with the input.
pub struct TaggedReader {
    lines: LineReader,
    path: PathBuf,
    /// Language of records that name none.
    lang: Option<String>,
}

impl TaggedReader {
    pub fn open(input: &Input, lang: Option<String>) -> Result<Self> {
        let lines = input.open()?;
        Ok(Self { path: lines.name().to_path_buf(), lines, lang })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next record; `None` at the end. Objects with a `type` and without `tokens` are records
    /// of another kind and passed over.
    ///
    /// # Errors
    /// Data: not an object, no or empty tokens, other than one tag for a token; file, line and
    /// field are named.
    pub fn next_record(&mut self) -> Result<Option<TaggedRecord>> {
        while let Some(line) = self.lines.next_line()? {
            let place = |e: Error| e.at(&self.path).line(line.number);
            let value: Value = serde_json::from_str(&line.text).map_err(|e| {
                place(Error::data("not a JSON object").cause(e.to_string()).hint(
                    "each line must be one object such as \
                     {\"lang\": \"en\", \"tokens\": [\"It\", \"rains\"], \"tags\": [\"PRON\", \"VERB\"]}",
                ))
            })?;
            let Value::Object(map) = value else {
                return Err(place(
                    Error::data("not a JSON object").expected("one object per line"),
                ));
            };
            if !map.contains_key("tokens") && map.get("type").is_some_and(Value::is_string) {
                continue;
            }
            let mut record = from_map(map).map_err(place)?;
            record.line = line.number;
            if record.lang.is_none() {
                record.lang = self.lang.clone();
            }
            return Ok(Some(record));
        }
        Ok(None)
    }
}

impl Iterator for TaggedReader {
    type Item = Result<TaggedRecord>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

fn from_map(map: Map<String, Value>) -> Result<TaggedRecord> {
    let tokens = text_list(&map, "tokens")?.ok_or_else(|| {
        Error::data("record has no `tokens`")
            .field("tokens")
            .hint("a tagged sentence has lang, tokens and tags")
    })?;
    if tokens.is_empty() {
        return Err(Error::data("sentence has no tokens").field("tokens"));
    }
    if let Some(i) = tokens.iter().position(|t| t.trim().is_empty()) {
        return Err(Error::data(format!("token {} is empty", i + 1)).field("tokens"));
    }
    let tags = text_list(&map, "tags")?;
    if let Some(tags) = &tags {
        if tags.len() != tokens.len() {
            return Err(Error::data("not one tag for each token")
                .field("tags")
                .found(format!("{} tags", tags.len()))
                .expected(format!("{}, as many as tokens", tokens.len())));
        }
        if let Some(i) = tags.iter().position(|t| t.trim().is_empty()) {
            return Err(Error::data(format!("tag {} is empty", i + 1)).field("tags"));
        }
    }
    Ok(TaggedRecord { lang: text_field(&map, "lang")?, tokens, tags, raw: map, line: 0 })
}

/// A list of strings.
fn text_list(map: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>> {
    let list = match map.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(other) => {
            return Err(Error::data(format!("field `{name}` is not a list"))
                .field(name)
                .found(kind_of(other))
                .expected("a list of strings"));
        }
    };
    let text = |v: &Value| match v {
        Value::String(s) => Ok(s.clone()),
        other => Err(Error::data(format!("field `{name}` holds something other than text"))
            .field(name)
            .found(kind_of(other))
            .expected("strings")),
    };
    list.iter().map(text).collect::<Result<Vec<_>>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<TaggedRecord>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        std::fs::write(&path, text).unwrap();
        TaggedReader::open(&Input::Path(path), Some("xx".into()))?.collect()
    }

    #[test]
    fn tokens_with_and_without_tags() {
        let records = read(concat!(
            r#"{"lang":"en","tokens":["It","rains"],"tags":["PRON","VERB"],"id":7}"#,
            "\n",
            r#"{"type":"summary","n":1}"#,
            "\n",
            r#"{"tokens":["a b"]}"#,
            "\n",
        ))
        .unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].tokens, ["It", "rains"]);
        assert_eq!(records[0].tags.as_deref().unwrap(), ["PRON", "VERB"]);
        assert_eq!((records[0].raw["id"].as_i64(), records[0].line), (Some(7), 1));
        assert_eq!((records[1].lang.as_deref(), records[1].line), (Some("xx"), 3));
        assert_eq!((&*records[1].tokens, &records[1].tags), (&["a b".to_string()][..], &None));
    }

    #[test]
    fn faults_name_line_and_field() {
        for (record, field, says) in [
            ("{\"tokens\":[],\"tags\":[]}", "tokens", "no tokens"),
            ("{\"tokens\":[\"a\",\" \"],\"tags\":[\"X\",\"X\"]}", "tokens", "token 2 is empty"),
            ("{\"tokens\":[\"a\"],\"tags\":[]}", "tags", "not one tag"),
            ("{\"tokens\":[\"a\"],\"tags\":[\"X\",\"Y\"]}", "tags", "found: 2 tags"),
            ("{\"tokens\":[\"a\"],\"tags\":[\"\"]}", "tags", "tag 1 is empty"),
            ("{\"tokens\":[3]}", "tokens", "a number"),
            ("{\"tokens\":\"a b\"}", "tokens", "not a list"),
            ("{\"lang\":\"en\"}", "tokens", "no `tokens`"),
            ("{\"lang\":1,\"tokens\":[\"a\"]}", "lang", "not text"),
        ] {
            let e = read(&format!("{{\"tokens\":[\"a\"]}}\n{record}\n")).unwrap_err();
            assert_eq!((e.exit_code() as i32, e.place().line), (3, Some(2)), "{record}");
            assert_eq!(e.place().field.as_deref(), Some(field), "{record}");
            assert!(e.to_string().contains(says), "{e}");
        }
        let e = read("[1]\n").unwrap_err();
        assert_eq!((e.exit_code() as i32, e.place().line), (3, Some(1)));
        assert!(read("{\n").unwrap_err().to_string().contains("x.jsonl:1"));
    }
}
