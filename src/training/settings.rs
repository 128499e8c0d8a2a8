//! The settings that decide what a run computes, kept with it, and what changed when it is
//! started again.

use std::collections::BTreeMap;

use serde_json::Value;

/// Effective settings by flag name.
pub type Settings = BTreeMap<String, Value>;

/// Settings that may differ between the starts of one run: they change neither the
/// parameters nor the order of the data.
pub const HARMLESS: [&str; 23] = [
    "threads",
    "device",
    "progress",
    "progress_interval",
    "color",
    "quiet",
    "verbose",
    "json",
    "format",
    "force",
    "config",
    "resume",
    "overwrite",
    "max_minutes",
    "log_every",
    "save_every",
    "keep_last",
    "keep_best",
    "dry_run",
    "dump_config",
    "dump_batches",
    "gradient_checkpointing",
    "output",
];

/// Each difference as `name: old -> new`; empty when training would continue unchanged.
///
/// More steps are harmless unless the learning rate depends on the last step. A switch that is off
/// and an empty list are as good as absent: a later version may know more of them.
pub fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let ends_matter =
        matches!(new.get("lr_schedule").and_then(Value::as_str), Some("linear" | "cosine"));
    let show = |v: Option<&Value>| v.map_or_else(|| "(none)".to_string(), Value::to_string);
    names
        .into_iter()
        .filter(|n| !HARMLESS.contains(&n.as_str()))
        .filter(|n| ends_matter || !["max_steps", "max_epochs"].contains(&n.as_str()))
        .filter(|n| said(old.get(*n)) != said(new.get(*n)))
        .map(|n| format!("{n}: {} -> {}", show(old.get(n)), show(new.get(n))))
        .collect()
}

fn said(value: Option<&Value>) -> Option<&Value> {
    value.filter(|v| **v != Value::Bool(false) && !v.as_array().is_some_and(Vec::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: Value) -> Settings {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn names_what_differs() {
        let old = settings(serde_json::json!({"lr": 0.1, "threads": 1, "max_steps": 5}));
        let new = settings(serde_json::json!({"lr": 0.2, "threads": 2, "max_steps": 9, "x": true}));
        assert_eq!(differences(&old, &new), ["lr: 0.1 -> 0.2", "x: (none) -> true"]);
        let line = |n| settings(serde_json::json!({"lr_schedule": "linear", "max_steps": n}));
        assert_eq!(differences(&line(5), &line(9)), ["max_steps: 5 -> 9"]);
        assert!(differences(&line(5), &line(5)).is_empty());
        let older = settings(serde_json::json!({"list": [], "switch": false}));
        assert!(differences(&older, &settings(serde_json::json!({}))).is_empty());
        let on = settings(serde_json::json!({"list": [1], "switch": true}));
        assert_eq!(differences(&older, &on).len(), 2);
        let again = settings(serde_json::json!({"gradient_checkpointing": true}));
        assert!(differences(&older, &again).is_empty());
    }
}
