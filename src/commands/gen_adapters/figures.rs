//! Language vectors as pictures: points in a plane, and how near each is to each.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::write_bytes;
use crate::methods::geometry;
use crate::profiling::cluster;
use crate::report::{HeatMap, Join, Scatter};

/// Writes `vectors-ROLE.svg` and `similarity-ROLE.svg` into a directory, replacing what has these
/// names there, and returns their paths. `role` is `source`, `target` or, for one table on both
/// sides, `language`; `groups` holds one name per language, empty for none; `vectors` is
/// `[n, dim]`.
///
/// # Errors
/// Artifact: a vector holds a value that is not finite. Environment: the files cannot be written.
pub fn write(
    dir: &Path,
    role: &str,
    names: &[String],
    groups: Option<&[String]>,
    vectors: &[Vec<f64>],
) -> Result<Vec<PathBuf>> {
    for (name, vector) in names.iter().zip(vectors) {
        if let Some(value) = vector.iter().find(|x| !x.is_finite()) {
            return Err(Error::artifact("vector of a language is not finite")
                .key(name.as_str())
                .found(value.to_string()));
        }
    }
    let groups = groups.unwrap_or_default();
    let figures = [
        ("vectors", scatter(role, names, groups, vectors)),
        ("similarity", heat_map(role, names, groups, vectors)),
    ];
    let mut paths = Vec::new();
    for (what, svg) in figures {
        let path = dir.join(format!("{what}-{role}.svg"));
        write_bytes(&path, svg.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}

fn scatter(role: &str, names: &[String], groups: &[String], vectors: &[Vec<f64>]) -> String {
    let plane = geometry::project(vectors);
    let [x, y] = plane.explained.map(|share| format!("{:.1} % of the variance", 100.0 * share));
    let figure = Scatter {
        title: &title("Language vectors", role),
        subtitle: "principal components of the centred vectors",
        x_label: &format!("component 1 ({x})"),
        y_label: &format!("component 2 ({y})"),
        labels: names,
        groups,
        points: &plane.points,
    };
    figure.to_svg()
}

fn heat_map(role: &str, names: &[String], groups: &[String], vectors: &[Vec<f64>]) -> String {
    let values = geometry::similarity(vectors).concat();
    let (order, clusters) = cluster(&values, vectors.len());
    let joins: Vec<Join> =
        clusters.iter().map(|c| Join { left: c.left, right: c.right, height: c.height }).collect();
    let figure = HeatMap {
        title: &title("Similarity of language vectors", role),
        subtitle: "cosines; ordered by similarity (average linkage)",
        labels: names,
        families: groups,
        values: &values,
        order: &order,
        joins: &joins,
        unit: "cosine",
    };
    figure.to_svg()
}

fn title(what: &str, role: &str) -> String {
    match role {
        "language" => what.to_string(),
        _ => format!("{what}, {role} side"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn both_figures_are_written_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (langs, families) =
            (names(&["de", "nl", "es", "pt"]), names(&["Germanic", "Germanic", "Romance", ""]));
        let vectors =
            [[3.0, 0.1, 0.0], [2.9, -0.1, 0.0], [-3.0, 0.0, 1.0], [-3.0, 0.0, -1.0]].map(Vec::from);
        let paths = write(dir.path(), "source", &langs, Some(&families), &vectors).unwrap();
        let expected =
            ["vectors-source.svg", "similarity-source.svg"].map(|name| dir.path().join(name));
        assert_eq!(paths, expected);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let (points, cells) = (read(&paths[0]), read(&paths[1]));
        // Sums of squares about the mean: 35.41 along the first axis of 37.43 in all.
        assert!(points.contains("component 1 (94.6 % of the variance)"));
        assert!(points.contains("Language vectors, source side") && points.contains(">Romance<"));
        // (9 - 1) / 10, and German stands beside Dutch.
        assert!(cells.contains("es / pt: 0.80") && cells.contains("de / es: -0.95"));
        assert!(cells.contains("Similarity of language vectors, source side"));
        // Again, then others with the same names.
        write(dir.path(), "source", &langs, Some(&families), &vectors).unwrap();
        assert_eq!((read(&paths[0]), read(&paths[1])), (points.clone(), cells));
        write(dir.path(), "source", &langs, None, &vectors).unwrap();
        assert!(read(&paths[0]) != points && !read(&paths[0]).contains("Romance"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn one_language_has_figures_and_what_is_not_finite_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let one = write(dir.path(), "language", &names(&["de"]), None, &[vec![1.0; 4]]).unwrap();
        assert!(std::fs::read_to_string(&one[0]).unwrap().contains("<title>Language vectors<"));
        let langs = names(&["de", "nl"]);
        let bad = [vec![1.0, 2.0], vec![f64::NAN, 0.0]];
        let error = write(dir.path(), "target", &langs, None, &bad).unwrap_err();
        assert!(error.to_string().contains("nl"), "{error}");
        assert!(!dir.path().join("vectors-target.svg").exists());
    }
}
