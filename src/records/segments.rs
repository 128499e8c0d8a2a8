//! Segments to score: a hypothesis, its references, and what it is grouped by.
//!
//! [`super::ParallelReader`] keeps whole records, because `translate` passes unknown fields on.
//! `score` reads a few fields of millions of records, so its lines are parsed where they are
//! scored, on all threads, without building what nobody asks for. Names and aliases of the
//! fields are those of parallel text.

mod fields;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::{Input, Line, LineReader};
use fields::{Collector, HYP_NAMES, Parsed, REF_NAMES, Value, parse_json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SegmentFormat {
    /// One JSON object per line.
    Jsonl,
    /// Tab-separated with a header line naming the fields.
    Tsv,
    /// One text per line.
    Text,
    /// What fairseq-generate prints: `H-7<TAB>score<TAB>text`, put into the order of its ids.
    Fairseq,
}

impl SegmentFormat {
    /// By extension, else by the first non-blank character: `{` begins JSON Lines.
    fn detect(path: Option<&Path>, first_line: &str) -> Self {
        match path.and_then(|p| p.extension()).and_then(|e| e.to_str()) {
            Some("jsonl" | "ndjson" | "json") => Self::Jsonl,
            Some("tsv") => Self::Tsv,
            Some("txt") => Self::Text,
            _ if first_line.trim_start().starts_with('{') => Self::Jsonl,
            _ => Self::Text,
        }
    }
}

/// What one line says. Absent fields are none; `fields` follows the names asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment<'a> {
    pub id: Option<Cow<'a, str>>,
    pub src_lang: Option<Cow<'a, str>>,
    pub tgt_lang: Option<Cow<'a, str>>,
    pub hyp: Option<Cow<'a, str>>,
    pub refs: Vec<Cow<'a, str>>,
    pub fields: Vec<Option<Cow<'a, str>>>,
    /// One-based.
    pub line: u64,
}

impl Segment<'_> {
    /// The same segment without a copy of its texts.
    pub fn borrowed(&self) -> Segment<'_> {
        Segment {
            id: self.id.as_deref().map(Cow::Borrowed),
            src_lang: self.src_lang.as_deref().map(Cow::Borrowed),
            tgt_lang: self.tgt_lang.as_deref().map(Cow::Borrowed),
            hyp: self.hyp.as_deref().map(Cow::Borrowed),
            refs: self.refs.iter().map(|r| Cow::Borrowed(&**r)).collect(),
            fields: self.fields.iter().map(|f| f.as_deref().map(Cow::Borrowed)).collect(),
            line: self.line,
        }
    }

    pub fn into_owned(self) -> Segment<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        Segment {
            id: self.id.map(own),
            src_lang: self.src_lang.map(own),
            tgt_lang: self.tgt_lang.map(own),
            hyp: self.hyp.map(own),
            refs: self.refs.into_iter().map(own).collect(),
            fields: self.fields.into_iter().map(|f| f.map(own)).collect(),
            line: self.line,
        }
    }
}

/// Languages of segments that name none, and further fields to read.
#[derive(Clone, Debug, Default)]
pub struct SegmentOptions {
    pub format: Option<SegmentFormat>,
    pub src_lang: Option<String>,
    pub tgt_lang: Option<String>,
    pub fields: Vec<String>,
}

/// Whether a line of text is a hypothesis or a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Hypothesis,
    Reference,
}

