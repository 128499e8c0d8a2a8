//! Training runs: how far they came, and what is best.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, Options, facts, lines};
use crate::error::{Error, Result};
use crate::formats::{adapters, hf, hypernet, placement};
use crate::io::LineReader;

pub fn directory(path: &Path, options: Options) -> Result<Facts> {
    let mut rest = Map::new();
    let checkpoints = path.join("checkpoints");
    let mut names: Vec<String> = Vec::new();
    if checkpoints.is_dir() {
        names = fs::read_dir(&checkpoints)
            .map_err(|e| Error::io("read", &checkpoints, e))?
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|n| !n.starts_with('.'))
            .collect();
        names.sort();
    }
    rest.insert("num_checkpoints".into(), names.len().into());
    rest.insert("checkpoints".into(), json!(names));
    for pointer in ["latest", "best"] {
        let file = path.join(pointer);
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let line = text.lines().next().unwrap_or("").trim().to_string();
        let name = line.split_whitespace().next().unwrap_or("");
        if !names.iter().any(|n| n == name) {
            return Err(Error::artifact("run names a checkpoint that is not there")
                .at(&file)
                .found(format!("`{name}`"))
                .expected(format!("one of: {}", names.join(", "))));
        }
        rest.insert(pointer.into(), line.into());
    }
    let newest = rest
        .get("latest")
        .and_then(Value::as_str)
        .and_then(|l| l.split_whitespace().next())
        .map(|n| checkpoints.join(n));
    if let Some(dir) = newest {
        let file = dir.join("state.json");
        if file.is_file() {
            rest.insert("state".into(), state(&file)?.into());
        }
        if dir.join(placement::FILE).is_file() {
            let mut own = super::lora::contents(&dir)?;
            own.shift_remove("provenance");
            rest.insert("lora".into(), own.into());
        }
        if dir.join(adapters::FILE).is_file() {
            let mut own = super::adapters::contents(&dir, Options { quick: true, ..options })?;
            own.shift_remove("provenance");
            rest.insert("adapters".into(), own.into());
        }
        if hypernet::is_hypernet(&dir) {
            let mut own = super::hypernet::contents(&dir)?;
            own.shift_remove("provenance");
            rest.insert("hypernet".into(), own.into());
        }
        let config = dir.join(hf::CONFIG);
        if config.is_file() {
            let config: crate::model::ModelConfig = hf::read_json(&config)?;
            rest.extend(super::model::parameters(&config));
            rest.extend(super::model::sizes(&config));
        }
    }
    let log = path.join("log.jsonl");
    if log.is_file() {
        let file = fs::File::open(&log).map_err(|e| Error::io("read", &log, e))?;
        let mut summary = lines::inspect(LineReader::new(log, Box::new(file)), Some("jsonl"))?;
        for key in ["type", "path", "kind", "fields"] {
            summary.shift_remove(key);
        }
        rest.insert("log".into(), summary.into());
    }
    Ok(facts(path, "training_run", rest))
}

/// The plain values of a state.json, and the settings; no random streams or cursors.
pub fn state(path: &Path) -> Result<Facts> {
    let value: Value = hf::read_json(path)?;
    let Value::Object(map) = value else {
        return Err(Error::artifact("run state is not an object").at(path));
    };
    Ok(map
        .into_iter()
        .filter(|(k, v)| !v.is_array() && (!v.is_object() || k == "best" || k == "settings"))
        .filter(|(_, v)| !v.is_null())
        .collect())
}
