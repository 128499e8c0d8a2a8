//! Means along an axis of steps, each with the band of its quartiles.

use super::colour::LINES;
use super::svg::{
    AXIS, Anchor, Canvas, GRID, Header, MUTED, PAD, TEXT, clip, escape, num, shown, widest, width,
};

pub(super) const LONGEST: usize = 32;
pub(super) const LONGEST_AXIS: usize = 60;
/// Between the labels at the lines' ends.
pub(super) const LINE: f64 = 14.0;
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];
/// One fewer than the colours, so that colour and marker repeat together only after thirty.
const MARKERS: usize = 5;

pub struct Series<'a> {
    pub name: &'a str,
    /// per x: mean, lower quartile, upper quartile
    pub points: &'a [(f64, f64, f64)],
}

pub struct Curves<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    /// x tick labels, e.g. "0".."5"; all series share them (a series may be shorter)
    pub ticks: &'a [String],
    pub series: &'a [Series<'a>],
}

/// The rectangle of the data.
#[derive(Clone, Copy)]
struct Plot {
    left: f64,
    top: f64,
    wide: f64,
    tall: f64,
    steps: usize,
}

impl Plot {
    fn x(&self, step: usize) -> f64 {
        match self.steps {
            0 | 1 => self.left + self.wide / 2.0,
            // Away from the axis, so that the first marker does not sit on it.
            n => self.left + 14.0 + (self.wide - 28.0) * step as f64 / (n - 1) as f64,
        }
    }
    /// What lies outside the axis is drawn at its end; the tooltip has the number.
    fn y(&self, value: f64) -> f64 {
        self.top + self.tall * (1.0 - value.clamp(0.0, 1.0))
    }
    fn right(&self) -> f64 {
        self.left + self.wide
    }
    fn bottom(&self) -> f64 {
        self.top + self.tall
    }
}

impl Curves<'_> {
    /// The y axis is 0 to 1.
    pub fn to_svg(&self) -> String {
        let (x_label, y_label) =
            (clip(self.x_label, LONGEST_AXIS), clip(self.y_label, LONGEST_AXIS));
        let ticks: Vec<String> = self.ticks.iter().map(|t| clip(t, LONGEST)).collect();
        let names: Vec<String> = self.series.iter().map(|s| clip(s.name, LONGEST)).collect();
        let longest = self.series.iter().map(|s| s.points.len()).max().unwrap_or(0);
        let steps = ticks.len().max(longest);
        let half = |t: Option<&String>| t.map_or(0.0, |t| width(t, 11.0) / 2.0);
        let wide = (steps as f64 * 40.0).clamp(440.0, 760.0);
        // What a long x label has over the plot on each side.
        let over = (width(&x_label, 12.0) - wide).max(0.0) / 2.0;
        let left = (PAD + if y_label.is_empty() { 0.0 } else { 20.0 } + 30.0)
            .max(PAD + over)
            .max(PAD + half(ticks.first()) - 14.0);
        let tall = (LINE * names.len() as f64).max(width(&y_label, 12.0)).max(300.0);
        let ends = 30.0 + widest(names.iter().map(String::as_str), 11.0);
        let ends = ends.max(over).max(half(ticks.last()) - 14.0);
        let header = Header::new(self.title, self.subtitle, left + wide + ends - PAD);
        let plot = Plot { left, top: header.bottom() + 8.0, wide, tall, steps };

        let mut canvas = Canvas::default();
        header.draw(&mut canvas);
        let mut y = self.axes(&mut canvas, plot, &ticks);
        for (i, series) in self.series.iter().enumerate() {
            band(&mut canvas, plot, i, series.points);
        }
        for (i, series) in self.series.iter().enumerate() {
            self.curve(&mut canvas, plot, i, series);
        }
        self.ends(&mut canvas, plot, &names);
        let note = "line: mean; band: quartiles";
        y = legend(&mut canvas, (plot.left, plot.right()), &names, y, note);
        let full = (left + wide + ends).max(PAD + header.width()) + PAD;
        canvas.finish((full, y + PAD), self.title, &self.description(), &dark())
    }

    /// Returns where the room below begins.
    fn axes(&self, canvas: &mut Canvas, plot: Plot, ticks: &[String]) -> f64 {
        for tick in 0..=5 {
            let value = f64::from(tick) / 5.0;
            let y = plot.y(value);
            let ink = if tick == 0 { AXIS } else { GRID };
            canvas.line((plot.left, y), (plot.right(), y), ink);
            let at = (plot.left - 6.0, y + 3.8);
            canvas.text(at, 11.0, Anchor::End, MUTED, &format!("{value:.1}"));
        }
        // Labels that would touch are left out evenly.
        let room = if ticks.len() > 1 { plot.x(1) - plot.x(0) } else { plot.wide };
        let wide = widest(ticks.iter().map(String::as_str), 11.0) + 8.0;
        let every = (wide / room).ceil().max(1.0) as usize;
        for (step, tick) in ticks.iter().enumerate() {
            let x = plot.x(step);
            canvas.line((x, plot.bottom()), (x, plot.bottom() + 4.0), AXIS);
            if step % every == 0 {
                canvas.text((x, plot.bottom() + 17.0), 11.0, Anchor::Middle, MUTED, tick);
            }
        }
        let middle = plot.top + plot.tall / 2.0;
        canvas.upright(
            (PAD + 11.0, middle),
            12.0,
            Anchor::Middle,
            TEXT,
            &clip(self.y_label, LONGEST_AXIS),
        );
        let at = (plot.left + plot.wide / 2.0, plot.bottom() + 37.0);
        canvas.text(at, 12.0, Anchor::Middle, TEXT, &clip(self.x_label, LONGEST_AXIS));
        plot.bottom() + if self.x_label.is_empty() { 30.0 } else { 50.0 }
    }

    fn curve(&self, canvas: &mut Canvas, plot: Plot, index: usize, series: &Series<'_>) {
        let ink = stroke(index);
        for run in runs(series.points.iter().map(|p| p.0.is_finite())) {
            let path: String = run
                .map(|i| format!("{} {}", num(plot.x(i)), num(plot.y(series.points[i].0))))
                .collect::<Vec<_>>()
                .join("L");
            canvas.put(format_args!(
                "<path class=\"ig-s{0} ig-mean\" d=\"M{path}\" {ink} stroke-width=\"2\" \
                 stroke-linejoin=\"round\"/>\n",
                index % LINES.len()
            ));
        }
        let name = escape(series.name);
        for (i, &(mean, low, high)) in series.points.iter().enumerate() {
            if !mean.is_finite() {
                continue;
            }
            let tick = self.ticks.get(i).map_or(String::new(), |t| format!(", {}", escape(t)));
            let (mean_text, low, high) = (shown(mean), shown(low), shown(high));
            canvas.put(format_args!(
                "<g><title>{name}{tick}: {mean_text} (quartiles {low} to {high})</title>"
            ));
            marker(canvas, (plot.x(i), plot.y(mean)), index);
            canvas.put(format_args!("</g>\n"));
        }
    }

    fn ends(&self, canvas: &mut Canvas, plot: Plot, names: &[String]) {
        let mut at: Vec<Option<(f64, f64)>> = Vec::new();
        for series in self.series {
            let last = series.points.iter().rposition(|p| p.0.is_finite());
            at.push(last.map(|step| (plot.x(step), plot.y(series.points[step].0))));
        }
        let last = plot.x(plot.steps.saturating_sub(1));
        ends(canvas, (plot.right(), plot.bottom()), names, &at, last);
    }

    fn description(&self) -> String {
        let mut text = format!("{} by {}", self.y_label, self.x_label);
        for series in self.series {
            let mean = series.points.iter().rev().map(|p| p.0).find(|m| m.is_finite());
            let end = mean.map_or("no data".to_string(), |m| format!("ends at {}", shown(m)));
            text += &format!("; {} {end}", series.name);
        }
        if !self.subtitle.is_empty() {
            text += &format!(". {}", self.subtitle);
        }
        text
    }
}

