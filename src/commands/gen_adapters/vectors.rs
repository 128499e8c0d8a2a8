//! `--embeddings`: the vectors of a hyper-network's languages, as records and figures.

use std::path::Path;

use super::{Args, figures};
use crate::cli::Context;
use crate::error::{Error, Result};
use crate::io::{read_text, write_bytes};
use crate::methods::geometry;
use crate::methods::hyper::HyperNetwork;
use crate::records::{EmbeddingProjection, LanguageSimilarity, LanguageVector};
use crate::scoring::corpus::UnitKey;
use crate::scoring::labels::{LabelOf, Labels};

/// The records, beside the figures.
const FILE: &str = "languages.jsonl";

/// Writes records and figures of every table of languages into `target`.
pub fn write(args: &Args, context: &Context, network: &HyperNetwork, target: &Path) -> Result<()> {
    if target.join(FILE).exists() && !context.force {
        return Err(Error::environment("output exists")
            .at(target.join(FILE))
            .hint("`--force` replaces it"));
    }
    // What is wrong with labels, before there is a directory.
    groups(args, &[])?;
    if context.dry_run {
        return Ok(());
    }
    std::fs::create_dir_all(target).map_err(|e| Error::io("create directory", target, e))?;
    let mut lines = String::new();
    for table in network.config.language_tables() {
        let own = network.config.languages(table);
        // Vectors that were never trained say nothing.
        let trained = |l: &&str| {
            let row = network.config.rows.get(&format!("{table}.{l}"));
            row.is_some_and(|r| r.is_trained())
        };
        let (names, idle): (Vec<&str>, Vec<&str>) = own.into_iter().partition(trained);
        if !idle.is_empty() {
            context.report.warning(
                &Error::artifact("vectors that have had no update are left out")
                    .at(&args.run)
                    .found(idle.join(", ")),
            );
        }
        if names.is_empty() {
            continue;
        }
        let names: Vec<String> = names.into_iter().map(str::to_string).collect();
        let vectors: Vec<Vec<f64>> = names
            .iter()
            .map(|l| Ok(network.vector(table, l)?.into_iter().map(f64::from).collect()))
            .collect::<Result<_>>()?;
        let groups = groups(args, &names)?;
        for line in records(table, &names, groups.as_deref(), &vectors)? {
            lines.push_str(&line);
            lines.push('\n');
        }
        for path in figures::write(target, table, &names, groups.as_deref(), &vectors)? {
            context.report.status(format!("figure: {}", path.display()));
        }
    }
    write_bytes(&target.join(FILE), lines.as_bytes())
}

fn records(
    role: &str,
    names: &[String],
    groups: Option<&[String]>,
    vectors: &[Vec<f64>],
) -> Result<Vec<String>> {
    fn line(record: &impl serde::Serialize) -> Result<String> {
        serde_json::to_string(record)
            .map_err(|e| Error::bug("cannot encode a record").cause(e.to_string()))
    }
    let plane = geometry::project(vectors);
    let mut lines = vec![line(&EmbeddingProjection {
        role: role.into(),
        method: "pca".into(),
        explained_x_frac: plane.explained[0],
        explained_y_frac: plane.explained[1],
        num_languages: names.len(),
    })?];
    for (i, (name, vector)) in names.iter().zip(vectors).enumerate() {
        lines.push(line(&LanguageVector {
            lang: name.clone(),
            role: role.into(),
            group: groups.map(|g| g[i].clone()).filter(|g| !g.is_empty()),
            vector: vector.clone(),
            x: plane.points[i][0],
            y: plane.points[i][1],
            norm: geometry::norm(vector),
            trained: true,
        })?);
    }
    let similarity = geometry::similarity(vectors);
    for (i, a) in names.iter().enumerate() {
        for (j, b) in names.iter().enumerate().skip(i + 1) {
            lines.push(line(&LanguageSimilarity {
                lang_a: a.clone(),
                lang_b: b.clone(),
                role: role.into(),
                cosine_frac: similarity[i][j],
            })?);
        }
    }
    Ok(lines)
}

/// A label for each language, empty where there is none.
fn groups(args: &Args, names: &[String]) -> Result<Option<Vec<String>>> {
    let Some(path) = &args.groups else { return Ok(None) };
    let labels = Labels::parse(path, &read_text(path)?).map_err(|e| e.at(path))?;
    let columns: Vec<String> = labels.names().into_iter().step_by(3).collect();
    let column = args.by.clone().or_else(|| columns.first().cloned()).unwrap_or_default();
    let at = match labels.column(&column) {
        Some((at, LabelOf::Pair)) => at,
        _ => {
            return Err(Error::usage(format!("the labels have no column `{column}`"))
                .flag("--by")
                .expected(columns.join(", "))
                .suggest(&column, columns.iter().map(String::as_str)));
        }
    };
    let label = |lang: &String| {
        let key = UnitKey { src_lang: Some(lang.clone()), tgt_lang: None, fields: Vec::new() };
        labels.label(&key, at, LabelOf::Source).unwrap_or_default()
    };
    Ok(Some(names.iter().map(label).collect()))
}
