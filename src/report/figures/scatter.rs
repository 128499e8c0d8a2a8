//! Labelled points in a plane, both axes in one unit.

use std::collections::BTreeSet;

use super::colour;
use super::labels::{Place, Rect, place};
use super::svg::{
    AXIS, Anchor, Canvas, GRID, Header, MUTED, PAD, TEXT, clip, escape, num, shown, widest, width,
};

const LONGEST: usize = 24;
const LONGEST_GROUP: usize = 40;
const LONGEST_AXIS: usize = 60;
/// From the outermost points to the frame: the room of their labels.
const INSET: f64 = 30.0;
const RADIUS: f64 = 4.5;
/// A coordinate beyond this is as good as infinite, a range below its inverse as good as none.
const FAR: f64 = 1e100;

pub struct Scatter<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    /// n labels
    pub labels: &'a [String],
    /// one group name per label, or empty: the colour of its marker, with a legend (e.g.
    /// language family), as in a [`HeatMap`](super::HeatMap) of the same groups; a label with an
    /// empty name gets no colour
    pub groups: &'a [String],
    /// n points (x, y); what is no number is left out and counted below
    pub points: &'a [[f64; 2]],
}

/// Where a point of the data is drawn.
#[derive(Clone, Copy)]
struct Plot {
    frame: Rect,
    /// In the middle of the frame, in the data's unit.
    middle: [f64; 2],
    /// Pixels to a unit, the same on both axes: distances would mean nothing otherwise.
    scale: f64,
}

impl Plot {
    fn at(&self, [x, y]: [f64; 2]) -> (f64, f64) {
        let Rect { left, top, right, bottom } = self.frame;
        (
            (left + right) / 2.0 + (x - self.middle[0]) * self.scale,
            (top + bottom) / 2.0 - (y - self.middle[1]) * self.scale,
        )
    }
}