/// Names at the lines' ends `at`, moved apart where lines end close together; `right` and `bottom`
/// are those of the plot. From a line that ends before `last` the way to its name is dotted.
pub(super) fn ends(
    canvas: &mut Canvas,
    (right, bottom): (f64, f64),
    names: &[String],
    at: &[Option<(f64, f64)>],
    last: f64,
) {
    let mut ends: Vec<(f64, f64, usize)> = Vec::new();
    for (i, at) in at.iter().enumerate() {
        ends.extend(at.map(|(x, y)| (y, x, i)));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
    let places = apart(&ends.iter().map(|e| e.0).collect::<Vec<_>>(), bottom);
    for (&(end, x, i), place) in ends.iter().zip(places) {
        // Dotted from a line that ends early: it does not go on.
        let early = x + 0.5 < last;
        let dots = if early { " stroke-dasharray=\"1 4\"" } else { "" };
        let (from, edge, to) = (num(x + 6.0), num(right), num(right + 12.0));
        let (y, place_text) = (num(end), num(place));
        let (light, class) = (LINES[i % LINES.len()].0, i % LINES.len());
        canvas.put(format_args!(
            "<path class=\"ig-s{class}\" d=\"M{from} {y}H{edge}L{to} {place_text}\" \
             fill=\"none\" stroke=\"{light}\" stroke-width=\"0.8\" \
             stroke-opacity=\"0.7\"{dots}/>\n"
        ));
        let ink = format!("class=\"ig-f{class}\" fill=\"{light}\" font-weight=\"600\"");
        let at = (right + 16.0, place + 3.8);
        canvas.text(at, 11.0, Anchor::Start, &ink, names.get(i).map_or("", String::as_str));
    }
}

/// Rows of names under a plot from `left` to `right`, with the line and the marker of each, and a
/// note; returns where the room below begins.
pub(super) fn legend(
    canvas: &mut Canvas,
    (left, right): (f64, f64),
    names: &[String],
    top: f64,
    note: &str,
) -> f64 {
    let (mut x, mut y) = (left, top + 10.0);
    for (i, name) in names.iter().enumerate() {
        let wide = 36.0 + width(name, 11.0) + 14.0;
        if x > left && x + wide > right {
            (x, y) = (left, y + 18.0);
        }
        let (from, to, line) = (num(x), num(x + 28.0), num(y));
        let (ink, class) = (stroke(i), i % LINES.len());
        canvas.put(format_args!(
            "<path class=\"ig-s{class}\" d=\"M{from} {line}H{to}\" {ink} stroke-width=\"2\"/>\n"
        ));
        marker(canvas, (x + 14.0, y), i);
        canvas.text((x + 34.0, y + 3.8), 11.0, Anchor::Start, TEXT, name);
        x += wide;
    }
    if names.is_empty() {
        canvas.text((left, y + 4.0), 12.0, Anchor::Start, MUTED, "no data");
        return y + 6.0;
    }
    canvas.text((left, y + 22.0), 10.0, Anchor::Start, MUTED, note);
    y + 24.0
}

/// The places of labels sorted by where they want to be, a line's height apart and above `end`.
fn apart(wanted: &[f64], end: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + LINE);
    }
    let mut room = end;
    for place in places.iter_mut().rev() {
        *place = place.min(room);
        room = *place - LINE;
    }
    places
}

