//! A table of shares as coloured cells: the rows and columns are different things.

use std::collections::BTreeSet;

use super::colour::{hex, ink_on, sequential};
use super::heat_map::swatch;
use super::scale::Scale;
use super::svg::{
    AXIS, Anchor, Canvas, Header, MUTED, PAD, TEXT, clip, escape, num, shown, widest, width,
};

const LONGEST: usize = 40;
/// Of a column group's name over few columns; a wide group has room for more.
const LONGEST_NARROW: usize = 16;
const STRIP: f64 = 9.0;
/// Between column groups.
const GAP: f64 = 10.0;
/// Of the column groups' names.
const HEADING: f64 = 22.0;

pub struct Grid<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    /// n labels, drawn from top to bottom
    pub rows: &'a [String],
    /// m labels, drawn upright above the cells
    pub columns: &'a [String],
    /// one group name per row, or empty: drawn as a coloured strip with a legend; a row with an
    /// empty name gets no colour
    pub row_groups: &'a [String],
    /// one group name per column, or empty: adjacent columns of one name stand together under it
    pub column_groups: &'a [String],
    /// n x m, row-major, 0..=1; what is no number or lies outside is drawn as missing
    pub values: &'a [f64],
    /// what a value is, for the colour bar: e.g. "surviving share"
    pub unit: &'a str,
}

/// Adjacent columns of one group.
struct Span<'a> {
    group: &'a str,
    /// Shortened.
    name: String,
    left: f64,
    /// Of the cells; the name may be wider.
    wide: f64,
}

/// What is worked out before anything is drawn.
struct Layout<'a> {
    spans: Vec<Span<'a>>,
    /// Left edge of each column, from the corner.
    edges: Vec<f64>,
    /// The row groups' names, sorted: a group keeps its colour when only the order changes.
    groups: Vec<&'a str>,
    /// Shortened, as `columns`.
    rows: Vec<String>,
    columns: Vec<String>,
    scale: Option<Scale>,
    /// Width and height from one cell to the next.
    cell: (f64, f64),
    /// Font size of the numbers, where they fit.
    number: Option<f64>,
    /// Upper left corner of the cells.
    corner: (f64, f64),
    /// Left edge of the colour bar and the legend.
    side: f64,
}

