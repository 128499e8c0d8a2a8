//! `score` and `gate` records, and what can stand as a baseline of scores: earlier records, or
//! sacrebleu's JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// One score of one system. Absent fields were not computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreRecord {
    #[serde(rename = "type")]
    pub kind: String,
    pub system: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang_pair: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_lang: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tgt_lang: Option<String>,
    /// The field that `group` is a value of; `all` for the whole input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `macro`: mean of the scores of the directions; `micro`: score of all segments together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_pairs: Option<u64>,
    /// As sacrebleu prints it: `BLEU`, `chrF2`, `chrF2++`, `TER`.
    pub metric: String,
    pub value: f64,
    pub num_sentences: u64,
    /// Absent where segments differ in their number of references.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_refs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci_mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci_low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci_high: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci_level: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// sacrebleu's details of a BLEU score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbose_score: Option<String>,
    pub signature: String,
    /// Of the translation, from the header of its stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translation_signature: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateStatus {
    Pass,
    Fail,
    /// The baseline has this row, the system has not.
    Missing,
}

impl GateStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Missing => "missing",
        }
    }
}

/// The verdict on one row of a system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateRecord {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub system: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang_pair: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<String>,
    pub metric: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    pub max_drop: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    pub status: GateStatus,
}

/// What a file given as `--baseline` holds, judged by its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaselineKind {
    /// Scores: our records, or sacrebleu's JSON.
    Scores,
    /// Hypotheses, in any form that can be scored.
    Hypotheses,
}

impl BaselineKind {
    pub fn detect(first_line: &str) -> Self {
        let line = first_line.trim();
        if line.starts_with('[') {
            return Self::Scores;
        }
        if !line.starts_with('{') {
            return Self::Hypotheses;
        }
        match serde_json::from_str::<Value>(line) {
            Ok(v) if v["type"] == "score" || v["type"] == "gate" => Self::Scores,
            Ok(v) if v["type"] == "header" && v["kind"] == "score" => Self::Scores,
            // sacrebleu's object on one line.
            Ok(v) if v.get("name").is_some() && v.get("score").is_some() => Self::Scores,
            Ok(_) => Self::Hypotheses,
            // sacrebleu's object, as it prints it, goes on for lines.
            Err(e) if e.is_eof() => Self::Scores,
            Err(_) => Self::Hypotheses,
        }
    }
}

/// The scores in a file: records by line, an array of records, or sacrebleu's JSON.
pub fn read_scores(path: &Path, text: &str) -> Result<Vec<ScoreRecord>> {
    let scores = if text.trim_start().starts_with('[') {
        whole(path, text)?
    } else {
        // One object over several lines is sacrebleu's; otherwise each line is a record.
        match serde_json::from_str::<Value>(text) {
            Ok(value) => from_value(value).map_err(|e| e.at(path))?.into_iter().collect(),
            Err(_) if text.lines().next().is_some_and(|l| l.trim() == "{") => whole(path, text)?,
            Err(_) => by_line(path, text)?,
        }
    };
    if scores.is_empty() {
        return Err(Error::data("no scores in the baseline")
            .at(path)
            .expected("records of type `score`, sacrebleu's JSON, or hypotheses"));
    }
    Ok(scores)
}

fn whole(path: &Path, text: &str) -> Result<Vec<ScoreRecord>> {
    let value: Value = serde_json::from_str(text).map_err(|e| {
        Error::data("baseline is not valid JSON")
            .at(path)
            .line(e.line() as u64)
            .cause(e.to_string())
    })?;
    let list = match value {
        Value::Array(list) => list,
        other => vec![other],
    };
    let mut scores = Vec::new();
    for value in list {
        scores.extend(from_value(value).map_err(|e| e.at(path))?);
    }
    Ok(scores)
}

fn by_line(path: &Path, text: &str) -> Result<Vec<ScoreRecord>> {
    let mut scores = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let place = |e: Error| e.at(path).line(i as u64 + 1);
        let value = serde_json::from_str(line)
            .map_err(|e| place(Error::data("not a JSON object").cause(e.to_string())))?;
        scores.extend(from_value(value).map_err(place)?);
    }
    Ok(scores)
}