/// One line, perhaps not parsed yet: a worker does that.
#[derive(Debug)]
pub enum RawSegment {
    Json(Line),
    Ready(Segment<'static>),
}

/// What a worker needs to parse a [`RawSegment`].
#[derive(Clone, Debug)]
pub struct SegmentParser {
    path: PathBuf,
    options: SegmentOptions,
}

impl SegmentParser {
    /// None for a record of another kind.
    pub fn parse<'a>(&self, raw: &'a RawSegment) -> Result<Option<Segment<'a>>> {
        let mut segment = match raw {
            RawSegment::Ready(segment) => segment.borrowed(),
            RawSegment::Json(line) => {
                match parse_json(line, &self.options.fields, self.languages())
                    .map_err(|e| e.at(&self.path).line(line.number))?
                {
                    Parsed::Segment(segment) => segment,
                    Parsed::Other(_) => return Ok(None),
                }
            }
        };
        for (lang, default) in [
            (&mut segment.src_lang, &self.options.src_lang),
            (&mut segment.tgt_lang, &self.options.tgt_lang),
        ] {
            if lang.is_none() {
                *lang = default.clone().map(Cow::Owned);
            }
        }
        Ok(Some(segment))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Source and target of records that name none.
    fn languages(&self) -> [Option<&str>; 2] {
        [self.options.src_lang.as_deref(), self.options.tgt_lang.as_deref()]
    }
}

/// Reads segments one by one; memory does not grow with the input, except for fairseq's output,
/// which comes in another order.
pub struct SegmentReader {
    lines: LineReader,
    pub format: SegmentFormat,
    side: Side,
    parser: SegmentParser,
    header: Vec<String>,
    pending: Option<Line>,
    /// fairseq's segments, in reverse.
    sorted: Option<Vec<Segment<'static>>>,
    /// The signature of the stream's header record.
    pub signature: Option<String>,
    /// Names of the first record's fields, for hints.
    pub first_names: Vec<String>,
}

impl SegmentReader {
    pub fn open(input: &Input, side: Side, options: SegmentOptions) -> Result<Self> {
        let mut lines = input.open()?;
        let first = lines.next_line()?;
        let format = options.format.unwrap_or_else(|| {
            SegmentFormat::detect(input.path(), first.as_ref().map_or("", |l| l.text.as_str()))
        });
        let path = lines.name().to_path_buf();
        let mut this = Self {
            lines,
            format,
            side,
            parser: SegmentParser { path, options },
            header: Vec::new(),
            pending: first,
            sorted: None,
            signature: None,
            first_names: Vec::new(),
        };
        match format {
            SegmentFormat::Tsv => this.read_header()?,
            SegmentFormat::Jsonl => this.skip_headers()?,
            SegmentFormat::Fairseq => this.read_fairseq()?,
            SegmentFormat::Text => {}
        }
        Ok(this)
    }

    pub fn parser(&self) -> &SegmentParser {
        &self.parser
    }
    pub fn path(&self) -> &Path {
        &self.parser.path
    }

    /// The next line; none at the end.
    pub fn next_raw(&mut self) -> Result<Option<RawSegment>> {
        if let Some(sorted) = &mut self.sorted {
            return Ok(sorted.pop().map(RawSegment::Ready));
        }
        let line = match self.pending.take() {
            Some(line) => line,
            None => match self.lines.next_line()? {
                Some(line) => line,
                None => return Ok(None),
            },
        };
        match self.format {
            SegmentFormat::Jsonl => Ok(Some(RawSegment::Json(line))),
            SegmentFormat::Tsv => self.tsv(&line).map(Some),
            SegmentFormat::Text | SegmentFormat::Fairseq => {
                let text = Cow::Owned(line.text);
                let mut segment = Segment {
                    fields: vec![None; self.parser.options.fields.len()],
                    line: line.number,
                    ..Segment::default()
                };
                match self.side {
                    Side::Hypothesis => segment.hyp = Some(text),
                    Side::Reference => segment.refs.push(text),
                }
                Ok(Some(RawSegment::Ready(segment)))
            }
        }
    }