impl Grid<'_> {
    pub fn to_svg(&self) -> String {
        if self.rows.is_empty() || self.columns.is_empty() {
            return self.no_data();
        }
        let mut layout = self.layout();
        let unit = clip(self.unit, LONGEST);
        let names: Vec<String> = layout.groups.iter().map(|g| clip(g, LONGEST)).collect();
        let side = widest([unit.as_str()], 11.0)
            .max(widest(names.iter().map(String::as_str), 11.0) + 18.0)
            .max(if self.gaps() { width("no value", 11.0) + 18.0 } else { 0.0 })
            .max(56.0);
        let header = Header::new(self.title, self.subtitle, layout.side + side - PAD);
        layout.corner.1 += header.bottom();
        let mut canvas = Canvas::default();
        header.draw(&mut canvas);
        self.cells(&mut canvas, &layout);
        self.row_labels(&mut canvas, &layout);
        column_labels(&mut canvas, &layout);
        let tall = layout.cell.1 * self.rows.len() as f64;
        let mut y = layout.corner.1;
        if let Some(scale) = layout.scale {
            y = scale.draw(&mut canvas, (layout.side, y), &unit, tall);
        }
        y = self.legend(&mut canvas, &layout, &names, y);
        let full = (layout.side + side).max(PAD + header.width()) + PAD;
        let bottom = y.max(layout.corner.1 + tall) + PAD;
        canvas.finish((full, bottom), self.title, &self.description(), "")
    }

    fn no_data(&self) -> String {
        let header = Header::new(self.title, self.subtitle, 0.0);
        let mut canvas = Canvas::default();
        header.draw(&mut canvas);
        let y = header.bottom() + 16.0;
        canvas.text((PAD, y), 12.0, Anchor::Start, MUTED, "no data");
        let size = (PAD + header.width().max(56.0) + PAD, y + PAD);
        canvas.finish(size, self.title, &self.description(), "")
    }

    fn layout(&self) -> Layout<'_> {
        let (n, m) = (self.rows.len(), self.columns.len());
        let wide = match m {
            0..=8 => 52.0,
            9..=16 => 36.0,
            _ => (720.0 / m as f64).floor().clamp(12.0, 30.0),
        };
        let tall = (600.0 / n as f64).floor().clamp(12.0, 24.0);
        let number =
            [11.0, 10.0].into_iter().find(|&f| width("0.00", f) + 4.0 < wide && tall >= 16.0);
        let groups: BTreeSet<&str> = match self.row_groups.len() == n {
            true => self.row_groups.iter().map(String::as_str).filter(|g| !g.is_empty()).collect(),
            false => BTreeSet::new(),
        };
        let (spans, edges, end) = self.spans(wide);
        let rows: Vec<String> = self.rows.iter().map(|l| clip(l, LONGEST)).collect();
        let columns: Vec<String> = self.columns.iter().map(|l| clip(l, LONGEST)).collect();
        let strip = if groups.is_empty() { 0.0 } else { STRIP + 3.0 };
        let left = PAD + widest(rows.iter().map(String::as_str), font(tall)).ceil() + 5.0 + strip;
        let top = widest(columns.iter().map(String::as_str), font(wide)).ceil() + 5.0;
        let heading = if spans.iter().all(|s| s.name.is_empty()) { 0.0 } else { HEADING };
        Layout {
            scale: Scale::new(self.places().filter_map(|(i, j)| self.value(i, j))),
            spans,
            edges,
            groups: groups.into_iter().collect(),
            rows,
            columns,
            cell: (wide, tall),
            number,
            // The header's height is added once the width is known.
            corner: (left, heading + top),
            side: left + end + 20.0,
        }
    }

    /// The groups, the columns' left edges, and where the last column or name ends.
    fn spans(&self, wide: f64) -> (Vec<Span<'_>>, Vec<f64>, f64) {
        let m = self.columns.len();
        let runs: Vec<(&str, usize)> = match self.column_groups.len() == m {
            true => self
                .column_groups
                .chunk_by(|a, b| a == b)
                .map(|run| (run.first().map_or("", String::as_str), run.len()))
                .collect(),
            false => vec![("", m)],
        };
        let (mut spans, mut edges, mut end, mut left) = (Vec::new(), Vec::new(), 0.0, 0.0);
        for (group, count) in runs {
            let cells = wide * count as f64;
            let name = clip(group, LONGEST_NARROW.max((cells / 7.0) as usize));
            end = left + cells.max(width(&name, 11.0).ceil());
            edges.extend((0..count).map(|i| left + wide * i as f64));
            spans.push(Span { group, name, left, wide: cells });
            left = end + GAP;
        }
        (spans, edges, end)
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let m = self.columns.len();
        (0..self.rows.len()).flat_map(move |i| (0..m).map(move |j| (i, j)))
    }

    /// None where there is none, or none that the scale has a place for.
    fn value(&self, row: usize, column: usize) -> Option<f64> {
        let value = *self.values.get(row * self.columns.len() + column)?;
        // Adding zero takes the sign off a negative one.
        (-1e-6..=1.0 + 1e-6).contains(&value).then(|| value.clamp(0.0, 1.0) + 0.0)
    }

    fn gaps(&self) -> bool {
        self.places().any(|(i, j)| self.value(i, j).is_none())
    }

    fn cells(&self, canvas: &mut Canvas, layout: &Layout<'_>) {
        let columns: Vec<String> = self.columns.iter().map(|l| escape(l)).collect();
        let size = (inner(layout.cell.0), inner(layout.cell.1));
        canvas.put(format_args!("<g class=\"ig-cells\" shape-rendering=\"crispEdges\">\n"));
        for (i, row) in self.rows.iter().map(|l| escape(l)).enumerate() {
            let y = layout.corner.1 + i as f64 * layout.cell.1;
            for (j, (column, edge)) in columns.iter().zip(&layout.edges).enumerate() {
                let value = self.value(i, j);
                let exact = value.map_or("–".to_string(), |v| format!("{v:.3}"));
                canvas.put(format_args!("<g><title>{row} / {column}: {exact}</title>"));
                cell(canvas, layout, (layout.corner.0 + edge, y), size, value);
                canvas.put(format_args!("</g>\n"));
            }
        }
        canvas.put(format_args!("</g>\n"));
    }

    fn row_labels(&self, canvas: &mut Canvas, layout: &Layout<'_>) {
        let ((left, top), tall) = (layout.corner, layout.cell.1);
        let strip = if layout.groups.is_empty() { 0.0 } else { STRIP + 3.0 };
        let font = font(tall);
        for (i, label) in layout.rows.iter().enumerate() {
            let y = top + i as f64 * tall;
            let at = (left - strip - 5.0, y + inner(tall) / 2.0 + font * 0.36);
            canvas.text(at, font, Anchor::End, TEXT, label);
            let Some(group) = self.row_groups.get(i) else { continue };
            if let Some(index) = layout.groups.iter().position(|g| *g == group.as_str()) {
                let at = (left - STRIP - 3.0, y);
                swatch(canvas, at, (STRIP, inner(tall)), index, Some(group.as_str()));
            }
        }
    }

    /// Row groups, and what an empty cell means. Returns where it ends.
    fn legend(&self, canvas: &mut Canvas, layout: &Layout<'_>, names: &[String], top: f64) -> f64 {
        let (x, mut y) = (layout.side, top);
        for (index, name) in names.iter().enumerate() {
            swatch(canvas, (x, y), (12.0, 12.0), index, None);
            canvas.text((x + 18.0, y + 10.0), 11.0, Anchor::Start, TEXT, name);
            y += 17.0;
        }
        if self.gaps() {
            y += if names.is_empty() { 0.0 } else { 6.0 };
            empty_cell(canvas, (x, y), (12.0, 12.0));
            canvas.text((x + 18.0, y + 10.0), 11.0, Anchor::Start, TEXT, "no value");
            y += 17.0;
        }
        y
    }

    fn description(&self) -> String {
        let values = self.places().filter_map(|(i, j)| self.value(i, j));
        let (min, max) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let mut text = format!("Heat map, {} by {}", self.rows.len(), self.columns.len());
        if min <= max {
            text += &format!(", {} from {} to {}", self.unit, shown(min), shown(max));
        }
        if !self.subtitle.is_empty() {
            text += &format!(": {}", self.subtitle);
        }
        text
    }
}

