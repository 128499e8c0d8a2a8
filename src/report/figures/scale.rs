//! From values to colours, and the bar that says so.

use super::colour::{hex, sequential};
use super::svg::{AXIS, Anchor, Canvas, TEXT, num, shown};

const SLICES: usize = 48;

/// The colour bar's ends, in twentieths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    /// None without a value to show.
    pub fn new(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (min, max) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if min > max {
            return None;
        }
        // 0.55 * 20 is a little more than 11.
        let low = (min * 20.0 + 1e-6).floor() as i32;
        let high = (max * 20.0 - 1e-6).ceil() as i32;
        Some(match high - low {
            1.. => Self { low, high },
            _ if low >= 20 => Self { low: 19, high: 20 },
            _ => Self { low, high: low + 1 },
        })
    }
    pub fn share(self, value: f64) -> f64 {
        (value * 20.0 - f64::from(self.low)) / f64::from(self.high - self.low)
    }
    /// Both ends, and between them round numbers that keep away from the ends' labels.
    pub fn ticks(self) -> Vec<f64> {
        let span = self.high - self.low;
        let step = [1, 2, 4, 5, 10].into_iter().find(|s| span <= s * 6).unwrap_or(10);
        let inner = (self.low + 1..self.high)
            .filter(|t| t % step == 0 && (t - self.low).min(self.high - t) * 2 >= step);
        [self.low]
            .into_iter()
            .chain(inner)
            .chain([self.high])
            .map(|t| f64::from(t) / 20.0)
            .collect()
    }

    /// The bar with its ticks; returns where the room below begins.
    ///
    /// Slices, not a gradient: a gradient needs an id, which two figures of one page would share.
    pub fn draw(self, canvas: &mut Canvas, at: (f64, f64), unit: &str, room: f64) -> f64 {
        let slice = if room > 400.0 { 4.0 } else { 3.0 };
        let tall = slice * SLICES as f64;
        let top = at.1 + if unit.is_empty() { 5.0 } else { 20.0 };
        canvas.text((at.0, at.1 + 9.0), 11.0, Anchor::Start, TEXT, unit);
        canvas.put(format_args!("<g class=\"ig-bar\" shape-rendering=\"crispEdges\">\n"));
        for i in 0..SLICES {
            let fill = hex(sequential((i as f64 + 0.5) / SLICES as f64));
            let (x, y) = (num(at.0), num(top + tall - slice * (i + 1) as f64));
            canvas.put(format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"{slice}\" fill=\"{fill}\"/>\n"
            ));
        }
        canvas.put(format_args!("</g>\n"));
        for tick in self.ticks() {
            let y = top + tall * (1.0 - self.share(tick));
            canvas.line((at.0 + 14.0, y), (at.0 + 18.0, y), AXIS);
            canvas.text((at.0 + 22.0, y + 3.6), 10.0, Anchor::Start, TEXT, &shown(tick));
        }
        top + tall + 18.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_rounded_outwards() {
        let scale = |values: &[f64]| Scale::new(values.iter().copied());
        assert_eq!(scale(&[0.55, 0.62]), Some(Scale { low: 11, high: 13 }));
        assert_eq!(scale(&[0.3]), Some(Scale { low: 6, high: 7 }));
        assert_eq!(scale(&[1.0]), Some(Scale { low: 19, high: 20 }));
        assert_eq!(scale(&[-0.01, 0.0]), Some(Scale { low: -1, high: 0 }));
        assert_eq!(scale(&[]), None);
    }

    #[test]
    fn ticks_are_few_and_have_the_ends() {
        for low in -20..20 {
            for high in low + 1..=20 {
                let ticks = Scale { low, high }.ticks();
                assert_eq!(ticks.first(), Some(&(f64::from(low) / 20.0)));
                assert_eq!(ticks.last(), Some(&(f64::from(high) / 20.0)));
                assert!(ticks.len() <= 8, "{ticks:?}");
            }
        }
        let ticks = Scale { low: 0, high: 20 }.ticks();
        assert_eq!(ticks, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        let ticks = Scale { low: 4, high: 15 }.ticks();
        assert_eq!(ticks, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75]);
    }
}