impl Scatter<'_> {
    pub fn to_svg(&self) -> String {
        let drawn = self.drawn();
        if drawn.is_empty() {
            return self.no_data();
        }
        let clipped = |text: &str| clip(text, LONGEST_AXIS);
        let (x_label, y_label) = (clipped(self.x_label), clipped(self.y_label));
        let groups = self.groups();
        let names: Vec<String> = groups.iter().map(|g| clip(g, LONGEST_GROUP)).collect();
        let font = match drawn.len() {
            0..=30 => 11.0,
            31..=100 => 10.0,
            _ => 9.0,
        };
        let labels: Vec<String> = drawn.iter().map(|&i| clip(&self.labels[i], LONGEST)).collect();
        let widths: Vec<f64> = labels.iter().map(|l| width(l, font)).collect();

        let mut plot = self.plot(&drawn, width(&y_label, 12.0));
        let ticks = [plot.ticks(0), plot.ticks(1)];
        // What the axis' title or its last number has over the plot on each side.
        let [below, beside] =
            [0, 1].map(|axis: usize| widest(ticks[axis].iter().map(|t| t.1.as_str()), 11.0));
        let over = (width(&x_label, 12.0) - plot.frame.right).max(below - 2.0 * PAD).max(0.0) / 2.0;
        let left = (PAD + if y_label.is_empty() { 0.0 } else { 20.0 } + beside + 6.0)
            .max(PAD + over)
            .ceil();
        let side = match names.is_empty() {
            true => 0.0,
            false => 18.0 + 18.0 + widest(names.iter().map(String::as_str), 11.0),
        };
        let room = plot.frame.right.max(widths.iter().copied().fold(0.0, f64::max));
        let full = left + room + side.max(over);
        let header = Header::new(self.title, self.subtitle, full - PAD);
        plot.shift(left, header.bottom() + 6.0);
        let points: Vec<(f64, f64)> = drawn.iter().map(|&i| plot.at(self.points[i])).collect();
        let places = place(&points, &widths, font * 1.2, RADIUS, plot.frame);

        let mut canvas = Canvas::default();
        header.draw(&mut canvas);
        let mut bottom = axes(&mut canvas, &plot, &ticks, [&x_label, &y_label]);
        for path in places.iter().filter_map(Place::path) {
            canvas.put(format_args!(
                "<path class=\"ig-axis ig-leader\" d=\"{path}\" fill=\"none\" \
                 stroke=\"#57606a\" stroke-width=\"0.6\" stroke-opacity=\"0.7\"/>\n"
            ));
        }
        for (&i, &at) in drawn.iter().zip(&points) {
            self.point(&mut canvas, i, at, &groups);
        }
        for (label, place) in labels.iter().zip(&places) {
            let at = (place.x(), place.rect.top + font * 0.95);
            canvas.text(at, font, place.anchor, TEXT, label);
        }
        let mut y = plot.frame.top + 6.0;
        for (index, name) in names.iter().enumerate() {
            let x = left + room + 18.0;
            marker(&mut canvas, (x + 6.0, y), Some(index), false);
            canvas.text((x + 18.0, y + 3.8), 11.0, Anchor::Start, TEXT, name);
            y += 17.0;
        }
        let missing = self.labels.len() - drawn.len();
        if missing > 0 {
            let note = format!("{missing} without a place");
            canvas.text((left, bottom + 6.0), 10.0, Anchor::Start, MUTED, &note);
            bottom += 14.0;
        }
        let size = (full.max(PAD + header.width()) + PAD, bottom.max(y) + PAD);
        canvas.finish(size, self.title, &self.description(drawn.len()), "")
    }

    fn no_data(&self) -> String {
        let header = Header::new(self.title, self.subtitle, 0.0);
        let mut canvas = Canvas::default();
        header.draw(&mut canvas);
        let y = header.bottom() + 16.0;
        canvas.text((PAD, y), 12.0, Anchor::Start, MUTED, "no data");
        let size = (PAD + header.width().max(56.0) + PAD, y + PAD);
        canvas.finish(size, self.title, &self.description(0), "")
    }

    /// Those with a label and a place.
    fn drawn(&self) -> Vec<usize> {
        let placed = |p: &[f64; 2]| p.iter().all(|x| x.abs() <= FAR);
        let all = self.labels.iter().zip(self.points).enumerate();
        all.filter(|(_, (_, p))| placed(p)).map(|(i, _)| i).collect()
    }

    /// The groups' names, sorted: a group keeps its colour when only the order changes.
    fn groups(&self) -> Vec<&str> {
        let groups: BTreeSet<&str> = match self.groups.len() == self.labels.len() {
            true => self.groups.iter().map(String::as_str).filter(|g| !g.is_empty()).collect(),
            false => BTreeSet::new(),
        };
        groups.into_iter().collect()
    }

    /// The plot at (0, 0), at least as tall as the y label is long.
    fn plot(&self, drawn: &[usize], least: f64) -> Plot {
        let ends = [0, 1].map(|axis| {
            let of = || drawn.iter().map(|&i| self.points[i][axis]);
            (of().fold(FAR, f64::min), of().fold(-FAR, f64::max))
        });
        let middle = ends.map(|(low, high)| (low + high) / 2.0);
        let most = middle[0].abs().max(middle[1].abs());
        let span = match ends.map(|(low, high)| high - low) {
            // All in one place, as far as numbers on the axes could show it: a unit around it,
            // or as much as the numbers need.
            [x, y] if x.max(y) < (1e-6 * most).max(1.0 / FAR) => [most.max(1.0); 2],
            span => span,
        };
        let wide: f64 = match drawn.len() {
            0..=30 => 560.0,
            31..=100 => 700.0,
            _ => 840.0,
        };
        let inner = wide - 2.0 * INSET;
        // Above 1 where the points stand higher than wide.
        let ratio = if span[0] > 0.0 { span[1] / span[0] } else { 1.0 };
        let tall = (inner * ratio.clamp(0.4, 0.9) + 2.0 * INSET).max(least);
        let scale = (inner / span[0]).min((tall - 2.0 * INSET) / span[1]);
        Plot { frame: Rect { left: 0.0, top: 0.0, right: wide, bottom: tall }, middle, scale }
    }

    fn point(&self, canvas: &mut Canvas, i: usize, at: (f64, f64), groups: &[&str]) {
        let own = self.groups.get(i).map_or("", String::as_str);
        let group = groups.iter().position(|g| *g == own);
        let [x, y] = self.points[i].map(exact);
        let label = escape(&self.labels[i]);
        let name = group.map_or(String::new(), |_| format!(" ({})", escape(own)));
        canvas.put(format_args!("<g><title>{label}{name}: {x}, {y}</title>"));
        marker(canvas, at, group, groups.is_empty());
        canvas.put(format_args!("</g>\n"));
    }

    fn description(&self, drawn: usize) -> String {
        let mut text = format!("Scatter plot of {drawn} points");
        let axes: Vec<&str> =
            [self.x_label, self.y_label].into_iter().filter(|l| !l.is_empty()).collect();
        if !axes.is_empty() {
            text += &format!(", {}", axes.join(" and "));
        }
        if !self.subtitle.is_empty() {
            text += &format!(": {}", self.subtitle);
        }
        text
    }
}

impl Plot {
    fn shift(&mut self, x: f64, y: f64) {
        let Rect { left, top, right, bottom } = self.frame;
        self.frame = Rect { left: left + x, top: top + y, right: right + x, bottom: bottom + y };
    }