/// Of the labels beside cells of this size.
fn font(cell: f64) -> f64 {
    (cell * 0.8).clamp(9.0, 12.0).floor()
}

/// A hair of background between large cells; small ones would lose their colour to it.
fn inner(cell: f64) -> f64 {
    cell - if cell >= 20.0 { 1.0 } else { 0.0 }
}

fn cell(
    canvas: &mut Canvas,
    layout: &Layout<'_>,
    at: (f64, f64),
    size: (f64, f64),
    value: Option<f64>,
) {
    let (Some(value), Some(scale)) = (value, layout.scale) else {
        return empty_cell(canvas, at, size);
    };
    let fill = sequential(scale.share(value));
    rect(canvas, at, size, &format!("fill=\"{}\"", hex(fill)));
    if let Some(font) = layout.number {
        let at = (at.0 + size.0 / 2.0, at.1 + size.1 / 2.0 + font * 0.36);
        let ink = format!("fill=\"{}\"", ink_on(fill));
        canvas.text(at, font, Anchor::Middle, &ink, &shown(value));
    }
}

/// The columns' labels, and above them the groups' names, each over a line as wide as its cells.
fn column_labels(canvas: &mut Canvas, layout: &Layout<'_>) {
    let ((left, top), wide) = (layout.corner, layout.cell.0);
    let font = font(wide);
    for (label, edge) in layout.columns.iter().zip(&layout.edges) {
        let at = (left + edge + inner(wide) / 2.0 + font * 0.36, top - 5.0);
        canvas.upright(at, font, Anchor::Start, TEXT, label);
    }
    let long = widest(layout.columns.iter().map(String::as_str), font).ceil();
    let y = top - 5.0 - long - 6.0;
    for span in layout.spans.iter().filter(|s| !s.name.is_empty()) {
        let x = left + span.left;
        canvas.put(format_args!("<g class=\"ig-span\"><title>{}</title>", escape(span.group)));
        canvas.text((x, y - 5.0), 11.0, Anchor::Start, MUTED, &span.name);
        canvas.line((x, y), (x + inner(span.wide), y), AXIS);
        canvas.put(format_args!("</g>\n"));
    }
}