/// A score, or none for a record of another kind.
fn from_value(value: Value) -> Result<Option<ScoreRecord>> {
    match value.get("type").and_then(Value::as_str) {
        Some("score") => serde_json::from_value(value)
            .map(Some)
            .map_err(|e| Error::data("not a `score` record").cause(e.to_string())),
        Some(_) => Ok(None),
        None => from_sacrebleu(&value).map(Some),
    }
}

/// `{"name": "BLEU", "score": 34.5, "signature": "nrefs:1|...", ...}`: a score of the whole input.
fn from_sacrebleu(value: &Value) -> Result<ScoreRecord> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let (Some(metric), Some(score), Some(signature)) =
        (text("name"), value.get("score").and_then(Value::as_f64), text("signature"))
    else {
        let hint = if value.get("system").is_some() {
            "sacrebleu's table of several systems lacks signatures; give the JSON of one system"
        } else {
            "expected sacrebleu's `name`, `score` and `signature`, or records of type `score`"
        };
        return Err(Error::data("baseline holds an object that is no score").hint(hint));
    };
    Ok(ScoreRecord {
        kind: "score".into(),
        system: "sacrebleu".into(),
        by: Some("all".into()),
        group: Some("all".into()),
        average: Some("micro".into()),
        metric: metric.into(),
        value: score,
        signature: signature.into(),
        verbose_score: text("verbose_score").map(str::to_string),
        ..ScoreRecord::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SACREBLEU: &str = "{\n \"name\": \"BLEU\",\n \"score\": 34.5,\n \"signature\": \
        \"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0\",\n \"nrefs\": \"1\"\n}\n";

    #[test]
    fn sacrebleus_object_and_list() {
        assert_eq!(BaselineKind::detect("{"), BaselineKind::Scores);
        let scores = read_scores(Path::new("b.json"), SACREBLEU).unwrap();
        assert_eq!((scores[0].value, &scores[0].metric[..]), (34.5, "BLEU"));
        let list = format!("[\n{SACREBLEU},\n{}]", SACREBLEU.replace("BLEU", "chrF2"));
        assert_eq!(read_scores(Path::new("b.json"), &list).unwrap()[1].metric, "chrF2");
    }

    #[test]
    fn records_written_are_read() {
        let record = ScoreRecord {
            kind: "score".into(),
            system: "a".into(),
            lang_pair: Some("de-en".into()),
            metric: "TER".into(),
            value: 0.1 + 0.2,
            num_sentences: 3,
            num_refs: Some(1),
            signature: "nrefs:1".into(),
            ..ScoreRecord::default()
        };
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(BaselineKind::detect(&line), BaselineKind::Scores);
        let text = format!("{line}\n{}\n{line}\n", r#"{"type":"gate","status":"pass"}"#);
        assert_eq!(read_scores(Path::new("x"), &text).unwrap(), vec![record.clone(), record]);
    }

    #[test]
    fn hypotheses_are_told_from_scores() {
        for line in [
            r#"{"hyp":"a","tgt":"b"}"#,
            r#"{"type":"header","kind":"translation"}"#,
            "plain text",
            "{ odd text",
            "",
        ] {
            assert_eq!(BaselineKind::detect(line), BaselineKind::Hypotheses, "{line}");
        }
    }

    #[test]
    fn faults_have_a_place() {
        let e = read_scores(Path::new("b"), "{\n \"name\": \"BLEU\",\n").unwrap_err().to_string();
        assert!(e.contains("not valid JSON") && e.contains("b:"), "{e}");
        let e = read_scores(Path::new("b"), r#"{"type":"score"}"#).unwrap_err().to_string();
        assert!(e.contains("missing field"), "{e}");
        let e = read_scores(Path::new("b"), r#"[{"system":"x","BLEU":"1.0"}]"#).unwrap_err();
        assert!(e.to_string().contains("several systems"));
        assert!(read_scores(Path::new("b"), "{\"type\":\"gate\"}\n").is_err());
    }
}
