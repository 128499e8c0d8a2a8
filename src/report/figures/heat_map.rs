//! A symmetric matrix of similarities as coloured cells.

use std::collections::BTreeSet;

use super::colour::{self, hex, ink_on, sequential};
use super::dendrogram::{AXIS_ROOM, Dendrogram, Join};
use super::scale::Scale;
use super::svg::{
    AXIS, Anchor, Canvas, Header, MUTED, NEUTRAL, PAD, TEXT, clip, escape, num, shown, widest,
};

/// Up to this many labels there is room for the numbers in the cells.
const MOST_NUMBERS: usize = 16;
const LONGEST: usize = 40;
const STRIP: f64 = 9.0;

pub struct HeatMap<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    /// n labels, in the input's order
    pub labels: &'a [String],
    /// one group name per label, or empty: drawn as a coloured strip with a legend beside the
    /// labels (e.g. language family); a label with an empty name gets no colour
    pub families: &'a [String],
    /// n x n, row-major, -1..=1 symmetric, diagonal 1; what is no number or lies outside -1..=1
    /// is drawn as missing
    pub values: &'a [f64],
    /// order in which rows and columns are drawn (a permutation of 0..n)
    pub order: &'a [usize],
    /// n - 1 joins or empty; drawn as a dendrogram left of the rows (leaf positions by `order`)
    pub joins: &'a [Join],
    /// what a value is, for the colour bar: e.g. "IoU"
    pub unit: &'a str,
}

/// What is worked out before anything is drawn.
struct Layout<'a> {
    order: Vec<usize>,
    tree: Option<Dendrogram<'a>>,
    /// The families' names, sorted: a family keeps its colour when only the order changes.
    families: Vec<&'a str>,
    /// Shortened, by label.
    labels: Vec<String>,
    scale: Option<Scale>,
    cell: f64,
    /// Of the labels.
    font: f64,
    /// Upper left corner of the cells.
    corner: (f64, f64),
    /// Left edge of the colour bar and the legend.
    side: f64,
}

