//! Parallel text: JSON Lines records, TSV with a header line, plain lines. Unknown fields are
//! kept in their order and carried through.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::io::{Input, LineReader};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum InputFormat {
    /// One JSON object per line.
    Jsonl,
    /// Tab-separated with a header line naming the fields.
    Tsv,
    /// One source sentence per line; languages by flags.
    Text,
}

impl InputFormat {
    /// By extension, else by the first non-blank character: `{` begins JSON Lines.
    pub fn detect(path: Option<&Path>, first_line: &str) -> Self {
        match path.and_then(|p| p.extension()).and_then(|e| e.to_str()) {
            Some("jsonl" | "ndjson" | "json") => Self::Jsonl,
            Some("tsv") => Self::Tsv,
            Some("txt") => Self::Text,
            _ if first_line.trim_start().starts_with('{') => Self::Jsonl,
            _ => Self::Text,
        }
    }
}

/// One record of parallel text. What a field is called on disk is in style/cli.md, section 8.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParallelRecord {
    /// As given; records without one are named by their zero-based position.
    pub id: Option<String>,
    pub src_lang: Option<String>,
    pub tgt_lang: Option<String>,
    pub src: Option<String>,
    /// The references: `tgt`, `ref` or `refs`. The first is the training target.
    pub refs: Vec<String>,
    pub weight: Option<f64>,
    pub group: Option<String>,
    /// A hypothesis (`hyp`, `mt`, `translation`), for scoring.
    pub hyp: Option<String>,
    /// The whole object as it was read, for carrying fields through.
    pub raw: Map<String, Value>,
    /// Where it stood; one-based.
    pub line: u64,
}

#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    pub format: Option<InputFormat>,
    /// Languages of records that name none.
    pub src_lang: Option<String>,
    pub tgt_lang: Option<String>,
}

/// Reads records one by one; memory does not grow with the input.
pub struct ParallelReader {
    lines: LineReader,
    path: PathBuf,
    format: InputFormat,
    options: ReadOptions,
    header: Vec<String>,
    /// The first line, read ahead to see the format; a fault in it is met when it is asked for.
    pending: Option<Result<crate::io::Line>>,
    count: u64,
}

impl ParallelReader {
    pub fn open(input: &Input, options: ReadOptions) -> Result<Self> {
        let mut lines = input.open()?;
        let first = lines.next_line().transpose();
        let format = options.format.unwrap_or_else(|| {
            let text = first.as_ref().and_then(|l| l.as_ref().ok()).map_or("", |l| l.text.as_str());
            InputFormat::detect(input.path(), text)
        });
        let mut this = Self {
            path: lines.name().to_path_buf(),
            lines,
            format,
            options,
            header: Vec::new(),
            pending: first,
            count: 0,
        };
        if format == InputFormat::Tsv {
            let Some(line) = this.pending.take().transpose()? else {
                return Err(Error::data("TSV file has no header line").at(&this.path));
            };
            this.header = line.text.split('\t').map(str::to_string).collect();
            let known = ["src", "text", "tgt", "ref", "hyp"];
            if !this.header.iter().any(|h| known.contains(&h.as_str())) {
                return Err(Error::data("TSV header names no text column")
                    .at(&this.path)
                    .line(1)
                    .found(this.header.join(", "))
                    .expected("columns such as src_lang, tgt_lang, src, tgt"));
            }
        }
        Ok(this)
    }

    pub fn format(&self) -> InputFormat {
        self.format
    }
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next record, in any format; `None` at the end.
    pub fn next_record(&mut self) -> Result<Option<ParallelRecord>> {
        loop {
            match self.next_line()? {
                None => return Ok(None),
                Some(Some(record)) => return Ok(Some(record)),
                Some(None) => {}
            }
        }
    }

    /// The next line: a record, or something else that is passed over.
    fn next_line(&mut self) -> Result<Option<Option<ParallelRecord>>> {
        let line = match self.pending.take() {
            Some(l) => l?,
            None => match self.lines.next_line()? {
                Some(l) => l,
                None => return Ok(None),
            },
        };
        let place = |e: Error| e.at(&self.path).line(line.number);
        let defaults = [self.options.src_lang.as_deref(), self.options.tgt_lang.as_deref()];
        let mut record = match self.format {
            InputFormat::Text => {
                ParallelRecord { src: Some(line.text.clone()), ..Default::default() }
            }
            InputFormat::Tsv => {
                let cells: Vec<&str> = line.text.split('\t').collect();
                if cells.len() != self.header.len() {
                    return Err(place(
                        Error::data("wrong number of columns")
                            .found(cells.len().to_string())
                            .expected(self.header.len().to_string()),
                    ));
                }
                let map = self
                    .header
                    .iter()
                    .zip(cells)
                    .map(|(h, c)| (h.clone(), Value::from(c)))
                    .collect();
                from_map_in(map, defaults).map_err(place)?
            }
            InputFormat::Jsonl => {
                let value: Value = serde_json::from_str(&line.text).map_err(|e| {
                    place(Error::data("not a JSON object").cause(e.to_string()).hint(
                        "each line must be one object; `--input-format text` reads plain lines",
                    ))
                })?;
                let Value::Object(map) = value else {
                    return Err(place(
                        Error::data("not a JSON object").expected("one object per line"),
                    ));
                };
                // A header, a summary or another kind of record, as our commands write them
                // around translations.
                let has_text = ["src", "text", "tgt"].iter().any(|f| map.contains_key(*f));
                if !has_text && map.get("type").is_some_and(Value::is_string) {
                    return Ok(Some(None));
                }
                from_map_in(map, defaults).map_err(place)?
            }
        };
        record.line = line.number;
        if record.src_lang.is_none() {
            record.src_lang = self.options.src_lang.clone();
        }
        if record.tgt_lang.is_none() {
            record.tgt_lang = self.options.tgt_lang.clone();
        }
        self.count += 1;
        Ok(Some(Some(record)))
    }
}

