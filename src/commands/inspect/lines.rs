//! JSON Lines, TSV and plain text of any size, in one pass and constant memory.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, facts};
use crate::error::{Error, Result};
use crate::io::{Line, LineReader};
use crate::records::{ParallelRecord, from_map};

/// Hostile files may name a new field or language in each line.
const MAX_KEYS: usize = 2000;
/// Score rows that are shown.
const MAX_SCORES: usize = 500;

/// Reads to the end. `extension` decides between plain lines and TSV where the first line does
/// not.
pub fn inspect(mut reader: LineReader, extension: Option<&str>) -> Result<Facts> {
    let path = reader.name().to_path_buf();
    let Some(first) = reader.next_line()? else {
        return Err(Error::artifact("not a file we know").at(&path).found("no lines"));
    };
    let is_log = path.file_name().is_some_and(|n| n == "log.jsonl");
    if first.text.trim_start().starts_with('{') || extension == Some("jsonl") {
        return records(reader, first, &path, is_log);
    }
    let header: Vec<String> = first.text.split('\t').map(str::to_string).collect();
    let is_tsv = header.iter().any(|h| ["src", "text", "tgt", "ref", "hyp"].contains(&h.as_str()));
    if extension == Some("tsv") || (is_tsv && header.len() > 1) {
        return tsv(reader, &header, &path);
    }
    plain(reader, first, &path)
}

/// Numbers of characters: exact up to 4095, then one open class.
#[derive(Clone, Default)]
struct Lengths {
    count: u64,
    sum: u64,
    max: u64,
    histogram: Vec<u64>,
}

impl Lengths {
    const CLASSES: usize = 4096;

    fn add(&mut self, text: &str) {
        let n = text.chars().count() as u64;
        self.count += 1;
        self.sum += n;
        self.max = self.max.max(n);
        let class = (n as usize).min(Self::CLASSES - 1);
        if self.histogram.len() <= class {
            self.histogram.resize(class + 1, 0);
        }
        self.histogram[class] += 1;
    }
    /// The smallest length that `share` of the texts do not exceed.
    fn quantile(&self, share: f64) -> u64 {
        let wanted = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (n, k) in self.histogram.iter().enumerate() {
            seen += k;
            if seen >= wanted {
                return if n == Self::CLASSES - 1 { self.max } else { n as u64 };
            }
        }
        self.max
    }
    fn empty(&self) -> u64 {
        self.histogram.first().copied().unwrap_or(0)
    }
    fn write(&self, prefix: &str, into: &mut Map<String, Value>) {
        if self.count == 0 {
            return;
        }
        let mean = (self.sum as f64 / self.count as f64 * 10.0).round() / 10.0;
        into.insert(format!("{prefix}_mean_chars"), mean.into());
        into.insert(format!("{prefix}_p95_chars"), self.quantile(0.95).into());
        into.insert(format!("{prefix}_max_chars"), self.max.into());
        if self.empty() > 0 {
            into.insert(format!("{prefix}_empty"), self.empty().into());
        }
    }
}

/// Text by direction or language.
#[derive(Default)]
struct Texts {
    by_direction: BTreeMap<(String, String), [Lengths; 3]>,
    by_language: BTreeMap<String, Lengths>,
    left_out: u64,
    with_hyp: u64,
    with_refs: u64,
    most_refs: usize,
}

impl Texts {
    fn add(&mut self, record: &ParallelRecord, lang: Option<&str>) {
        self.with_hyp += u64::from(record.hyp.is_some());
        self.with_refs += u64::from(!record.refs.is_empty());
        self.most_refs = self.most_refs.max(record.refs.len());
        if let (Some(lang), None, None) = (lang, &record.src_lang, &record.tgt_lang) {
            if self.by_language.len() >= MAX_KEYS && !self.by_language.contains_key(lang) {
                self.left_out += 1;
            } else if let Some(text) = &record.src {
                self.by_language.entry(lang.to_string()).or_default().add(text);
            }
            return;
        }
        let name = |l: &Option<String>| l.clone().unwrap_or_else(|| "?".into());
        let key = (name(&record.src_lang), name(&record.tgt_lang));
        if self.by_direction.len() >= MAX_KEYS && !self.by_direction.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let lengths = self.by_direction.entry(key).or_default();
        let sides = [record.src.as_ref(), record.refs.first(), record.hyp.as_ref()];
        for (lengths, text) in lengths.iter_mut().zip(sides) {
            if let Some(text) = text {
                lengths.add(text);
            }
        }
    }

