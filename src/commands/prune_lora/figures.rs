//! Heat maps of what is left: adapters by layer, and adapters by module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Done;
use crate::error::Result;
use crate::io::refuse_existing;
use crate::records::LoraModuleRecord;
use crate::report::Grid;

/// Figures as files to be written; refused before anything is, when others stand there.
pub fn draw(done: &Done, dir: &Path, force: bool) -> Result<Vec<(PathBuf, String)>> {
    let rows: Vec<String> = done.adapters.iter().cloned().collect();
    let layer = |m: &LoraModuleRecord| (m.side.clone(), format!("{:03}", m.layer));
    let module = |m: &LoraModuleRecord| {
        let name = m.module.splitn(4, '.').nth(3).unwrap_or(&m.module);
        (m.side.clone(), name.to_string())
    };
    let figures = [
        ("layers.svg", "What is left of each adapter, by layer", chart(done, &rows, layer)),
        ("modules.svg", "What is left of each adapter, by module", chart(done, &rows, module)),
    ];
    let mut drawn = Vec::new();
    for (name, title, chart) in figures {
        let path = dir.join(name);
        let figure = Grid {
            title,
            subtitle: &format!(
                "entries of B that are not zero, of all there were; {}",
                done.criterion
            ),
            rows: &rows,
            columns: &chart.columns,
            row_groups: &[],
            column_groups: &chart.groups,
            values: &chart.values,
            unit: "share left",
        };
        let svg = figure.to_svg();
        if std::fs::read(&path).is_ok_and(|old| old == svg.as_bytes()) {
            continue;
        }
        refuse_existing(&path, force)?;
        drawn.push((path, svg));
    }
    Ok(drawn)
}

/// Side, and layer or module.
type Column = (String, String);

struct Chart {
    columns: Vec<String>,
    groups: Vec<String>,
    /// Row by row.
    values: Vec<f64>,
}

/// One column for each key, encoder first; a cell is the share of its modules' entries together.
fn chart(done: &Done, rows: &[String], key: impl Fn(&LoraModuleRecord) -> Column) -> Chart {
    let mut sums: BTreeMap<(&str, Column), (f64, f64)> = BTreeMap::new();
    let mut keys: BTreeSet<(bool, Column)> = BTreeSet::new();
    for m in &done.modules {
        let k = key(m);
        keys.insert((k.0 == "decoder", k.clone()));
        let sum = sums.entry((&m.adapter, k)).or_default();
        sum.0 += m.entries_kept as f64;
        sum.1 += m.entries as f64;
    }
    let mut values = Vec::new();
    for row in rows {
        for (_, k) in &keys {
            let sum = sums.get(&(row.as_str(), k.clone()));
            values.push(sum.map_or(f64::NAN, |(kept, all)| kept / all));
        }
    }
    let plain = |name: &str| name.parse::<usize>().map_or(name.to_string(), |n| n.to_string());
    Chart {
        columns: keys.iter().map(|(_, (_, name))| plain(name)).collect(),
        groups: keys.iter().map(|(_, (side, _))| side.clone()).collect(),
        values,
    }
}
