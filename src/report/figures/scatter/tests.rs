use super::super::svg::check::well_formed;
use super::*;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("l{i:02}")).collect()
}

/// A sunflower's seeds: apart from each other, without rows.
fn seeds(n: usize) -> Vec<[f64; 2]> {
    let seed = |i: usize| {
        let (r, turn) = ((i as f64 + 0.5).sqrt(), i as f64 * 2.399_963);
        [3.0 * r * turn.cos(), r * turn.sin()]
    };
    (0..n).map(seed).collect()
}

fn scatter(labels: &[String], groups: &[String], points: &[[f64; 2]]) -> String {
    let figure = Scatter {
        title: "Language vectors",
        subtitle: "of the source side",
        x_label: "component 1 (61.5 % of the variance)",
        y_label: "component 2 (12.0 % of the variance)",
        labels,
        groups,
        points,
    };
    let svg = figure.to_svg();
    well_formed(&svg);
    in_view(&svg);
    assert_eq!(svg, figure.to_svg());
    svg
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[start..].split('"').next()
}

/// Texts as wide as they can be, circles and the ends of lines lie within the view box, and no
/// tag has two classes.
fn in_view(svg: &str) {
    let number = |tag: &str, name: &str| -> f64 {
        attribute(tag, name).unwrap_or_else(|| panic!("{name} of {tag}")).parse().unwrap()
    };
    let (wide, tall) = (number(svg, "width"), number(svg, "height"));
    let inside = |x: f64, y: f64, what: &str| {
        let most = (wide + 0.01, tall + 0.01);
        assert!(x >= -0.01 && x <= most.0 && y >= -0.01 && y <= most.1, "{x} {y} {what}");
    };
    for part in svg.split('<').filter(|p| p.starts_with("text ")) {
        let (tag, text) = part.split_once('>').unwrap();
        let (size, plain) = (number(tag, "font-size"), text.replace("&#39;", "'"));
        let long = width(&plain, size);
        let (low, high) = match attribute(tag, "text-anchor") {
            None => (0.0, long),
            Some("middle") => (-long / 2.0, long / 2.0),
            Some(_) => (-long, 0.0),
        };
        match attribute(tag, "transform") {
            Some(upright) => {
                let at = upright.trim_start_matches("translate(").split(')').next().unwrap();
                let (x, y) = at.split_once(' ').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                inside(x - size, y - high, text);
                inside(x, y - low, text);
            }
            None => {
                let (x, y) = (number(tag, "x"), number(tag, "y"));
                inside(x + low, y - size, text);
                inside(x + high, y, text);
            }
        }
    }
    for part in svg.split('<') {
        assert!(part.split('>').next().unwrap().matches(" class=").count() <= 1, "{part}");
    }
    for tag in svg.split('<').filter(|p| p.starts_with("circle ")) {
        let [x, y, r] = ["cx", "cy", "r"].map(|name| number(tag, name));
        inside(x - r, y - r, tag);
        inside(x + r, y + r, tag);
    }
    for tag in svg.split('<').filter(|p| p.starts_with("path ")) {
        let data = attribute(tag, "d").unwrap().trim_start_matches('M').trim_end_matches('Z');
        for corner in data.split('L') {
            let (x, y) = corner.split_once(' ').unwrap();
            inside(x.parse().unwrap(), y.parse().unwrap(), tag);
        }
    }
}

/// Where the circles are.
fn circles(svg: &str) -> Vec<(f64, f64)> {
    let of = |tag: &str, name| attribute(tag, name).unwrap().parse::<f64>().unwrap();
    let tags = svg.split('<').filter(|p| p.starts_with("circle "));
    tags.map(|tag| (of(tag, "cx"), of(tag, "cy"))).collect()
}

#[test]
fn every_size_has_all_points_and_labels() {
    for n in [1, 2, 13, 60, 200] {
        let (labels, points) = (names(n), seeds(n));
        let groups: Vec<String> = (0..n).map(|i| format!("f{}", i % 5)).collect();
        for groups in [&groups[..], &[]] {
            let svg = scatter(&labels, groups, &points);
            assert!(labels.iter().all(|l| svg.contains(&format!(">{l}</text>"))));
            assert_eq!(circles(&svg).len(), n + groups.len().min(5));
            assert!(!svg.contains("without a place") && !svg.contains("no data"));
            assert!(svg.contains(">component 1 (61.5 % of the variance)</text>"));
            assert!(svg.contains(&format!("Scatter plot of {n} points, component 1")));
        }
    }
    assert!(scatter(&[], &[], &[]).contains("no data"));
}

#[test]
fn labels_do_not_overlap() {
    for n in [13, 60] {
        let figure = Scatter { labels: &names(n), points: &seeds(n), ..EMPTY };
        let svg = figure.to_svg();
        // Few need a line to their marker.
        assert!(svg.matches("ig-leader").count() <= n / 10, "{n}");
    }
    // All in one place: a ring of labels around it.
    let svg = scatter(&names(13), &[], &[[0.25, -3.0]; 13]);
    let texts: BTreeSet<(&str, &str)> = svg
        .split('<')
        .filter(|p| p.starts_with("text ") && p.contains(">l"))
        .map(|p| (attribute(p, "x").unwrap(), attribute(p, "y").unwrap()))
        .collect();
    assert_eq!(texts.len(), 13);
    assert_eq!(circles(&svg).iter().collect::<Vec<_>>().len(), 13);
}

