use super::svg::check::well_formed;
use super::*;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("l{i:02}-en")).collect()
}

/// Similar where the indices are.
fn matrix(n: usize) -> Vec<f64> {
    let cell = |i: usize, j: usize| 1.0 / (1.0 + 0.2 * i.abs_diff(j) as f64);
    (0..n * n).map(|k| cell(k / n, k % n)).collect()
}

/// A comb: every leaf joins all before it.
fn comb(n: usize) -> Vec<Join> {
    let left = |i: usize| if i == 0 { 0 } else { n + i - 1 };
    let height = |i: usize| 0.1 + i as f64 / n as f64;
    (0..n.saturating_sub(1))
        .map(|i| Join { left: left(i), right: i + 1, height: height(i) })
        .collect()
}

fn heat_map(labels: &[String], values: &[f64], order: &[usize], joins: &[Join]) -> String {
    let families: Vec<String> = labels.iter().map(|l| l.chars().take(2).collect()).collect();
    let figure = HeatMap {
        title: "Overlap",
        subtitle: "of masks",
        labels,
        families: &families,
        values,
        order,
        joins,
        unit: "IoU",
    };
    figure.to_svg()
}

#[test]
fn every_size_is_well_formed_with_all_cells() {
    for n in [0, 1, 2, 3, 16, 17, 60] {
        let order: Vec<usize> = (0..n).collect();
        let svg = heat_map(&names(n), &matrix(n), &order, &comb(n));
        well_formed(&svg);
        assert_eq!(svg.matches(" / ").count(), n * n);
        assert_eq!(svg.matches("ig-join").count(), n.saturating_sub(1));
        assert_eq!(svg, heat_map(&names(n), &matrix(n), &order, &comb(n)));
    }
}

#[test]
fn rows_and_labels_follow_the_order() {
    let labels = names(3);
    let svg = heat_map(&labels, &matrix(3), &[2, 0, 1], &[]);
    let at = |text: &str| svg.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("l02-en / l02-en") < at("l02-en / l00-en"));
    assert!(at("l02-en / l01-en") < at("l00-en / l02-en"));
    assert!(at(">l02-en</text>") < at(">l00-en</text>"));
    assert!(svg.contains("l02-en / l00-en: 0.71"));
    // No permutation: the input's order.
    assert_eq!(
        heat_map(&labels, &matrix(3), &[0, 0, 7], &[]),
        heat_map(&labels, &matrix(3), &[0, 1, 2], &[])
    );
}

#[test]
fn missing_values_are_dashes() {
    let values = [1.0, f64::NAN, f64::INFINITY, 7.0];
    let svg =
        heat_map(&names(2), &values, &[0, 1], &[Join { left: 0, right: 1, height: f64::NAN }]);
    well_formed(&svg);
    assert!(svg.contains("l00-en / l01-en: –") && svg.contains("l01-en / l01-en: –"));
    assert!(svg.contains("no value"));
    // Fewer values than cells.
    well_formed(&heat_map(&names(20), &[1.0, 0.5], &[], &[]));
}

/// Cosines: the colours reach from the lowest to the highest, below 0 too.
#[test]
fn negative_similarities_have_colours_and_numbers() {
    let values = [1.0, -1.0, 0.25, -1.0, 1.0, -0.5, 0.25, -0.5, 1.0];
    let joins =
        [Join { left: 0, right: 2, height: 0.75 }, Join { left: 3, right: 1, height: 1.75 }];
    let svg = heat_map(&names(3), &values, &[0, 2, 1], &joins);
    well_formed(&svg);
    assert!(!svg.contains("no value") && svg.contains("IoU from -1.00 to 0.25"));
    assert!(svg.contains("l00-en / l01-en: -1.00") && svg.contains("l02-en / l01-en: -0.50"));
    let square = |number: &str| {
        let before = svg.split(&format!(">{number}</text>")).next().unwrap_or_default();
        before.rsplit("<rect").next().unwrap_or_default().to_string()
    };
    // The ends of the palette; -0.5 is at 0.4 of the way.
    assert!(square("-1.00").contains("#440154") && square("0.25").contains("#fde725"));
    assert_eq!(svg.matches("ig-join").count(), 2);
}

#[test]
fn hostile_labels_are_escaped() {
    let labels = ["<&\">".to_string(), "\u{1}]]>\n".to_string()];
    let svg = heat_map(&labels, &matrix(2), &[0, 1], &[]);
    well_formed(&svg);
    assert!(svg.contains("&lt;&amp;&quot;&gt; / \\u{1}]]&gt;\\n: 0.83"));
}

#[test]
fn curves_of_every_shape_are_well_formed() {
    let ticks = names(6);
    let points: Vec<(f64, f64, f64)> =
        (0..6).map(|i| (0.1 * i as f64, 0.05 * i as f64, 0.15 * i as f64)).collect();
    let broken = [(0.2, f64::NAN, 0.3), (f64::NAN, 0.1, 0.2), (0.4, 0.3, f64::INFINITY)];
    let far = [(1e300, -1e300, f64::NEG_INFINITY)];
    let all: [&[(f64, f64, f64)]; 5] = [&points, &broken, &far, &[], &points[..2]];
    for count in [0, 1, 5, 40] {
        let series: Vec<Series> =
            (0..count).map(|i| Series { name: "<&\">", points: all[i % all.len()] }).collect();
        for ticks in [&ticks[..], &ticks[..1], &[]] {
            let figure = Curves {
                title: "T & T",
                subtitle: "",
                x_label: "layer",
                y_label: "IoU",
                ticks,
                series: &series,
            };
            let svg = figure.to_svg();
            well_formed(&svg);
            assert_eq!(svg, figure.to_svg());
            assert_eq!(svg.matches("quartiles ").count(), {
                let finite = |s: &Series| s.points.iter().filter(|p| p.0.is_finite()).count();
                series.iter().map(finite).sum::<usize>()
            });
        }
    }
}