    fn write(&self, into: &mut Facts) {
        if self.most_refs > 1 {
            into.insert("num_refs".into(), self.most_refs.into());
        }
        if !self.by_direction.is_empty() {
            let mut languages: Vec<&String> = Vec::new();
            let mut rows = Vec::new();
            for ((src_lang, tgt_lang), lengths) in &self.by_direction {
                languages.extend([src_lang, tgt_lang]);
                let mut row = Map::new();
                row.insert("lang_pair".into(), format!("{src_lang}-{tgt_lang}").into());
                let n = lengths.iter().map(|l| l.count).max().unwrap_or(0);
                row.insert("records".into(), n.into());
                for (name, l) in ["src", "tgt", "hyp"].iter().zip(lengths) {
                    l.write(name, &mut row);
                }
                rows.push(Value::from(row));
            }
            languages.sort();
            languages.dedup();
            languages.retain(|l| *l != "?");
            into.insert("num_directions".into(), rows.len().into());
            into.insert("languages".into(), json!(languages));
            into.insert("directions".into(), rows.into());
        }
        if !self.by_language.is_empty() {
            let rows: Vec<Value> = self
                .by_language
                .iter()
                .map(|(lang, lengths)| {
                    let mut row = Map::new();
                    row.insert("lang".into(), lang.clone().into());
                    row.insert("records".into(), lengths.count.into());
                    lengths.write("text", &mut row);
                    row.into()
                })
                .collect();
            into.insert("num_languages".into(), rows.len().into());
            into.insert("by_language".into(), rows.into());
        }
        if self.left_out > 0 {
            into.insert("records_in_further_groups".into(), self.left_out.into());
        }
    }
}

/// What a training log says, in a few numbers.
#[derive(Default)]
struct Log {
    steps: u64,
    first: Option<Value>,
    last: Option<Value>,
    validations: BTreeMap<String, Value>,
    checkpoints: u64,
}

impl Log {
    fn add(&mut self, kind: &str, map: &Map<String, Value>) {
        let keep = |names: &[&str]| -> Value {
            names.iter().filter_map(|n| Some((n.to_string(), map.get(*n)?.clone()))).collect()
        };
        match kind {
            "train_step" => {
                self.steps += 1;
                let brief = keep(&["step", "loss", "nll", "lr", "tok_per_s", "elapsed_s"]);
                self.first.get_or_insert_with(|| brief.clone());
                self.last = Some(brief);
            }
            "valid" => {
                let of = ["lang_pair", "group"].iter().find_map(|k| map.get(*k)?.as_str());
                let of = of.unwrap_or("all").to_string();
                if self.validations.len() < MAX_KEYS || self.validations.contains_key(&of) {
                    let row = map.iter().filter(|(k, _)| *k != "type");
                    let row = row.map(|(k, v)| (k.clone(), v.clone())).collect();
                    self.validations.insert(of, row);
                }
            }
            "checkpoint" => self.checkpoints += 1,
            _ => {}
        }
    }
    fn write(self, into: &mut Facts) {
        if self.steps > 0 {
            into.insert("first_step".into(), self.first.unwrap_or_default());
            into.insert("last_step".into(), self.last.unwrap_or_default());
        }
        if self.checkpoints > 0 {
            into.insert("num_checkpoint_records".into(), self.checkpoints.into());
        }
        if !self.validations.is_empty() {
            let rows: Vec<Value> = self.validations.into_values().collect();
            into.insert("last_validation".into(), rows.into());
        }
    }
}

