//! Lines over a quantity, both axes with numbers: how a value goes on with steps or time.

use super::colour::LINES;
use super::curves::{LINE, LONGEST, LONGEST_AXIS, dark, ends, legend, marker, stroke};
use super::scatter::{round_up, written};
use super::svg::{
    AXIS, Anchor, Canvas, GRID, Header, MUTED, PAD, TEXT, clip, escape, num, widest, width,
};

/// A value beyond this is as good as infinite.
const FAR: f64 = 1e100;
/// More points of a line than this have no dots of their own, for they would hide it.
const MOST_DOTS: usize = 100;
const WIDE: f64 = 640.0;
const TALL: f64 = 360.0;
/// Between numbers on an axis, at least.
const ROOM: [f64; 2] = [80.0, 44.0];

pub struct Line<'a> {
    pub name: &'a str,
    /// x and y, x rising; what is no number is left out
    pub points: &'a [(f64, f64)],
}

/// The lowest point of each line has its marker.
pub struct Lines<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    pub lines: &'a [Line<'a>],
}

/// One axis: from the data to pixels.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    /// Where the ends of the data are drawn.
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value - self.low) / (self.high - self.low)
    }

    /// Round numbers within the ends, and how they are written, at least `room` pixels apart.
    fn ticks(&self, room: f64) -> Vec<(f64, String)> {
        let pixel = (self.high - self.low) / (self.to - self.from).abs();
        let (digit, exponent) = round_up(room * pixel);
        let step = digit as f64 * 10f64.powi(exponent);
        let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        let text = |k: i64| match exponent {
            // Steps of updates are read as they are.
            4..=6 => (k * digit * 10i64.pow(exponent.unsigned_abs())).to_string(),
            _ => written(k * digit, exponent),
        };
        (first..=last).map(|k| (k as f64 * step, text(k))).collect()
    }
}

