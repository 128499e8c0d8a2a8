//! Where segments come from: records that hold both sides, or hypotheses joined with references
//! from other files. Streams that belong together must agree; none is cut.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::io::Input;
use crate::records::{
    RawSegment, Segment, SegmentFormat, SegmentOptions, SegmentParser, SegmentReader, Side,
};

/// Segments read at a time, and their size: what is in memory while the threads score.
const CHUNK_SEGMENTS: usize = 4096;
const CHUNK_BYTES: usize = 16 << 20;

/// A stream of segments with their references.
pub struct Source {
    hyps: SegmentReader,
    refs: Vec<References>,
    /// The first hypothesis, looked at to see what it holds.
    first: Option<RawSegment>,
    num_hyps: u64,
}

/// Files of references beside the hypotheses.
#[derive(Clone, Copy, Default)]
pub struct ReferenceFiles<'a> {
    /// Named by the user; they win over what the hypotheses' own records hold.
    pub named: &'a [Input],
    /// Taken where nothing is named and the records hold none.
    pub fallback: &'a [Input],
}

impl Source {
    pub fn open(
        hyp: &Input,
        files: ReferenceFiles<'_>,
        hyp_options: SegmentOptions,
        ref_options: &SegmentOptions,
    ) -> Result<Self> {
        let mut hyps = SegmentReader::open(hyp, Side::Hypothesis, hyp_options)?;
        let first = hyps.next_raw()?;
        let parsed = match &first {
            Some(raw) => hyps.parser().parse(raw)?.map(Segment::into_owned),
            None => None,
        };
        let has_own = parsed.as_ref().is_some_and(|s| !s.refs.is_empty());
        let inputs = match files {
            ReferenceFiles { named: [], .. } if has_own => &[],
            ReferenceFiles { named: [], fallback } => fallback,
            ReferenceFiles { named, .. } => named,
        };
        if first.is_none() && hyps.format == SegmentFormat::Text {
            return Err(Error::data("there are no hypotheses: the input is empty")
                .at(hyp.name())
                .hint("a command before it in the pipe may have failed"));
        }
        if inputs.is_empty() && hyps.format == SegmentFormat::Text {
            return Err(Error::usage("hypotheses in plain lines need references beside them")
                .flag("--ref")
                .found(format!("no reference for `{}`", hyp.name().display()))
                .hint("name the file of references: `--ref ref.txt`")
                .hint("records with `hyp` and `tgt` need none: `--input-format jsonl`"));
        }
        let mut refs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let reader = SegmentReader::open(input, Side::Reference, ref_options.clone())?;
            let mut references = References::new(reader);
            if let Some(first) = &parsed {
                references.choose_join(first)?;
            }
            refs.push(references);
        }
        Ok(Self { hyps, refs, first, num_hyps: 0 })
    }

    pub fn parser(&self) -> &SegmentParser {
        self.hyps.parser()
    }

    /// Names of the first record's fields.
    pub fn first_names(&self) -> &[String] {
        &self.hyps.first_names
    }

    /// The signature in the header of a translation.
    pub fn translation_signature(&self) -> Option<&str> {
        self.hyps.signature.as_deref()
    }

    /// The next segments, in order; empty at the end.
    pub fn next_chunk(&mut self) -> Result<Vec<RawSegment>> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while chunk.len() < CHUNK_SEGMENTS && bytes < CHUNK_BYTES {
            let raw = match self.first.take() {
                Some(raw) => Some(raw),
                None => self.hyps.next_raw()?,
            };
            let Some(raw) = raw else {
                self.finish()?;
                break;
            };
            let raw = if self.refs.is_empty() {
                raw
            } else {
                match self.joined(&raw)? {
                    Some(segment) => RawSegment::Ready(segment),
                    None => continue,
                }
            };
            bytes += size(&raw);
            chunk.push(raw);
        }
        Ok(chunk)
    }

    /// The hypothesis with the references of all files; none for a record of another kind.
    fn joined(&mut self, raw: &RawSegment) -> Result<Option<Segment<'static>>> {
        let Some(hyp) = self.hyps.parser().parse(raw)? else { return Ok(None) };
        let mut hyp = hyp.into_owned();
        self.num_hyps += 1;
        hyp.refs.clear();
        for i in 0..self.refs.len() {
            let Some(found) = self.refs[i].next_for(&hyp, self.hyps.path())? else {
                return Err(self.too_few(i)?);
            };
            if found.refs.is_empty() {
                return Err(Error::data("record has no reference")
                    .at(self.refs[i].reader.path())
                    .line(found.line)
                    .expected("field `tgt`, `ref` or `refs`"));
            }
            hyp.refs.extend(found.refs);
            // What the hypothesis does not say, the reference may.
            hyp.src_lang = hyp.src_lang.or(found.src_lang);
            hyp.tgt_lang = hyp.tgt_lang.or(found.tgt_lang);
            for (ours, theirs) in hyp.fields.iter_mut().zip(found.fields) {
                if ours.is_none() {
                    *ours = theirs;
                }
            }
        }
        Ok(Some(hyp))
    }

    /// References must not be left over.
    fn finish(&mut self) -> Result<()> {
        for i in 0..self.refs.len() {
            if self.refs[i].is_used_up()? {
                continue;
            }
            let references = &mut self.refs[i];
            if references.by_id {
                return Err(references.left_over());
            }
            while references.next()?.is_some() {}
            return Err(self.differ(i, self.num_hyps));
        }
        Ok(())
    }

    /// The error for hypotheses that go on after the references have ended.
    fn too_few(&mut self, i: usize) -> Result<Error> {
        let fit = self.num_hyps - 1;
        while let Some(raw) = self.hyps.next_raw()? {
            self.num_hyps += u64::from(self.hyps.parser().parse(&raw)?.is_some());
        }
        Ok(self.differ(i, fit))
    }

    fn differ(&self, i: usize, fit: u64) -> Error {
        let references = &self.refs[i];
        let fit = match fit {
            0 => "the same number of both".to_string(),
            n => format!("the same number of both; pair {n} is the last that fits"),
        };
        Error::data("hypotheses and references differ in number")
            .at(self.hyps.path())
            .found(format!(
                "{} hypotheses, {} references in `{}`",
                self.num_hyps,
                references.num_read,
                references.reader.path().display()
            ))
            .expected(fit)
            .hint("line ends other than LF (U+2028, U+0085, a lone CR) do not split lines")
    }
}