fn rect(canvas: &mut Canvas, at: (f64, f64), size: (f64, f64), ink: &str) {
    let (x, y, w, h) = (num(at.0), num(at.1), num(size.0), num(size.1));
    canvas.put(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {ink}/>"));
}

/// A frame with a dash and without a colour.
fn empty_cell(canvas: &mut Canvas, at: (f64, f64), size: (f64, f64)) {
    let ink = format!("{AXIS} stroke-width=\"0.6\" stroke-dasharray=\"2 1.5\"");
    rect(canvas, (at.0 + 1.0, at.1 + 1.0), (size.0 - 2.0, size.1 - 2.0), &ink);
    let middle = (at.0 + size.0 / 2.0, at.1 + size.1 / 2.0 + 3.2);
    canvas.text(middle, 9.0, Anchor::Middle, MUTED, "–");
}

#[cfg(test)]
mod tests {
    use super::super::svg::check::well_formed;
    use super::*;

    fn names(prefix: &str, n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{prefix}{i}")).collect()
    }

    fn grid(rows: &[String], columns: &[String], groups: [&[String]; 2], values: &[f64]) -> String {
        let figure = Grid {
            title: "Shares",
            subtitle: "by layer",
            rows,
            columns,
            row_groups: groups[0],
            column_groups: groups[1],
            values,
            unit: "share",
        };
        let svg = figure.to_svg();
        well_formed(&svg);
        assert_eq!(svg, figure.to_svg());
        svg
    }

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_string).collect()
    }

    #[test]
    fn every_size_has_all_cells() {
        for (n, m) in [(0, 0), (0, 3), (3, 0), (1, 1), (4, 24), (3, 60), (80, 25)] {
            let values: Vec<f64> = (0..n * m).map(|k| k as f64 / (n * m) as f64).collect();
            let svg = grid(&names("r", n), &names("c", m), [&names("f", n), &[]], &values);
            assert_eq!(svg.matches(" / ").count(), n * m);
            assert_eq!(svg.contains("no data"), n * m == 0);
            assert!(!svg.contains("no value"));
            // The number of the first cell.
            assert_eq!(svg.contains("text-anchor=\"middle\""), n * m > 0 && m <= 24);
        }
    }

    #[test]
    fn titles_have_three_decimals_row_by_row() {
        let svg = grid(&names("r", 2), &names("c", 2), [&[], &[]], &[0.1234, 1.0, -0.0, 0.5]);
        for title in ["r0 / c0: 0.123", "r0 / c1: 1.000", "r1 / c0: 0.000", "r1 / c1: 0.500"] {
            assert!(svg.contains(&format!("<title>{title}</title>")), "{title}");
        }
        assert!(svg.contains(">0.12</text>") && svg.contains("share from 0.00 to 1.00"));
    }

    #[test]
    fn missing_values_are_dashes() {
        let values = [f64::NAN, 1.5, -0.1, f64::INFINITY, 0.5];
        let svg = grid(&names("r", 2), &names("c", 3), [&[], &[]], &values);
        // The sixth has no value at all; one more dash is the legend's.
        assert_eq!((svg.matches(": –<").count(), svg.matches(">–<").count()), (5, 6));
        assert!(svg.contains("no value") && svg.contains("r1 / c1: 0.500"));
        assert!(!grid(&names("r", 2), &names("c", 3), [&[], &[]], &[]).contains("ig-bar"));
    }

    #[test]
    fn hostile_and_long_labels_are_escaped_and_clipped() {
        let long = "ä".repeat(300);
        let rows = ["<&\">".to_string(), long.clone()];
        let groups = ["'\u{1}".to_string(), long.clone()];
        let svg = grid(&rows, &rows, [&groups, &groups], &[0.25; 4]);
        assert!(svg.contains("&lt;&amp;&quot;&gt; / &lt;&amp;&quot;&gt;: 0.250"));
        assert!(svg.contains(&format!("{long} / {long}: 0.250")));
        assert!(svg.contains(&format!(">{}…</text>", "ä".repeat(39))));
        assert!(svg.contains("&#39;\\u{1}") && !svg.contains(&format!(">{long}</text>")));
    }

    #[test]
    fn groups_are_coloured_and_set_apart() {
        let (rows, columns) = (names("r", 3), names("c", 4));
        let (families, parts) = (words("b,,a"), words("enc,enc,dec,dec"));
        let svg = grid(&rows, &columns, [&families, &parts], &[0.5; 12]);
        assert_eq!(svg.matches("ig-span").count(), 2);
        assert!(svg.contains("<title>enc</title>") && svg.contains(">dec</text>"));
        // Two on the strip and two in the legend, by name: `a` comes first.
        assert_eq!((svg.matches("#e69f00").count(), svg.matches("#56b4e9").count()), (2, 2));
        // Names without a column or row each are left out.
        let bare = grid(&rows, &columns, [&[], &[]], &[0.5; 12]);
        assert_eq!(grid(&rows, &columns, [&families[1..], &parts[1..]], &[0.5; 12]), bare);
    }

    #[test]
    fn columns_keep_clear_of_the_names_above() {
        let (columns, groups) = (names("c", 3), words("a long name,,b"));
        let figure = Grid { columns: &columns, column_groups: &groups, ..EMPTY };
        let (spans, edges, end) = figure.spans(12.0);
        assert_eq!(edges, spans.iter().map(|s| s.left).collect::<Vec<_>>());
        assert!(edges[1] >= width("a long name", 11.0) + GAP && end >= edges[2] + 12.0);
        assert_eq!(edges[2], edges[1] + 12.0 + GAP);
    }

    const EMPTY: Grid<'static> = Grid {
        title: "",
        subtitle: "",
        rows: &[],
        columns: &[],
        row_groups: &[],
        column_groups: &[],
        values: &[],
        unit: "",
    };
}