impl Lines<'_> {
    /// x begins at 0, y where the data does.
    pub fn to_svg(&self) -> String {
        let shown: Vec<Vec<(f64, f64)>> = self.lines.iter().map(|l| drawn(l.points)).collect();
        let names: Vec<String> = self.lines.iter().map(|l| clip(l.name, LONGEST)).collect();
        let y_label = clip(self.y_label, LONGEST_AXIS);
        let tall = TALL.max(LINE * names.len() as f64).max(width(&y_label, 12.0));
        let [x, y] = [0, 1].map(|axis| {
            let of = || shown.iter().flatten().map(|p| if axis == 0 { p.0 } else { p.1 });
            let (low, high) = range(of(), axis == 0);
            let (from, to) = if axis == 0 { (0.0, WIDE) } else { (tall, 0.0) };
            Axis { low, high, from, to }
        });
        let ticks = [x.ticks(ROOM[0]), y.ticks(ROOM[1])];
        let beside = widest(ticks[1].iter().map(|t| t.1.as_str()), 11.0);
        let left = PAD + if y_label.is_empty() { 0.0 } else { 20.0 } + beside + 6.0;
        let right = 30.0 + widest(names.iter().map(String::as_str), 11.0);
        let header = Header::new(self.title, self.subtitle, left + WIDE + right - PAD);
        let top = header.bottom() + 8.0;
        let x = Axis { from: x.from + left, to: x.to + left, ..x };
        let y = Axis { from: y.from + top, to: y.to + top, ..y };

        let mut canvas = Canvas::default();
        header.draw(&mut canvas);
        let below = self.axes(&mut canvas, (x, y), &ticks, &y_label);
        for (i, points) in shown.iter().enumerate() {
            self.line(&mut canvas, (x, y), i, points);
        }
        let at: Vec<Option<(f64, f64)>> =
            shown.iter().map(|points| points.last().map(|p| (x.at(p.0), y.at(p.1)))).collect();
        let last = at.iter().flatten().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        ends(&mut canvas, (x.to, y.from), &names, &at, last);
        let bottom = legend(&mut canvas, (x.from, x.to), &names, below, "marker: lowest point");
        let full = (left + WIDE + right).max(PAD + header.width()) + PAD;
        canvas.finish((full, bottom + PAD), self.title, &self.description(&shown), &dark())
    }

    /// Returns where the room below begins.
    fn axes(
        &self,
        canvas: &mut Canvas,
        (x, y): (Axis, Axis),
        ticks: &[Vec<(f64, String)>; 2],
        y_label: &str,
    ) -> f64 {
        for (value, text) in &ticks[1] {
            let at = y.at(*value);
            canvas.line((x.from, at), (x.to, at), GRID);
            canvas.text((x.from - 6.0, at + 3.8), 11.0, Anchor::End, MUTED, text);
        }
        for (value, text) in &ticks[0] {
            let at = x.at(*value);
            canvas.line((at, y.from), (at, y.from + 4.0), AXIS);
            canvas.text((at, y.from + 17.0), 11.0, Anchor::Middle, MUTED, text);
        }
        canvas.line((x.from, y.from), (x.to, y.from), AXIS);
        canvas.line((x.from, y.from), (x.from, y.to), AXIS);
        let middle = ((x.from + x.to) / 2.0, (y.from + y.to) / 2.0);
        canvas.upright((PAD + 11.0, middle.1), 12.0, Anchor::Middle, TEXT, y_label);
        let x_label = clip(self.x_label, LONGEST_AXIS);
        canvas.text((middle.0, y.from + 37.0), 12.0, Anchor::Middle, TEXT, &x_label);
        y.from + if x_label.is_empty() { 30.0 } else { 50.0 }
    }

    fn line(&self, canvas: &mut Canvas, (x, y): (Axis, Axis), i: usize, points: &[(f64, f64)]) {
        let class = i % LINES.len();
        let at = |p: &(f64, f64)| (x.at(p.0), y.at(p.1));
        let path: Vec<String> =
            points.iter().map(|p| format!("{} {}", num(at(p).0), num(at(p).1))).collect();
        if path.len() > 1 {
            canvas.put(format_args!(
                "<path class=\"ig-s{class} ig-line\" d=\"M{}\" {} stroke-width=\"1.8\" \
                 stroke-linejoin=\"round\"/>\n",
                path.join("L"),
                stroke(i)
            ));
        }
        let name = escape(self.lines.get(i).map_or("", |l| l.name));
        let title = |p: &(f64, f64)| format!("{name}, {}: {}", plain(p.0), plain(p.1));
        if points.len() <= MOST_DOTS {
            for p in points {
                let ((cx, cy), fill) = (at(p), LINES[class].0);
                canvas.put(format_args!(
                    "<circle class=\"ig-f{class}\" cx=\"{}\" cy=\"{}\" r=\"2.2\" fill=\"{fill}\">\
                     <title>{}</title></circle>\n",
                    num(cx),
                    num(cy),
                    title(p)
                ));
            }
        }
        if let Some(lowest) = lowest(points) {
            canvas.put(format_args!("<g><title>{} (lowest)</title>", title(lowest)));
            marker(canvas, at(lowest), i);
            canvas.put(format_args!("</g>\n"));
        }
    }

    fn description(&self, shown: &[Vec<(f64, f64)>]) -> String {
        let mut text = format!("{} by {}", self.y_label, self.x_label);
        for (line, points) in self.lines.iter().zip(shown) {
            let end = lowest(points).map_or("no data".to_string(), |p| {
                format!("lowest {} at {}", plain(p.1), plain(p.0))
            });
            text += &format!("; {} {end}", line.name);
        }
        if !self.subtitle.is_empty() {
            text += &format!(". {}", self.subtitle);
        }
        text
    }
}

fn drawn(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let fits = |v: f64| v.abs() <= FAR;
    points.iter().copied().filter(|p| fits(p.0) && fits(p.1)).collect()
}

/// The first of the lowest.
fn lowest(points: &[(f64, f64)]) -> Option<&(f64, f64)> {
    points.iter().min_by(|a, b| a.1.total_cmp(&b.1))
}