fn size(raw: &RawSegment) -> usize {
    match raw {
        RawSegment::Json(line) => line.text.len(),
        RawSegment::Ready(s) => {
            s.hyp.as_ref().map_or(0, |h| h.len()) + s.refs.iter().map(|r| r.len()).sum::<usize>()
        }
    }
}

/// What a reference is found by: its id, within its direction where both sides name one.
type JoinKey = (String, Option<(String, String)>);

/// A file of references beside the hypotheses.
struct References {
    reader: SegmentReader,
    /// The first reference, looked at to see what it holds.
    first: Option<Segment<'static>>,
    by_id: bool,
    with_pair: bool,
    /// References that were read before their hypothesis: none while both are in one order.
    waiting: HashMap<JoinKey, Segment<'static>>,
    num_read: u64,
}

impl References {
    fn new(reader: SegmentReader) -> Self {
        Self {
            reader,
            first: None,
            by_id: false,
            with_pair: false,
            waiting: HashMap::new(),
            num_read: 0,
        }
    }

    /// By `id` when both sides have one, by position otherwise.
    fn choose_join(&mut self, hyp: &Segment<'_>) -> Result<()> {
        self.first = self.reader.next_segment()?;
        if let Some(first) = &self.first {
            let pair = |s: &Segment<'_>| s.src_lang.is_some() && s.tgt_lang.is_some();
            self.by_id = hyp.id.is_some() && first.id.is_some();
            self.with_pair = pair(hyp) && pair(first);
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Segment<'static>>> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.reader.next_segment()?,
        };
        self.num_read += u64::from(next.is_some());
        Ok(next)
    }