impl HeatMap<'_> {
    pub fn to_svg(&self) -> String {
        let n = self.labels.len();
        let mut layout = self.layout();
        let numbers = layout.scale.map_or(Vec::new(), Scale::ticks);
        let names = layout.families.iter().map(|f| clip(f, LONGEST)).collect::<Vec<_>>();
        let unit = clip(self.unit, LONGEST);
        let side = widest([unit.as_str()], 11.0)
            .max(widest(names.iter().map(String::as_str), 11.0) + 18.0)
            .max(if self.gaps() { widest(["no value"], 11.0) + 18.0 } else { 0.0 })
            .max(if numbers.is_empty() { 0.0 } else { 56.0 });

        let header = Header::new(self.title, self.subtitle, layout.side + side - PAD);
        layout.corner.1 += header.bottom();
        let mut canvas = Canvas::default();
        header.draw(&mut canvas);
        let mut bottom = layout.corner.1 + layout.cell * n as f64;
        if n == 0 {
            bottom += 16.0;
            canvas.text((PAD, bottom), 12.0, Anchor::Start, MUTED, "no data");
        }
        if let Some(tree) = &layout.tree {
            tree.draw(&mut canvas, (PAD, layout.corner.1), layout.cell);
            bottom += AXIS_ROOM;
        }
        self.cells(&mut canvas, &layout);
        self.labels(&mut canvas, &layout);
        let mut y = layout.corner.1;
        if let Some(scale) = layout.scale {
            y = scale.draw(&mut canvas, (layout.side, y), &unit, layout.cell * n as f64);
        }
        y = self.legend(&mut canvas, &layout, y);
        let width = (layout.side + side).max(PAD + header.width()) + PAD;
        canvas.finish((width, y.max(bottom) + PAD), self.title, &self.description(), "")
    }

    fn layout(&self) -> Layout<'_> {
        let n = self.labels.len();
        let cell = match n {
            0..=4 => 52.0,
            5..=MOST_NUMBERS => 36.0,
            _ => (600.0 / n as f64).floor().clamp(12.0, 30.0),
        };
        let font = (cell * 0.8).clamp(9.0, 12.0).floor();
        let order = self.permutation();
        let tree = Dendrogram::new(self.joins, &order);
        let families: BTreeSet<&str> = match self.families.len() == n {
            true => self.families.iter().map(String::as_str).filter(|f| !f.is_empty()).collect(),
            false => BTreeSet::new(),
        };
        let labels: Vec<String> = self.labels.iter().map(|l| clip(l, LONGEST)).collect();
        let long = widest(labels.iter().map(String::as_str), font);
        let strip = if families.is_empty() { 0.0 } else { STRIP + 3.0 };
        let left = PAD + tree.as_ref().map_or(0.0, |t| t.width() + 4.0);
        let side = left + cell * n as f64 + strip + 5.0 + long + 20.0;
        Layout {
            scale: Scale::new(self.off_diagonal().filter_map(|(i, j)| self.value(i, j))),
            families: families.into_iter().collect(),
            order,
            tree,
            labels,
            cell,
            font,
            // The header's height is added once the width is known.
            corner: (left, if n == 0 { 0.0 } else { long + strip + 5.0 }),
            side,
        }
    }

    /// `order`, or the input's where it is none.
    fn permutation(&self) -> Vec<usize> {
        let n = self.labels.len();
        let ids: BTreeSet<usize> = self.order.iter().copied().filter(|&i| i < n).collect();
        match ids.len() == n && self.order.len() == n {
            true => self.order.to_vec(),
            false => (0..n).collect(),
        }
    }

    /// None where there is none, or none that the scale has a place for.
    fn value(&self, row: usize, column: usize) -> Option<f64> {
        let value = *self.values.get(row * self.labels.len() + column)?;
        (value.abs() <= 1.0 + 1e-6).then(|| value.clamp(-1.0, 1.0))
    }

    fn off_diagonal(&self) -> impl Iterator<Item = (usize, usize)> {
        let n = self.labels.len();
        (0..n).flat_map(move |i| (0..n).filter(move |&j| j != i).map(move |j| (i, j)))
    }

    fn gaps(&self) -> bool {
        let n = self.labels.len();
        (0..n).any(|i| (0..n).any(|j| self.value(i, j).is_none()))
    }

    fn cells(&self, canvas: &mut Canvas, layout: &Layout<'_>) {
        let names: Vec<String> = self.labels.iter().map(|l| escape(l)).collect();
        let numbers = names.len() <= MOST_NUMBERS;
        // A hair of background between large cells; small ones would lose their colour to it.
        let side = layout.cell - if layout.cell >= 20.0 { 1.0 } else { 0.0 };
        canvas.put(format_args!("<g class=\"ig-cells\" shape-rendering=\"crispEdges\">\n"));
        for (row, &i) in layout.order.iter().enumerate() {
            for (column, &j) in layout.order.iter().enumerate() {
                let x = layout.corner.0 + column as f64 * layout.cell;
                let y = layout.corner.1 + row as f64 * layout.cell;
                let value = self.value(i, j);
                let text = value.map_or("–".to_string(), shown);
                let (a, b) = (&names[i], &names[j]);
                canvas.put(format_args!("<g><title>{a} / {b}: {text}</title>"));
                let ink = match (value, layout.scale) {
                    (None, _) => empty_cell(canvas, (x, y), side),
                    (Some(value), Some(scale)) if i != j => {
                        let fill = sequential(scale.share(value));
                        square(canvas, (x, y), side, &format!("fill=\"{}\"", hex(fill)));
                        format!("fill=\"{}\"", ink_on(fill))
                    }
                    _ => {
                        square(canvas, (x, y), side, NEUTRAL);
                        TEXT.to_string()
                    }
                };
                if numbers || value.is_none() {
                    let font = if numbers { 11.0 } else { 9.0 };
                    let at = (x + side / 2.0, y + side / 2.0 + font * 0.36);
                    canvas.text(at, font, Anchor::Middle, &ink, &text);
                }
                canvas.put(format_args!("</g>\n"));
            }
        }
        canvas.put(format_args!("</g>\n"));
    }

    fn labels(&self, canvas: &mut Canvas, layout: &Layout<'_>) {
        let (left, top) = layout.corner;
        let end = layout.cell * layout.order.len() as f64;
        let strip = if layout.families.is_empty() { 0.0 } else { STRIP + 3.0 };
        let side = layout.cell - if layout.cell >= 20.0 { 1.0 } else { 0.0 };
        for (place, &i) in layout.order.iter().enumerate() {
            let start = place as f64 * layout.cell;
            let middle = start + side / 2.0 + layout.font * 0.36;
            let label = layout.labels.get(i).map_or("", String::as_str);
            let at = (left + end + strip + 5.0, top + middle);
            canvas.text(at, layout.font, Anchor::Start, TEXT, label);
            let at = (left + middle, top - strip - 5.0);
            canvas.upright(at, layout.font, Anchor::Start, TEXT, label);
            let Some(family) = self.families.get(i) else { continue };
            if let Some(index) = layout.families.iter().position(|f| *f == family.as_str()) {
                let name = Some(family.as_str());
                swatch(canvas, (left + end + 3.0, top + start), (STRIP, side), index, name);
                swatch(canvas, (left + start, top - 3.0 - STRIP), (side, STRIP), index, name);
            }
        }
    }

    /// Families, and what an empty cell means. Returns where it ends.
    fn legend(&self, canvas: &mut Canvas, layout: &Layout<'_>, top: f64) -> f64 {
        let mut y = top;
        for (index, family) in layout.families.iter().enumerate() {
            swatch(canvas, (layout.side, y), (12.0, 12.0), index, None);
            let at = (layout.side + 18.0, y + 10.0);
            canvas.text(at, 11.0, Anchor::Start, TEXT, &clip(family, LONGEST));
            y += 17.0;
        }
        if self.gaps() {
            y += if layout.families.is_empty() { 0.0 } else { 6.0 };
            let ink = empty_cell(canvas, (layout.side, y), 12.0);
            canvas.text((layout.side + 6.0, y + 9.2), 9.0, Anchor::Middle, &ink, "–");
            canvas.text((layout.side + 18.0, y + 10.0), 11.0, Anchor::Start, TEXT, "no value");
            y += 17.0;
        }
        y
    }

    fn description(&self) -> String {
        let n = self.labels.len();
        let values = self.off_diagonal().filter_map(|(i, j)| self.value(i, j));
        let (min, max) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let mut text = format!("Heat map, {n} by {n}");
        if min <= max {
            text += &format!(", {} from {} to {}", self.unit, shown(min), shown(max));
        }
        if !self.subtitle.is_empty() {
            text += &format!(": {}", self.subtitle);
        }
        text
    }
}