/// Stretches without a gap.
fn runs(present: impl Iterator<Item = bool>) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (i, present) in present.enumerate() {
        match runs.last_mut() {
            Some(run) if present && run.end == i => run.end = i + 1,
            _ if present => runs.push(i..i + 1),
            _ => {}
        }
    }
    runs
}

fn band(canvas: &mut Canvas, plot: Plot, index: usize, points: &[(f64, f64, f64)]) {
    let (light, class) = (LINES[index % LINES.len()].0, index % LINES.len());
    for run in runs(points.iter().map(|p| p.1.is_finite() && p.2.is_finite())) {
        let low = run.clone().map(|i| (plot.x(i), plot.y(points[i].1)));
        let high = run.clone().rev().map(|i| (plot.x(i), plot.y(points[i].2)));
        let mut corners: Vec<(f64, f64)> = low.chain(high).collect();
        if let [low, high] = corners[..] {
            // A lone step has no area: a narrow bar stands for its band.
            corners = vec![
                (low.0 - 4.0, low.1),
                (low.0 + 4.0, low.1),
                (high.0 + 4.0, high.1),
                (high.0 - 4.0, high.1),
            ];
        }
        let path: Vec<String> =
            corners.iter().map(|(x, y)| format!("{} {}", num(*x), num(*y))).collect();
        canvas.put(format_args!(
            "<path class=\"ig-f{class} ig-band\" d=\"M{}Z\" fill=\"{light}\" \
             fill-opacity=\"0.16\"/>\n",
            path.join("L")
        ));
    }
}

/// Colour and dashes of a series; the class is the caller's.
pub(super) fn stroke(index: usize) -> String {
    let dash = DASHES[index % DASHES.len()];
    let dash =
        if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
    format!("fill=\"none\" stroke=\"{}\"{dash}", LINES[index % LINES.len()].0)
}

pub(super) fn marker(canvas: &mut Canvas, (x, y): (f64, f64), index: usize) {
    let (light, class) = (LINES[index % LINES.len()].0, index % LINES.len());
    let corners: &[(f64, f64)] = match index % MARKERS {
        0 => &[],
        1 => &[(-3.6, -3.6), (3.6, -3.6), (3.6, 3.6), (-3.6, 3.6)],
        2 => &[(0.0, -4.8), (4.6, 3.4), (-4.6, 3.4)],
        3 => &[(0.0, -5.2), (5.2, 0.0), (0.0, 5.2), (-5.2, 0.0)],
        _ => &[(0.0, 4.8), (4.6, -3.4), (-4.6, -3.4)],
    };
    let ink = format!("class=\"ig-f{class}\" fill=\"{light}\"");
    if corners.is_empty() {
        let (x, y) = (num(x), num(y));
        canvas.put(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" {ink}/>"));
        return;
    }
    let path: Vec<String> =
        corners.iter().map(|(a, b)| format!("{} {}", num(x + a), num(y + b))).collect();
    canvas.put(format_args!("<path d=\"M{}Z\" {ink}/>", path.join("L")));
}

/// The series' colours on a dark page.
pub(super) fn dark() -> String {
    let rule = |(i, (_, dark)): (usize, &(&str, &str))| {
        format!(".ig-s{i}{{stroke:{dark}}}.ig-f{i}{{fill:{dark}}}")
    };
    LINES.iter().enumerate().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_apart_and_above_the_axis() {
        assert_eq!(apart(&[0.0, 1.0, 50.0], 100.0), [0.0, 14.0, 50.0]);
        assert_eq!(apart(&[99.0, 100.0], 100.0), [86.0, 100.0]);
        assert!(apart(&[], 100.0).is_empty());
    }

    #[test]
    fn gaps_break_a_line() {
        assert_eq!(runs([true, true, false, true].into_iter()), [0..2, 3..4]);
        assert!(runs([false].into_iter()).is_empty());
    }
}