fn records(mut reader: LineReader, first: Line, path: &Path, is_log: bool) -> Result<Facts> {
    let mut num_records = 0u64;
    let mut fields: BTreeMap<String, u64> = BTreeMap::new();
    let mut types: BTreeMap<String, u64> = BTreeMap::new();
    let mut texts = Texts::default();
    let mut log = Log::default();
    let mut scores: Vec<Value> = Vec::new();
    let mut num_scores = 0usize;
    let mut gates: BTreeMap<String, u64> = BTreeMap::new();
    let mut header = None;
    let mut unknown_pieces = 0u64;
    let mut truncated = 0u64;
    let mut next = Some(first);
    while let Some(line) = next {
        let parsed = serde_json::from_str::<Value>(&line.text);
        next = reader.next_line()?;
        let map = match parsed {
            Ok(Value::Object(map)) => map,
            // A process that was killed leaves half a line at the end of its log.
            Err(_) if is_log && next.is_none() => break,
            Ok(_) => {
                return Err(Error::data("not a JSON object").at(path).line(line.number));
            }
            Err(e) => {
                return Err(Error::data("not a JSON object")
                    .at(path)
                    .line(line.number)
                    .cause(e.to_string()));
            }
        };
        num_records += 1;
        for key in map.keys() {
            if let Some(n) = fields.get_mut(key) {
                *n += 1;
            } else if fields.len() < MAX_KEYS {
                fields.insert(key.clone(), 1);
            }
        }
        let kind = map.get("type").and_then(Value::as_str).unwrap_or("").to_string();
        if !kind.is_empty() && (types.len() < MAX_KEYS || types.contains_key(&kind)) {
            *types.entry(kind.clone()).or_default() += 1;
        }
        match kind.as_str() {
            "header" => {
                header.get_or_insert(map);
            }
            "score" => {
                num_scores += 1;
                if scores.len() < MAX_SCORES {
                    let names = [
                        "system",
                        "lang_pair",
                        "group",
                        "metric",
                        "value",
                        "num_sentences",
                        "ci_low",
                        "ci_high",
                        "delta",
                        "p_value",
                    ];
                    let row =
                        names.iter().filter_map(|n| Some((n.to_string(), map.get(*n)?.clone())));
                    scores.push(row.collect());
                }
            }
            "gate" => {
                let status = map.get("status").and_then(Value::as_str).unwrap_or("?");
                *gates.entry(status.chars().take(20).collect()).or_default() += 1;
            }
            "train_step" | "valid" | "checkpoint" => log.add(&kind, &map),
            "" | "translation" => {
                unknown_pieces += map.get("num_src_unk").and_then(Value::as_u64).unwrap_or(0);
                truncated +=
                    u64::from(map.get("truncated").and_then(Value::as_bool).unwrap_or(false));
                let lang = map.get("lang").and_then(Value::as_str).map(str::to_string);
                let record = from_map(map).map_err(|e| e.at(path).line(line.number))?;
                texts.add(&record, lang.as_deref());
            }
            _ => {}
        }
    }

    let mut rest = Map::new();
    rest.insert("format".into(), "jsonl".into());
    rest.insert("num_records".into(), num_records.into());
    if types.values().sum::<u64>() > 0 {
        rest.insert("records_by_type".into(), json!(types));
    }
    if let Some(header) = header {
        for key in ["tool", "command", "signature"] {
            if let Some(v) = header.get(key) {
                rest.insert(key.into(), v.clone());
            }
        }
    }
    let kind = if num_scores > 0 {
        "scores"
    } else if log.steps > 0 || !log.validations.is_empty() {
        "training_log"
    } else if texts.with_hyp > 0 {
        "translations"
    } else if texts.with_refs > 0 {
        "parallel_text"
    } else if !texts.by_language.is_empty() || texts.by_direction.values().any(|l| l[0].count > 0) {
        "text_records"
    } else {
        "records"
    };
    if kind == "translations" {
        rest.insert("num_hyps".into(), texts.with_hyp.into());
        rest.insert("num_truncated".into(), truncated.into());
        rest.insert("num_src_unk".into(), unknown_pieces.into());
    }
    if !scores.is_empty() {
        rest.insert("num_scores".into(), num_scores.into());
        rest.insert("scores".into(), scores.into());
    }
    if !gates.is_empty() {
        rest.insert("gates".into(), json!(gates));
    }
    log.write(&mut rest);
    if matches!(kind, "translations" | "parallel_text" | "text_records") {
        texts.write(&mut rest);
    }
    rest.insert("fields".into(), json!(fields));
    Ok(facts(path, kind, rest))
}

fn tsv(mut reader: LineReader, header: &[String], path: &Path) -> Result<Facts> {
    let mut texts = Texts::default();
    let mut num_records = 0u64;
    while let Some(line) = reader.next_line()? {
        let cells: Vec<&str> = line.text.split('\t').collect();
        let place = |e: Error| e.at(path).line(line.number);
        if cells.len() != header.len() {
            return Err(place(
                Error::data("wrong number of columns")
                    .found(cells.len().to_string())
                    .expected(header.len().to_string()),
            ));
        }
        let map: Map<String, Value> =
            header.iter().zip(cells).map(|(h, c)| (h.clone(), c.into())).collect();
        let lang = map.get("lang").and_then(Value::as_str).map(str::to_string);
        texts.add(&from_map(map).map_err(place)?, lang.as_deref());
        num_records += 1;
    }
    let mut rest = Map::new();
    rest.insert("format".into(), "tsv".into());
    rest.insert("columns".into(), json!(header));
    rest.insert("num_records".into(), num_records.into());
    texts.write(&mut rest);
    let kind = match (texts.with_hyp > 0, texts.with_refs > 0) {
        (true, _) => "translations",
        (_, true) => "parallel_text",
        _ => "text_records",
    };
    Ok(facts(path, kind, rest))
}

fn plain(mut reader: LineReader, first: Line, path: &Path) -> Result<Facts> {
    let mut lengths = Lengths::default();
    let mut next = Some(first);
    while let Some(line) = next {
        if line.text.contains('\0') {
            return Err(Error::artifact("not a file we know")
                .at(path)
                .line(line.number)
                .found("binary data"));
        }
        lengths.add(&line.text);
        next = reader.next_line()?;
    }
    let mut rest = Map::new();
    rest.insert("format".into(), "text".into());
    rest.insert("num_lines".into(), lengths.count.into());
    lengths.write("line", &mut rest);
    Ok(facts(path, "plain_text", rest))
}