    /// Round numbers within the frame, and how they are written.
    fn ticks(&self, axis: usize) -> Vec<(f64, String)> {
        let Rect { left, top, right, bottom } = self.frame;
        let half = [right - left, bottom - top][axis] / 2.0 / self.scale;
        let (digit, exponent) = round_up(64.0 / self.scale);
        let step = digit as f64 * 10f64.powi(exponent);
        let first = ((self.middle[axis] - half) / step).ceil() as i64;
        let last = ((self.middle[axis] + half) / step).floor() as i64;
        (first..=last).map(|k| (k as f64 * step, written(k * digit, exponent))).collect()
    }
}

/// The next of 1, 2 and 5 times a power of ten, as digit and exponent.
pub(super) fn round_up(value: f64) -> (i64, i32) {
    let exponent = value.log10().floor() as i32;
    let power = 10f64.powi(exponent);
    match [1, 2, 5].into_iter().find(|&d| d as f64 * power >= value) {
        Some(digit) => (digit, exponent),
        None => (1, exponent + 1),
    }
}

/// `number * 10^exponent` without the noise of its product.
pub(super) fn written(number: i64, exponent: i32) -> String {
    match exponent {
        _ if number == 0 => "0".to_string(),
        -4..0 => {
            format!("{:.*}", exponent.unsigned_abs() as usize, number as f64 * 10f64.powi(exponent))
        }
        0..4 => (number * 10i64.pow(exponent.unsigned_abs())).to_string(),
        _ => format!("{number}e{exponent}"),
    }
}

/// A coordinate in a tooltip.
fn exact(value: f64) -> String {
    match value.abs() {
        v if v >= 1e4 => shown(value),
        v if v > 0.0 && v < 1e-3 => format!("{value:.2e}"),
        _ => format!("{:.4}", value + 0.0),
    }
}

/// Grid, numbers and titles; returns where the room below begins.
fn axes(
    canvas: &mut Canvas,
    plot: &Plot,
    ticks: &[Vec<(f64, String)>; 2],
    labels: [&str; 2],
) -> f64 {
    let Rect { left, top, right, bottom } = plot.frame;
    for (value, text) in &ticks[0] {
        let (x, _) = plot.at([*value, 0.0]);
        canvas.line((x, top), (x, bottom), GRID);
        canvas.line((x, bottom), (x, bottom + 4.0), AXIS);
        canvas.text((x, bottom + 17.0), 11.0, Anchor::Middle, MUTED, text);
    }
    for (value, text) in &ticks[1] {
        let (_, y) = plot.at([0.0, *value]);
        canvas.line((left, y), (right, y), GRID);
        canvas.text((left - 6.0, y + 3.8), 11.0, Anchor::End, MUTED, text);
    }
    canvas.line((left, bottom), (right, bottom), AXIS);
    canvas.line((left, top), (left, bottom), AXIS);
    let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
    canvas.upright((PAD + 11.0, middle.1), 12.0, Anchor::Middle, TEXT, labels[1]);
    canvas.text((middle.0, bottom + 37.0), 12.0, Anchor::Middle, TEXT, labels[0]);
    bottom + if labels[0].is_empty() { 24.0 } else { 44.0 }
}

/// A group's colour; the later rounds of the palette have shapes of their own. A point without
/// a group is hollow beside such as have one.
fn marker(canvas: &mut Canvas, (x, y): (f64, f64), group: Option<usize>, alone: bool) {
    let (fill, round) = match group {
        Some(index) => colour::group(index),
        None if alone => (colour::group(1).0, 0),
        None => ("none", 0),
    };
    let corners: &[(f64, f64)] = match round {
        0 => &[],
        1 => &[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)],
        2 => &[(0.0, -4.5), (4.5, 4.0), (-4.5, 4.0)],
        _ => &[(0.0, -4.5), (4.5, 0.0), (0.0, 4.5), (-4.5, 0.0)],
    };
    // The outline keeps pale colours visible on either page.
    let ink = format!("class=\"ig-axis\" stroke=\"#57606a\" stroke-width=\"0.8\" fill=\"{fill}\"");
    if corners.is_empty() {
        let (x, y, r) = (num(x), num(y), num(RADIUS));
        canvas.put(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" {ink}/>"));
        return;
    }
    let path: Vec<String> =
        corners.iter().map(|(a, b)| format!("{} {}", num(x + a), num(y + b))).collect();
    canvas.put(format_args!("<path d=\"M{}Z\" {ink}/>", path.join("L")));
}

#[cfg(test)]
mod tests;