impl Iterator for ParallelReader {
    type Item = Result<ParallelRecord>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

pub(super) fn text_field(map: &Map<String, Value>, name: &str) -> Result<Option<String>> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.clone())),
        Some(other) => Err(Error::data(format!("field `{name}` is not text"))
            .field(name)
            .found(kind_of(other))
            .expected("a string")),
    }
}

pub(super) fn kind_of(v: &Value) -> &'static str {
    match v {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A record from a parsed object.
pub fn from_map(map: Map<String, Value>) -> Result<ParallelRecord> {
    from_map_in(map, [None; 2])
}

/// The same where `defaults`, source and target, are the languages of records that name none: they
/// say which side of a `translation` object is which.
fn from_map_in(map: Map<String, Value>, defaults: [Option<&str>; 2]) -> Result<ParallelRecord> {
    let mut r = ParallelRecord {
        id: match map.get("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(s)) => Some(s.clone()),
            Some(Value::Number(n)) => Some(n.to_string()),
            Some(other) => {
                return Err(Error::data("field `id` is neither text nor number")
                    .field("id")
                    .found(kind_of(other)));
            }
        },
        src_lang: text_field(&map, "src_lang")?,
        tgt_lang: text_field(&map, "tgt_lang")?,
        src: match text_field(&map, "src")? {
            Some(s) => Some(s),
            None => text_field(&map, "text")?,
        },
        group: text_field(&map, "group")?,
        weight: match map.get("weight") {
            None | Some(Value::Null) => None,
            Some(v) => match v.as_f64().or_else(|| v.as_str().and_then(|s| s.parse().ok())) {
                Some(w) if w.is_finite() && w >= 0.0 => Some(w),
                _ => {
                    return Err(Error::data("field `weight` is not a number of at least 0")
                        .field("weight")
                        .found(v.to_string()));
                }
            },
        },
        ..Default::default()
    };
    match map.get("refs") {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for v in list {
                let Value::String(s) = v else {
                    return Err(Error::data("field `refs` holds something other than text")
                        .field("refs")
                        .found(kind_of(v)));
                };
                r.refs.push(s.clone());
            }
        }
        Some(Value::String(s)) => r.refs.push(s.clone()),
        Some(other) => {
            return Err(Error::data("field `refs` is not a list")
                .field("refs")
                .found(kind_of(other)));
        }
    }
    if r.refs.is_empty() {
        for name in ["tgt", "ref"] {
            if let Some(s) = text_field(&map, name)? {
                r.refs.push(s);
                break;
            }
        }
    }
    // Hugging Face `translation` objects hold both sides by language.
    match map.get("translation") {
        Some(Value::Object(t)) => {
            let names: Vec<&str> = t.keys().map(String::as_str).collect();
            match sides(&names, [r.src_lang.as_deref(), r.tgt_lang.as_deref()], defaults) {
                Ok(places) => {
                    let [src_lang, tgt_lang] = places.map(|i| names[i].to_string());
                    r.src = r.src.or(text_field(t, &src_lang)?);
                    if r.refs.is_empty() {
                        r.refs.extend(text_field(t, &tgt_lang)?);
                    }
                    r.src_lang = Some(src_lang);
                    r.tgt_lang = Some(tgt_lang);
                }
                Err(e) if r.src.is_none() => return Err(e),
                // Of other languages than the record's own text.
                Err(_) => {}
            }
        }
        _ => r.hyp = text_field(&map, "translation")?,
    }
    for name in ["mt", "hyp"] {
        if let Some(s) = text_field(&map, name)? {
            r.hyp = Some(s);
        }
    }
    r.raw = map;
    Ok(r)
}