/// The ends of an axis: those of the data, with some room where it does not begin at 0.
fn range(values: impl Iterator<Item = f64>, from_zero: bool) -> (f64, f64) {
    let start = if from_zero { (0.0, 0.0) } else { (f64::INFINITY, f64::NEG_INFINITY) };
    let (low, high) = values.fold(start, |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let most = low.abs().max(high.abs());
    match high - low {
        // As good as one value: numbers on the axis could not tell it from others.
        span if span < (1e-6 * most).max(1.0 / FAR) => {
            let half = if from_zero || most == 0.0 { 1.0 } else { most / 2.0 };
            (if from_zero { low } else { low - half }, high + half)
        }
        span if from_zero => (low, high + 0.02 * span),
        span => (low - 0.05 * span, high + 0.05 * span),
    }
}

/// A coordinate in a tooltip.
fn plain(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{value:.3e}"),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        v if v < 1e-3 => format!("{value:.2e}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::svg::check::well_formed;
    use super::*;

    fn figure(lines: &[Line<'_>]) -> String {
        let figure = Lines {
            title: "T & T",
            subtitle: "of <runs>",
            x_label: "step",
            y_label: "loss",
            lines,
        };
        let svg = figure.to_svg();
        well_formed(&svg);
        assert_eq!(svg, figure.to_svg());
        svg
    }

    /// The coordinates of a line, in pixels.
    fn path(svg: &str, class: usize) -> Vec<(f64, f64)> {
        let mark = format!("class=\"ig-s{class} ig-line\" d=\"M");
        let rest = svg.split(&mark).nth(1).expect("a line");
        let number = |t: &str| t.parse::<f64>().expect("a number");
        let pairs = rest.split('"').next().unwrap_or_default().split('L');
        pairs.filter_map(|p| p.split_once(' ')).map(|(x, y)| (number(x), number(y))).collect()
    }

    #[test]
    fn places_are_in_proportion_and_the_same_for_all_lines() {
        let svg = figure(&[
            Line { name: "slow", points: &[(100.0, 4.0), (200.0, 3.0), (400.0, 2.0)] },
            Line { name: "fast", points: &[(100.0, 3.0), (200.0, 2.0)] },
        ]);
        let (slow, fast) = (path(&svg, 0), path(&svg, 1));
        assert_eq!((slow.len(), fast.len()), (3, 2));
        // Twice the way for twice the steps; down is less.
        let [a, b, c] = [slow[0], slow[1], slow[2]];
        assert!(((c.0 - b.0) - 2.0 * (b.0 - a.0)).abs() < 0.05, "{slow:?}");
        assert!(((c.1 - b.1) - (b.1 - a.1)).abs() < 0.05 && b.1 > a.1, "{slow:?}");
        assert_eq!((fast[0].0, fast[0].1), (a.0, b.1));
        assert_eq!((fast[1].0, fast[1].1), (b.0, c.1));
        assert!(svg.contains("slow, 400: 2 (lowest)") && svg.contains("fast, 200: 2 (lowest)"));
        assert!(svg.contains("slow lowest 2 at 400; fast lowest 2 at 200"));
        // The line that ends early is dotted to its name.
        assert_eq!(svg.matches("stroke-dasharray=\"1 4\"").count(), 1);
    }

    #[test]
    fn axes_have_round_numbers_that_lie_where_they_say() {
        let points: Vec<(f64, f64)> =
            (0..=10).map(|i| (f64::from(i) * 5e3, 2.0 + 0.1 * f64::from(10 - i))).collect();
        let svg = figure(&[Line { name: "x", points: &points }]);
        let has = |text: &str| svg.contains(&format!(">{text}</text>"));
        for text in ["0", "10000", "50000", "2.0", "2.4", "3.0"] {
            assert!(has(text), "{text}: {svg}");
        }
        let line = path(&svg, 0);
        let number = |text: &str, of: &str| {
            let before = svg.split(&format!(">{text}</text>")).next().unwrap_or_default();
            let tag = before.rsplit("<text").next().unwrap_or_default();
            let value = tag.split(&format!(" {of}=\"")).nth(1).unwrap_or_default();
            value.split('"').next().unwrap_or_default().parse::<f64>().expect("a number")
        };
        assert!((number("10000", "x") - line[2].0).abs() < 0.05);
        assert!((number("2.4", "y") - 3.8 - line[6].1).abs() < 0.05);
    }

    #[test]
    fn hostile_values_and_names_are_drawn_or_left_out() {
        let far = [(1.0, 1e300), (2.0, f64::NAN), (f64::INFINITY, 1.0)];
        let flat: Vec<(f64, f64)> = (0..150).map(|i| (f64::from(i), 1e90)).collect();
        let all: [&[(f64, f64)]; 6] =
            [&far, &flat, &[], &[(0.0, 0.0)], &[(-5.0, 1e-9)], &[(1e99, -1e99), (1e100, 1e100)]];
        for count in [0, 1, 2, 6, 40] {
            let lines: Vec<Line> = (0..count)
                .map(|i| Line { name: "<&\">\u{1}", points: all[i % all.len()] })
                .collect();
            figure(&lines);
        }
        for one in all {
            figure(&[Line { name: "one", points: one }]);
        }
        assert!(figure(&[]).contains("no data"));
        // A gap is no end: the line goes on.
        let gap = [(0.0, 3.0), (1.0, f64::NAN), (2.0, 1.0)];
        assert_eq!(path(&figure(&[Line { name: "gap", points: &gap }]), 0).len(), 2);
    }
}