fn square(canvas: &mut Canvas, at: (f64, f64), side: f64, ink: &str) {
    let (x, y, side) = (num(at.0), num(at.1), num(side));
    canvas
        .put(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" {ink}/>"));
}

/// A frame without a colour; returns the ink of its dash.
fn empty_cell(canvas: &mut Canvas, at: (f64, f64), side: f64) -> String {
    let ink = format!("{AXIS} stroke-width=\"0.6\" stroke-dasharray=\"2 1.5\"");
    square(canvas, (at.0 + 1.0, at.1 + 1.0), side - 2.0, &ink);
    MUTED.to_string()
}

/// A family's colour; the second and later rounds of the palette carry a bar across it.
pub(super) fn swatch(
    canvas: &mut Canvas,
    at: (f64, f64),
    size: (f64, f64),
    index: usize,
    name: Option<&str>,
) {
    let (fill, round) = colour::group(index);
    let (x, y, w, h) = (num(at.0), num(at.1), num(size.0), num(size.1));
    let title = name.map_or(String::new(), |n| format!("<title>{}</title>", escape(n)));
    canvas.put(format_args!(
        "<g>{title}<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{fill}\"/>"
    ));
    for bar in 0..round.min(3) {
        let (x, y) = (num(at.0 + 2.0 + 3.0 * bar as f64), num(at.1 + 2.0));
        let h = num(size.1 - 4.0);
        canvas.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"1.6\" height=\"{h}\" fill=\"#000000\"/>"
        ));
    }
    canvas.put(format_args!("</g>\n"));
}