    /// The next segment, parsed; other kinds of records are passed over.
    pub fn next_segment(&mut self) -> Result<Option<Segment<'static>>> {
        while let Some(raw) = self.next_raw()? {
            if let Some(segment) = self.parser.parse(&raw)? {
                return Ok(Some(segment.into_owned()));
            }
        }
        Ok(None)
    }

    fn tsv(&self, line: &Line) -> Result<RawSegment> {
        let place = |e: Error| e.at(&self.parser.path).line(line.number);
        let wanted = &self.parser.options.fields;
        let cells: Vec<&str> = line.text.split('\t').collect();
        if cells.len() != self.header.len() {
            return Err(place(
                Error::data("wrong number of columns")
                    .found(cells.len().to_string())
                    .expected(self.header.len().to_string()),
            ));
        }
        let mut collector = Collector::new(wanted.len());
        for (name, cell) in self.header.iter().zip(cells) {
            let text = Value::Text(Cow::Owned(cell.to_string()));
            collector.put(name, text, wanted).map_err(place)?;
        }
        let languages = self.parser.languages();
        Ok(RawSegment::Ready(collector.finish(line.number, languages).map_err(place)?))
    }

    fn read_header(&mut self) -> Result<()> {
        let Some(line) = self.pending.take() else {
            return Err(Error::data("TSV file has no header line").at(self.path()));
        };
        self.header = line.text.split('\t').map(str::to_string).collect();
        self.first_names = self.header.clone();
        let names: &[&str] = match self.side {
            Side::Hypothesis => &HYP_NAMES,
            Side::Reference => &REF_NAMES,
        };
        if !self.header.iter().any(|h| names.contains(&h.as_str())) {
            return Err(Error::data("TSV header names no text column")
                .at(self.path())
                .line(1)
                .found(self.header.join(", "))
                .expected(format!("one of {}", names.join(", "))));
        }
        Ok(())
    }

    /// Passes over records before the first segment, keeping the translation's signature.
    fn skip_headers(&mut self) -> Result<()> {
        while let Some(line) = &self.pending {
            let parsed = parse_json(line, &[], self.parser.languages())
                .map_err(|e| e.at(&self.parser.path).line(line.number))?;
            let Parsed::Other(signature) = parsed else { break };
            if let Some(signature) = signature {
                self.signature = Some(signature.into_owned());
            }
            self.pending = self.lines.next_line()?;
        }
        let first = self.pending.as_ref().map(|l| serde_json::from_str(&l.text));
        if let Some(Ok(serde_json::Value::Object(map))) = first {
            self.first_names = map.keys().cloned().collect();
        }
        Ok(())
    }

    /// Collects `S-`, `T-`, `H-` and `D-` lines by id. A detokenized hypothesis (`D-`) is
    /// preferred; of several hypotheses for one id the first, which is the best, is kept.
    fn read_fairseq(&mut self) -> Result<()> {
        #[derive(Default)]
        struct Entry {
            reference: Option<String>,
            hyp: Option<String>,
            detokenized: Option<String>,
            line: u64,
        }
        let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
        while let Some(line) = match self.pending.take() {
            Some(line) => Some(line),
            None => self.lines.next_line()?,
        } {
            let Some((kind, rest)) = line.text.split_once('-') else { continue };
            if !matches!(kind, "T" | "H" | "D") {
                continue;
            }
            let place = |e: Error| e.at(&self.parser.path).line(line.number);
            let Some((id, text)) = rest.split_once('\t') else { continue };
            let Ok(id) = id.parse::<u64>() else { continue };
            let entry = entries
                .entry(id)
                .or_insert_with(|| Entry { line: line.number, ..Entry::default() });
            if kind == "T" {
                entry.reference.get_or_insert_with(|| text.to_string());
                continue;
            }
            let Some((score, text)) = text.split_once('\t') else {
                return Err(place(
                    Error::data(format!("no text behind the score of `{kind}-{id}`"))
                        .expected("`H-7<TAB>score<TAB>text`"),
                ));
            };
            if score.parse::<f64>().is_err() {
                return Err(place(
                    Error::data(format!("the score of `{kind}-{id}` is not a number"))
                        .found(score.to_string()),
                ));
            }
            let slot = if kind == "D" { &mut entry.detokenized } else { &mut entry.hyp };
            slot.get_or_insert_with(|| text.to_string());
        }
        let mut sorted = Vec::with_capacity(entries.len());
        for (expected, (id, entry)) in entries.into_iter().enumerate() {
            if id != expected as u64 {
                return Err(Error::data(format!("fairseq output has no id {expected}"))
                    .at(self.path())
                    .hint("its ids count from 0; the file may be cut short"));
            }
            let hyp = entry.detokenized.or(entry.hyp);
            if self.side == Side::Hypothesis && hyp.is_none() {
                return Err(Error::data(format!("no hypothesis for id {id}"))
                    .at(self.path())
                    .line(entry.line)
                    .expected(format!("a line beginning with `H-{id}`")));
            }
            sorted.push(Segment {
                hyp: hyp.map(Cow::Owned),
                refs: entry.reference.map(Cow::Owned).into_iter().collect(),
                fields: vec![None; self.parser.options.fields.len()],
                line: entry.line,
                ..Segment::default()
            });
        }
        if sorted.is_empty() {
            return Err(Error::data("no `H-` lines as fairseq-generate prints them")
                .at(self.path())
                .hint("`--input-format text` reads plain lines"));
        }
        sorted.reverse();
        self.sorted = Some(sorted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str, side: Side, fields: &[&str]) -> Result<Vec<Segment<'static>>> {
        read_in([None, Some("xx")], name, text, side, fields)
    }

    /// The same with other languages of segments that name none.
    fn read_in(
        [src_lang, tgt_lang]: [Option<&str>; 2],
        name: &str,
        text: &str,
        side: Side,
        fields: &[&str],
    ) -> Result<Vec<Segment<'static>>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let options = SegmentOptions {
            fields: fields.iter().map(|f| f.to_string()).collect(),
            src_lang: src_lang.map(str::to_string),
            tgt_lang: tgt_lang.map(str::to_string),
            ..SegmentOptions::default()
        };
        let format = name.ends_with("fairseq").then_some(SegmentFormat::Fairseq);
        let mut reader =
            SegmentReader::open(&Input::Path(path), side, SegmentOptions { format, ..options })?;
        let mut out = Vec::new();
        while let Some(s) = reader.next_segment()? {
            out.push(s);
        }
        Ok(out)
    }

    #[test]
    fn records_aliases_and_other_kinds() {
        let text = concat!(
            r#"{"type":"header","signature":"model:x"}"#,
            "\n",
            r#"{"id":7,"mt":"a\nb","refs":["r",null,"s"],"domain":3,"x":{"y":[1]}}"#,
            "\n",
            r#"{"hyp":"h","mt":"m","tgt":"t","ref":"u","src_lang":"de","tgt_lang":"en"}"#,
            "\n",
            r#"{"type":"translation","hyp":"h","translation":{"en":"a","de":"b"}}"#,
            "\n",
            r#"{"type":"summary"}"#,
            "\n",
        );
        let read_in = |defaults: [Option<&str>; 2], text: &str| {
            read_in(defaults, "a.jsonl", text, Side::Hypothesis, &["domain"])
        };
        let s = read_in([None; 2], text).unwrap();
        assert_eq!(s.len(), 3);
        assert_eq!((s[0].id.as_deref(), s[0].hyp.as_deref()), (Some("7"), Some("a\nb")));
        assert_eq!(s[0].refs, ["r", "s"]);
        assert_eq!(s[0].fields[0].as_deref(), Some("3"));
        assert_eq!(s[1].refs, ["t"]);
        assert_eq!((s[1].hyp.as_deref(), s[1].tgt_lang.as_deref()), (Some("h"), Some("en")));
        assert_eq!(s[2].refs, ["b"]);
        assert_eq!(s[2].src_lang.as_deref(), Some("en"));
        // A default is for records that name no language, and chooses in one that names several.
        let s = read_in([None, Some("en")], text).unwrap();
        assert_eq!((s[0].tgt_lang.as_deref(), &s[1].refs[0][..]), (Some("en"), "t"));
        assert_eq!((s[2].src_lang.as_deref(), &s[2].refs[0][..]), (Some("de"), "a"));
        let e = read_in([None, Some("xx")], text).unwrap_err().to_string();
        assert!(e.contains("no text in `xx`") && e.contains("a.jsonl:4"), "{e}");
        let (before, _) = text.split_at(text.find(r#"{"type":"translation""#).unwrap());
        let s = read_in([None, Some("xx")], before).unwrap();
        assert_eq!((s.len(), s[0].tgt_lang.as_deref()), (2, Some("xx")));
        // The first record is looked at before the others, with the same languages.
        let three = r#"{"hyp":"h","translation":{"en":"a","de":"b","fr":"c"}}"#;
        let s = read_in([Some("de"), Some("fr")], three).unwrap();
        assert_eq!((s[0].src_lang.as_deref(), &s[0].refs[0][..]), (Some("de"), "c"));
        let e = read_in([None, Some("fr")], three).unwrap_err().to_string();
        assert!(e.contains("two languages") && e.contains("a.jsonl:1"), "{e}");
        // A reference of its own needs none of the object.
        let own = three.replacen('{', r#"{"tgt":"t","#, 1);
        let s = read_in([None, Some("xx")], &own).unwrap();
        assert_eq!((s[0].tgt_lang.as_deref(), &s[0].refs[0][..]), (Some("xx"), "t"));
    }

    #[test]
    fn wrong_records_name_place_and_field() {
        for (line, part) in [
            (r#"{"hyp":3}"#, "field `hyp`"),
            (r#"{"refs":[1]}"#, "a list of texts"),
            (r#"{"hyp":"a"} x"#, "not a JSON object"),
            ("", "not a JSON object"),
            ("[1]", "not a JSON object"),
            (r#"{"hyp":"\ud800"}"#, "not a JSON object"),
        ] {
            let text = format!("{}\n{line}\n", r#"{"hyp":"a"}"#);
            let e = read("a.jsonl", &text, Side::Hypothesis, &[]).unwrap_err().to_string();
            assert!(e.contains(part) && e.contains("a.jsonl:2"), "{e}");
        }
    }

    #[test]
    fn columns_and_lines() {
        let s = read("a.tsv", "hyp\tref\tgroup\nh\tr\tg\n", Side::Hypothesis, &["group"]).unwrap();
        assert_eq!((s[0].hyp.as_deref(), &s[0].refs[0][..]), (Some("h"), "r"));
        assert_eq!(s[0].fields[0].as_deref(), Some("g"));
        let e = read("a.tsv", "hyp\tref\nh\n", Side::Hypothesis, &[]).unwrap_err();
        assert!(e.to_string().contains("a.tsv:2"));
        assert!(read("a.tsv", "source\ttarget\n", Side::Hypothesis, &[]).is_err());
        let s = read("a.txt", "{\n\nb", Side::Reference, &[]).unwrap();
        assert_eq!(s.iter().map(|s| &*s.refs[0]).collect::<Vec<_>>(), ["{", "", "b"]);
    }

    #[test]
    fn fairseq_output_is_put_into_order() {
        let text = "noise\nS-1\tx\nT-1\tref 1\nH-1\t-0.5\tone\nH-1\t-0.9\tworse\n\
                    T-0\tref 0\nH-0\t-0.1\tzero @@tok\nD-0\t-0.1\tzero\nP-0\t-0.1\n";
        let s = read("a.fairseq", text, Side::Hypothesis, &[]).unwrap();
        let hyps: Vec<&str> = s.iter().filter_map(|s| s.hyp.as_deref()).collect();
        assert_eq!(hyps, ["zero", "one"]);
        assert_eq!(s[1].refs, ["ref 1"]);
        let e = read("a.fairseq", "H-1\t-0.5\tone\n", Side::Hypothesis, &[]).unwrap_err();
        assert!(e.to_string().contains("no id 0"));
        assert!(read("a.fairseq", "H-0\tone\n", Side::Hypothesis, &[]).is_err());
        assert!(read("a.fairseq", "hello\n", Side::Hypothesis, &[]).is_err());
    }
}