/// Where source and target stand among `names`, the languages of a `translation` object: as the
/// record's `own` fields say, else as `defaults`, else in their order. Whoever says a language means
/// it, so that one without a text is an error and never another one.
pub(super) fn sides(
    names: &[&str],
    own: [Option<&str>; 2],
    defaults: [Option<&str>; 2],
) -> Result<[usize; 2]> {
    let found = || names.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ");
    let side = |i: usize, field: &'static str, flag: &'static str| -> Result<Option<usize>> {
        let said = own[i].map(|lang| (lang, field)).or(defaults[i].map(|lang| (lang, flag)));
        let Some((lang, said_by)) = said else { return Ok(None) };
        let at = names.iter().position(|l| *l == lang).ok_or_else(|| {
            Error::data(format!("`translation` has no text in `{lang}`"))
                .field("translation")
                .found(found())
                .expected(format!("`{lang}`, as `{said_by}` says"))
                .suggest(lang, names.iter().copied())
                .hint("languages are named as they are in the object")
        })?;
        Ok(Some(at))
    };
    let src = side(0, "src_lang", "--src-lang")?;
    let tgt = side(1, "tgt_lang", "--tgt-lang")?;
    let other = |than: usize| names.iter().position(|l| *l != names[than]);
    let places = match (src, tgt, names.len()) {
        (Some(src), Some(tgt), _) => Some([src, tgt]),
        (Some(src), None, 2) => other(src).map(|tgt| [src, tgt]),
        (None, Some(tgt), 2) => other(tgt).map(|src| [src, tgt]),
        (None, None, 2) => other(0).map(|tgt| [0, tgt]),
        _ => None,
    };
    places.ok_or_else(|| {
        Error::data("`translation` must hold two languages")
            .field("translation")
            .found(found())
            .hint("`--src-lang` and `--tgt-lang` choose among more")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(s: &str) -> Result<ParallelRecord> {
        match serde_json::from_str(s).unwrap() {
            Value::Object(m) => from_map(m),
            _ => panic!(),
        }
    }

    /// An object names no direction: flags do, and only without them its order.
    #[test]
    fn sides_of_a_translation_object() {
        let read = |text: &str, defaults: [Option<&str>; 2]| match serde_json::from_str(text) {
            Ok(Value::Object(m)) => from_map_in(m, defaults).map(|r| {
                let text = |t: &Option<String>| t.clone().unwrap_or_default();
                [text(&r.src_lang), text(&r.tgt_lang), text(&r.src), r.refs.join("|")].join(" ")
            }),
            _ => panic!(),
        };
        let two = r#"{"translation":{"de":"H","en":"h"}}"#;
        for (defaults, want) in [
            ([None, None], "de en H h"),
            ([Some("en"), Some("de")], "en de h H"),
            ([Some("en"), None], "en de h H"),
            ([None, Some("de")], "en de h H"),
            ([Some("de"), None], "de en H h"),
        ] {
            assert_eq!(read(two, defaults).unwrap(), want, "{defaults:?}");
        }
        let own = r#"{"tgt_lang":"en","translation":{"de":"H","en":"h"}}"#;
        assert_eq!(read(own, [None, Some("de")]).unwrap(), "de en H h");
        let three = r#"{"translation":{"de":"H","en":"h","fr":"S"}}"#;
        assert_eq!(read(three, [Some("fr"), Some("de")]).unwrap(), "fr de S H");
        assert!(read(three, [Some("fr"), None]).unwrap_err().to_string().contains("two languages"));
        let e = read(two, [Some("fr"), Some("de")]).unwrap_err().to_string();
        assert!(e.contains("no text in `fr`") && e.contains("`de`, `en`"), "{e}");
        assert!(e.contains("`--src-lang`"), "{e}");
        let own = r#"{"tgt_lang":"fr","translation":{"de":"H","en":"h"}}"#;
        let e = read(own, [None; 2]).unwrap_err().to_string();
        assert!(e.contains("no text in `fr`") && e.contains("as `tgt_lang` says"), "{e}");
        // A text of its own needs none of the object.
        let texts = r#""src":"a","tgt":"b","translation":{"de":"H","en":"h"}}"#;
        let both = format!(r#"{{"src_lang":"fr","tgt_lang":"is",{texts}"#);
        assert_eq!(read(&both, [None; 2]).unwrap(), "fr is a b");
        assert_eq!(read(&format!("{{{texts}"), [Some("fr"), None]).unwrap(), "  a b");
        assert_eq!(read(&both.replace(r#""tgt":"b","#, ""), [None; 2]).unwrap(), "fr is a ");
        assert!(read(&both.replace(r#""src":"a","#, ""), [None; 2]).is_err());
    }

    #[test]
    fn fields_and_aliases() {
        let r = parse(r#"{"id":7,"src_lang":"en","tgt_lang":"de","text":"a","tgt":"b","x":[1]}"#)
            .unwrap();
        assert_eq!((r.id.as_deref(), r.src.as_deref()), (Some("7"), Some("a")));
        assert_eq!(r.refs, ["b"]);
        assert_eq!(r.raw["x"], serde_json::json!([1]));
        let r = parse(r#"{"translation":{"en":"a","de":"b"}}"#).unwrap();
        assert_eq!(r.src_lang.as_deref(), Some("en"));
        assert_eq!(r.refs, ["b"]);
        assert_eq!(parse(r#"{"refs":["a","b"],"mt":"h"}"#).unwrap().hyp.as_deref(), Some("h"));
        assert!(parse(r#"{"src":3}"#).unwrap_err().to_string().contains("field `src`"));
        assert!(parse(r#"{"weight":-1}"#).is_err());
    }
}
