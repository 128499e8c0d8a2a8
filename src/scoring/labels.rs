//! Labels of languages and directions, such as resource tier or family, from a small file.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::corpus::UnitKey;
use crate::error::{Error, Result};

/// Columns of labels by language or by direction (`de` or `de-en`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    columns: Vec<String>,
    by_name: BTreeMap<String, Vec<Option<String>>>,
}

/// Whose label a row is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelOf {
    /// The direction's own, else that of its languages.
    Pair,
    Source,
    Target,
}

impl Labels {
    /// JSON, `{"de": {"tier": "high"}, ...}` or `{"de": "high"}`; or TSV with a header line
    /// whose first column holds languages or directions.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let labels = if text.trim_start().starts_with('{') {
            Self::from_json(path, text)?
        } else {
            Self::from_tsv(path, text)?
        };
        if labels.by_name.is_empty() {
            return Err(Error::data("no labels in the file").at(path));
        }
        Ok(labels)
    }

    fn from_json(path: &Path, text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|e| {
            Error::data("labels are not valid JSON")
                .at(path)
                .line(e.line() as u64)
                .cause(e.to_string())
        })?;
        let mut labels = Self::default();
        let Value::Object(entries) = value else {
            return Err(Error::data("labels are not an object").at(path));
        };
        for (name, value) in entries {
            let parts: Vec<(String, Value)> = match value {
                Value::Object(parts) => parts.into_iter().collect(),
                text @ Value::String(_) => vec![("group".to_string(), text)],
                _ => {
                    return Err(Error::data(format!("label of `{name}` is not text"))
                        .at(path)
                        .key(name));
                }
            };
            for (column, value) in parts {
                let Value::String(label) = value else {
                    return Err(Error::data(format!("label `{column}` of `{name}` is not text"))
                        .at(path)
                        .key(name));
                };
                labels.put(&name, &column, label);
            }
        }
        Ok(labels)
    }

    fn from_tsv(path: &Path, text: &str) -> Result<Self> {
        let mut lines = text.lines().enumerate();
        let header: Vec<&str> =
            lines.next().map_or_else(Vec::new, |(_, line)| line.split('\t').collect());
        if header.len() < 2 {
            return Err(Error::data("labels need a header line with two columns or more")
                .at(path)
                .line(1)
                .expected("for example `lang<TAB>tier<TAB>family`, or a JSON object"));
        }
        let mut labels = Self::default();
        for (i, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
            let cells: Vec<&str> = line.split('\t').collect();
            if cells.len() != header.len() {
                return Err(Error::data("wrong number of columns")
                    .at(path)
                    .line(i as u64 + 1)
                    .found(cells.len().to_string())
                    .expected(header.len().to_string()));
            }
            for (column, label) in header.iter().zip(&cells).skip(1) {
                if !label.is_empty() {
                    labels.put(cells[0], column, label.to_string());
                }
            }
        }
        Ok(labels)
    }

    fn put(&mut self, name: &str, column: &str, label: String) {
        let at = match self.columns.iter().position(|c| c == column) {
            Some(at) => at,
            None => {
                self.columns.push(column.to_string());
                self.columns.len() - 1
            }
        };
        let row = self.by_name.entry(name.to_string()).or_default();
        if row.len() <= at {
            row.resize(at + 1, None);
        }
        row[at] = Some(label);
    }

    /// The column a name of `--by` means: `tier`, `src_tier` or `tgt_tier`.
    pub fn column(&self, name: &str) -> Option<(usize, LabelOf)> {
        let find = |column: &str| self.columns.iter().position(|c| c == column);
        if let Some(at) = find(name) {
            return Some((at, LabelOf::Pair));
        }
        if let Some(at) = name.strip_prefix("src_").and_then(find) {
            return Some((at, LabelOf::Source));
        }
        Some((name.strip_prefix("tgt_").and_then(find)?, LabelOf::Target))
    }

    /// All names that [`Labels::column`] knows.
    pub fn names(&self) -> Vec<String> {
        let sides = ["", "src_", "tgt_"];
        self.columns.iter().flat_map(|c| sides.map(|side| format!("{side}{c}"))).collect()
    }

    fn get(&self, name: Option<&str>, column: usize) -> Option<&str> {
        self.by_name.get(name?)?.get(column)?.as_deref()
    }

    /// The label of a unit. Of a direction that is not listed itself: the label that its
    /// languages share or that only one of them has (English is often left out), else both,
    /// joined by a hyphen.
    pub fn label(&self, key: &UnitKey, column: usize, of: LabelOf) -> Option<String> {
        let source = self.get(key.src_lang.as_deref(), column);
        let target = self.get(key.tgt_lang.as_deref(), column);
        match of {
            LabelOf::Source => source.map(str::to_string),
            LabelOf::Target => target.map(str::to_string),
            LabelOf::Pair => {
                let pair = key.lang_pair();
                if let Some(label) = self.get(pair.as_deref(), column) {
                    return Some(label.to_string());
                }
                match (source, target) {
                    (Some(a), Some(b)) if a != b => Some(format!("{a}-{b}")),
                    (a, b) => a.or(b).map(str::to_string),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(src: &str, tgt: &str) -> UnitKey {
        UnitKey { src_lang: Some(src.into()), tgt_lang: Some(tgt.into()), fields: Vec::new() }
    }

    #[test]
    fn languages_and_directions() {
        let json = r#"{"de": {"tier": "high", "family": "Germanic"}, "is": {"tier": "low"},
                       "is-de": {"tier": "special"}}"#;
        let labels = Labels::parse(Path::new("g.json"), json).unwrap();
        let (tier, of) = labels.column("tier").unwrap();
        let label = |s, t| labels.label(&key(s, t), tier, of);
        assert_eq!(label("en", "de").as_deref(), Some("high"));
        assert_eq!(label("de", "is").as_deref(), Some("high-low"));
        assert_eq!(label("is", "de").as_deref(), Some("special"));
        assert_eq!(label("en", "fr"), None);
        let (tier, of) = labels.column("tgt_tier").unwrap();
        assert_eq!(labels.label(&key("is", "de"), tier, of).as_deref(), Some("high"));
        assert_eq!(labels.column("tear"), None);
    }

    #[test]
    fn tables_and_faults() {
        let tsv = "lang\ttier\tfamily\nde\thigh\tGermanic\n\nis\tlow\t\n";
        let labels = Labels::parse(Path::new("g.tsv"), tsv).unwrap();
        let (family, of) = labels.column("family").unwrap();
        assert_eq!(labels.label(&key("en", "is"), family, of), None);
        assert_eq!(labels.names()[..3], ["tier", "src_tier", "tgt_tier"]);
        for bad in ["", "lang\n", "lang\ttier\nde\n", "{", "{\"de\": 3}", "{}", "lang\ttier\n"] {
            assert!(Labels::parse(Path::new("g"), bad).is_err(), "{bad:?}");
        }
    }
}