    fn key(&self, segment: &Segment<'_>) -> Option<JoinKey> {
        let pair = self.with_pair.then(|| {
            let text = |lang: &Option<std::borrow::Cow<'_, str>>| {
                lang.as_deref().unwrap_or_default().to_string()
            };
            (text(&segment.src_lang), text(&segment.tgt_lang))
        });
        Some((segment.id.as_ref()?.to_string(), pair))
    }

    /// The reference of a hypothesis; none when references have run out (by position only).
    fn next_for(
        &mut self,
        hyp: &Segment<'_>,
        hyp_path: &std::path::Path,
    ) -> Result<Option<Segment<'static>>> {
        if !self.by_id {
            return self.next();
        }
        let lacks_id = |path: &std::path::Path, line: u64| {
            Error::data("record has no id")
                .at(path)
                .line(line)
                .field("id")
                .expected("an id in every record, as in the first, or in none")
        };
        let wanted = self.key(hyp).ok_or_else(|| lacks_id(hyp_path, hyp.line))?;
        if let Some(found) = self.waiting.remove(&wanted) {
            return Ok(Some(found));
        }
        while let Some(reference) = self.next()? {
            let path = self.reader.path();
            let key = self.key(&reference).ok_or_else(|| lacks_id(path, reference.line))?;
            if key == wanted {
                return Ok(Some(reference));
            }
            let line = reference.line;
            if let Some(earlier) = self.waiting.insert(key.clone(), reference) {
                return Err(Error::data(format!("two references share the id `{}`", key.0))
                    .at(self.reader.path())
                    .line(line)
                    .found(format!("the same id on line {}", earlier.line)));
            }
        }
        Err(Error::data(format!("no reference for the id `{}`", wanted.0))
            .at(hyp_path)
            .line(hyp.line)
            .found(format!(
                "{} references in `{}`, none with this id (or it was used before)",
                self.num_read,
                self.reader.path().display()
            )))
    }

    fn is_used_up(&mut self) -> Result<bool> {
        if !self.waiting.is_empty() {
            return Ok(false);
        }
        if self.first.is_none() {
            self.first = self.reader.next_segment()?;
        }
        Ok(self.first.is_none())
    }

    fn left_over(&self) -> Error {
        let first = self.waiting.values().chain(&self.first).min_by_key(|s| s.line);
        let id = first.and_then(|s| s.id.as_deref()).unwrap_or_default();
        let error = Error::data(format!("no hypothesis for the id `{id}`"))
            .at(self.reader.path())
            .hint("every reference needs its hypothesis, or the score is of another test set");
        match first {
            Some(s) => error.line(s.line),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
        fn input(&self, name: &str, text: &str) -> Input {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            Input::Path(path)
        }
    }

    fn read(hyp: &Input, refs: &[Input]) -> Result<Vec<(String, Vec<String>)>> {
        let options = SegmentOptions::default();
        let files = ReferenceFiles { named: refs, fallback: &[] };
        let mut source = Source::open(hyp, files, options.clone(), &options)?;
        let mut out = Vec::new();
        loop {
            let chunk = source.next_chunk()?;
            if chunk.is_empty() {
                return Ok(out);
            }
            for raw in &chunk {
                let s = source.parser().parse(raw)?.unwrap();
                let refs = s.refs.iter().map(|r| r.to_string()).collect();
                out.push((s.hyp.unwrap_or_default().to_string(), refs));
            }
        }
    }

    fn texts(pairs: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        pairs
            .iter()
            .map(|(h, r)| (h.to_string(), r.iter().map(|r| r.to_string()).collect()))
            .collect()
    }

    #[test]
    fn lines_by_position_with_several_references() {
        let f = Files::new();
        let hyp = f.input("h.txt", "a\n\nc\n");
        let refs = [f.input("r1.txt", "A\nB\nC"), f.input("r2.txt", "x\ny\nz\n")];
        assert_eq!(
            read(&hyp, &refs).unwrap(),
            texts(&[("a", &["A", "x"]), ("", &["B", "y"]), ("c", &["C", "z"])])
        );
    }

    #[test]
    fn different_counts_name_both_and_the_last_pair_that_fits() {
        let f = Files::new();
        let (two, four) = (f.input("two.txt", "a\nb\n"), f.input("four.txt", "a\nb\nc\nd\n"));
        let e = read(&two, std::slice::from_ref(&four)).unwrap_err().to_string();
        assert!(e.contains("2 hypotheses, 4 references"), "{e}");
        assert!(e.contains("pair 2 is the last that fits"), "{e}");
        let e = read(&four, std::slice::from_ref(&two)).unwrap_err();
        assert_eq!(e.exit_code() as u8, 3);
        let e = e.to_string();
        assert!(e.contains("4 hypotheses, 2 references") && e.contains("pair 2"), "{e}");
        let empty = f.input("none.txt", "");
        let e = read(&two, &[empty]).unwrap_err().to_string();
        assert!(e.contains("2 hypotheses, 0 references"), "{e}");
    }

    #[test]
    fn records_join_by_id_in_any_order() {
        let f = Files::new();
        let hyp = f.input("h.jsonl", "{\"id\":1,\"hyp\":\"a\"}\n{\"id\":\"2\",\"hyp\":\"b\"}\n");
        let refs =
            [f.input(
                "r.jsonl",
                "{\"id\":2,\"ref\":\"B\"}\n{\"id\":\"1\",\"refs\":[\"A\",\"x\"]}\n",
            )];
        assert_eq!(read(&hyp, &refs).unwrap(), texts(&[("a", &["A", "x"]), ("b", &["B"])]));
        let short = [f.input("s.jsonl", "{\"id\":2,\"ref\":\"B\"}\n")];
        let e = read(&hyp, &short).unwrap_err().to_string();
        assert!(e.contains("no reference for the id `1`") && e.contains("h.jsonl:1"), "{e}");
        let more = "{\"id\":1,\"ref\":\"A\"}\n{\"id\":2,\"ref\":\"B\"}\n{\"id\":3,\"ref\":\"C\"}\n";
        let e = read(&hyp, &[f.input("m.jsonl", more)]).unwrap_err().to_string();
        assert!(e.contains("no hypothesis for the id `3`") && e.contains("m.jsonl:3"), "{e}");
        let twice = "{\"id\":3,\"ref\":\"A\"}\n{\"id\":3,\"ref\":\"B\"}\n";
        let e = read(&hyp, &[f.input("t.jsonl", twice)]).unwrap_err().to_string();
        assert!(e.contains("share the id `3`") && e.contains("line 1"), "{e}");
    }

    #[test]
    fn a_fallback_is_taken_only_where_it_is_needed() {
        let f = Files::new();
        let other = [f.input("r.jsonl", "{\"tgt\":\"R\"}\n")];
        let options = SegmentOptions::default();
        let refs = |hyp: &Input| {
            let files = ReferenceFiles { named: &[], fallback: &other };
            let mut source = Source::open(hyp, files, options.clone(), &options).unwrap();
            let chunk = source.next_chunk().unwrap();
            source.parser().parse(&chunk[0]).unwrap().unwrap().refs[0].to_string()
        };
        assert_eq!(refs(&f.input("h.txt", "a\n")), "R");
        assert_eq!(refs(&f.input("h.jsonl", "{\"hyp\":\"a\"}\n")), "R");
        assert_eq!(refs(&f.input("own.jsonl", "{\"hyp\":\"a\",\"tgt\":\"own\"}\n")), "own");
        let text = f.input("alone.txt", "a\n");
        let e = Source::open(&text, ReferenceFiles::default(), options.clone(), &options).err();
        assert_eq!(e.unwrap().exit_code() as u8, 2);
    }

    #[test]
    fn references_lend_their_languages_and_win_over_the_records_own() {
        let f = Files::new();
        let hyp = f.input("h.jsonl", "{\"hyp\":\"a\",\"tgt\":\"own\"}\n");
        let refs =
            [f.input("r.jsonl", "{\"tgt\":\"R\",\"src_lang\":\"de\",\"tgt_lang\":\"en\"}\n")];
        let options = SegmentOptions::default();
        let files = ReferenceFiles { named: &refs, fallback: &[] };
        let mut source = Source::open(&hyp, files, options.clone(), &options).unwrap();
        let chunk = source.next_chunk().unwrap();
        let s = source.parser().parse(&chunk[0]).unwrap().unwrap();
        assert_eq!(s.refs, ["R"]);
        assert_eq!((s.src_lang.as_deref(), s.tgt_lang.as_deref()), (Some("de"), Some("en")));
    }
}
