//! A record as text for people: keys and values in two columns, lists of objects as tables.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::{Map, Value};

const WIDTH: u16 = 100;

/// `path: kind` on the first line, the other facts below it.
pub fn facts_text(facts: &Map<String, Value>) -> String {
    let text = |key: &str| facts.get(key).and_then(Value::as_str).unwrap_or("?");
    let mut out = format!("{}: {}\n", clean(text("path")), clean(text("kind")));
    let rest: Map<String, Value> = facts
        .iter()
        .filter(|(k, _)| !["type", "path", "kind"].contains(&k.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    section(&rest, 2, &mut out);
    out
}

fn section(map: &Map<String, Value>, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let mut table = plain_table();
    let flush = |table: &mut Table, out: &mut String| {
        if table.row_count() > 0 {
            for line in table_lines(table) {
                out.push_str(&format!("{pad}{line}\n"));
            }
        }
        *table = plain_table();
    };
    for (key, value) in map {
        match value {
            Value::Array(rows) if !rows.is_empty() && rows.iter().all(Value::is_object) => {
                flush(&mut table, out);
                out.push_str(&format!("{pad}{}\n", clean(key)));
                for line in table_lines(&mut rows_table(rows)) {
                    out.push_str(&format!("{pad}  {line}\n"));
                }
            }
            Value::Object(inner) if inner.values().all(is_short) && inner.len() <= 6 => {
                let pairs: Vec<String> =
                    inner.iter().map(|(k, v)| format!("{} {}", clean(k), cell(k, v))).collect();
                table.add_row(vec![clean(key), pairs.join(", ")]);
            }
            Value::Object(inner) => {
                flush(&mut table, out);
                out.push_str(&format!("{pad}{}\n", clean(key)));
                section(inner, indent + 2, out);
            }
            _ => {
                table.add_row(vec![clean(key), cell(key, value)]);
            }
        }
    }
    flush(&mut table, out);
}

fn is_short(value: &Value) -> bool {
    !value.is_object() && !value.is_array() && value.as_str().is_none_or(|s| s.len() < 40)
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_constraints([ColumnConstraint::LowerBoundary(Width::Fixed(18))]);
    table
}

/// The text of a table, its first column flush with the left margin.
fn table_lines(table: &mut Table) -> Vec<String> {
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    table.lines().map(|line| line.trim_end().to_string()).collect()
}

fn rows_table(rows: &[Value]) -> Table {
    let mut columns: Vec<&String> = Vec::new();
    for key in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !columns.contains(&key) {
            columns.push(key);
        }
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|c| clean(c)));
    for row in rows {
        table.add_row(columns.iter().map(|c| row.get(*c).map_or(String::new(), |v| cell(c, v))));
    }
    for (i, key) in columns.iter().enumerate() {
        let numeric = rows.iter().filter_map(|r| r.get(*key)).all(Value::is_number);
        if let (true, Some(column)) = (numeric, table.column_mut(i)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// One value; sizes and counts in units people read, exact value beside them.
fn cell(key: &str, value: &Value) -> String {
    match value {
        Value::String(s) => clean(s),
        Value::Number(n) => match n.as_u64() {
            Some(bytes) if key.ends_with("_bytes") && bytes >= 1024 => {
                format!("{} ({bytes} bytes)", scaled(bytes as f64, 1024.0, &["KiB", "MiB", "GiB"]))
            }
            Some(count) if key == "num_parameters" && count >= 1000 => {
                format!("{} ({count})", scaled(count as f64, 1000.0, &["k", "M", "G"]))
            }
            _ => n.to_string(),
        },
        Value::Array(list) if list.iter().all(Value::is_number) => {
            let items: Vec<String> = list.iter().map(|v| v.to_string()).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).map(clean).collect::<Vec<_>>().join(" ")
        }
        Value::Null => "-".into(),
        other => clean(&other.to_string()),
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = value / base;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// Control characters of hostile files must not reach a terminal.
fn clean(s: &str) -> String {
    const LIMIT: usize = 4000;
    let mut out = String::with_capacity(s.len().min(LIMIT));
    for (i, c) in s.chars().enumerate() {
        if i == LIMIT {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_aligned_and_clean() {
        let Value::Object(map) = serde_json::json!({
            "type": "inspection", "path": "m\u{1b}[31m", "kind": "parallel_text",
            "num_parameters": 7_578_624, "size_bytes": 30_329_624, "languages": ["de", "en"],
            "parts": {"encoder": 1, "decoder": 2},
            "directions": [{"lang_pair": "en-de", "records": 5}, {"lang_pair": "x", "hyp": 1.5}],
        }) else {
            unreachable!()
        };
        let text = facts_text(&map);
        assert!(text.starts_with("m\\u{1b}[31m: parallel_text\n"), "{text}");
        for part in
            ["7.6 M (7578624)", "28.9 MiB (30329624 bytes)", "de en", "encoder 1, decoder 2"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().any(|l| l.split_whitespace().eq(["en-de", "5"])), "{text}");
    }
}