#[test]
fn distances_keep_their_ratio_and_y_points_up() {
    let points = [[0.0, 0.0], [10.0, 0.0], [0.0, 5.0]];
    let at = circles(&scatter(&names(3), &[], &points));
    let (right, up) = (at[1].0 - at[0].0, at[0].1 - at[2].1);
    assert!(right > 400.0 && (right - 2.0 * up).abs() < 0.05, "{right} {up}");
    assert_eq!((at[1].1, at[2].0), (at[0].1, at[0].0));
    // A tall one is not wider than it may be high.
    let at = circles(&scatter(&names(2), &[], &[[0.0, 0.0], [0.1, 40.0]]));
    assert!(at[0].1 - at[1].1 > 400.0 && (at[1].0 - at[0].0) < 2.0);
}

#[test]
fn groups_are_coloured_by_name_as_in_the_legend() {
    let groups = ["b", "", "a"].map(str::to_string);
    let svg = scatter(&names(3), &groups, &seeds(3));
    // On the point and in the legend; `a` comes first.
    assert_eq!((svg.matches("#e69f00").count(), svg.matches("#56b4e9").count()), (2, 2));
    assert_eq!(svg.matches("<circle").count(), 5);
    assert!(svg.contains("<title>l00 (b): ") && svg.contains("<title>l01: "));
    assert_eq!(svg.matches("fill=\"none\"/></g>").count(), 1);
    // Later rounds of the palette have other shapes.
    let svg = scatter(&names(27), &names(27), &seeds(27));
    assert_eq!(svg.matches("<circle").count(), 16);
    assert_eq!(svg.matches("#e69f00").count(), 8);
    // Names that are not one for each.
    let bare = scatter(&names(3), &[], &seeds(3));
    assert_eq!(scatter(&names(3), &groups[..2], &seeds(3)), bare);
    assert_eq!(bare.matches("#56b4e9").count(), 3);
}

#[test]
fn numbers_that_are_none_are_left_out_and_far_ones_are_drawn() {
    let points = [[0.0, f64::NAN], [f64::INFINITY, 0.0], [1.0, 2.0], [1e101, 0.0]];
    let svg = scatter(&names(4), &[], &points);
    assert!(svg.contains("3 without a place") && svg.contains("of 1 points"));
    assert!(svg.contains("<title>l02: 1.0000, 2.0000</title>"));
    assert!(!svg.contains(">l01<"));
    for points in [
        [[1e100, -1e100], [-1e100, 1e100]],
        [[1e50, 0.0], [1e50, 1.0]],
        [[1e6, 0.0], [1e6 + 2.0, 0.0]],
        [[1e-99, 0.0], [0.0, 1e-99]],
        [[1e-120, 0.0], [0.0, 0.0]],
        [[-3e-7, 5e-8], [2e-7, 1e-7]],
    ] {
        let svg = scatter(&names(2), &[], &points);
        assert_eq!(circles(&svg).len(), 2);
        // Some number on each axis, but not many.
        let numbers = svg.matches("ig-muted\"").count();
        assert!((4..30).contains(&numbers), "{numbers}");
    }
    assert!(scatter(&names(2), &[], &[[f64::NAN; 2]; 2]).contains("no data"));
    // Fewer points than labels.
    assert!(scatter(&names(3), &[], &seeds(2)).contains("1 without a place"));
}

#[test]
fn hostile_and_long_labels_are_escaped_and_clipped() {
    let long = "ä".repeat(300);
    let labels = ["<&\">'".to_string(), long.clone(), "M".repeat(30)];
    let svg = scatter(&labels, &labels, &seeds(3));
    assert!(svg.contains("<title>&lt;&amp;&quot;&gt;&#39; (&lt;&amp;&quot;&gt;&#39;): "));
    assert!(svg.contains(&format!(">{}…</text>", "ä".repeat(23))));
    assert!(!svg.contains(&format!(">{long}</text>")));
    let figure = Scatter { x_label: &long, y_label: &long, ..EMPTY };
    let svg = Scatter { labels: &names(2), points: &seeds(2), ..figure }.to_svg();
    well_formed(&svg);
    in_view(&svg);
}

#[test]
fn ticks_are_round_numbers() {
    assert_eq!(round_up(0.9), (1, 0));
    assert_eq!([1.0, 1.1, 3.0, 7.0].map(round_up), [(1, 0), (2, 0), (5, 0), (1, 1)]);
    assert_eq!(round_up(0.03), (5, -2));
    let all = [(3, -1), (-25, -2), (0, -3), (4, 2), (12, -7), (5, 9)];
    let texts = all.map(|(k, e)| written(k, e));
    assert_eq!(texts, ["0.3", "-0.25", "0", "400", "12e-7", "5e9"]);
    assert_eq!([0.0, -0.5, -2e-6, 12345.0].map(exact), ["0.0000", "-0.5000", "-2.00e-6", "1.23e4"]);
}

const EMPTY: Scatter<'static> = Scatter {
    title: "",
    subtitle: "",
    x_label: "",
    y_label: "",
    labels: &[],
    groups: &[],
    points: &[],
};
