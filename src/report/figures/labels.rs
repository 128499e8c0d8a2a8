//! Labels beside points: each takes the nearest free place, one after the other.

use super::svg::{Anchor, num};

/// Between a label and its marker.
const GAP: f64 = 3.0;
/// From one ring of places to the next.
const RING: f64 = 9.0;
const RINGS: usize = 16;
/// The sides of a marker, the readiest first: right, left, above, below, then the corners.
const SIDES: [(f64, f64); 8] = [
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (1.0, -1.0),
    (-1.0, -1.0),
    (1.0, 1.0),
    (-1.0, 1.0),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Rect {
    /// The square around a point.
    fn around(at: (f64, f64), radius: f64) -> Self {
        let ((x, y), r) = (at, radius);
        Self { left: x - r, top: y - r, right: x + r, bottom: y + r }
    }

    /// The area that both cover.
    fn shared(&self, other: &Rect) -> f64 {
        let wide = self.right.min(other.right) - self.left.max(other.left);
        let tall = self.bottom.min(other.bottom) - self.top.max(other.top);
        wide.max(0.0) * tall.max(0.0)
    }

    /// Moved as little as it takes to lie inside; what is too large lies at the left and top.
    fn inside(self, frame: &Rect) -> Self {
        let x = (frame.right - self.right).min(0.0).max(frame.left - self.left);
        let y = (frame.bottom - self.bottom).min(0.0).max(frame.top - self.top);
        let x = if self.left + x < frame.left { frame.left - self.left } else { x };
        let y = if self.top + y < frame.top { frame.top - self.top } else { y };
        Self {
            left: self.left + x,
            top: self.top + y,
            right: self.right + x,
            bottom: self.bottom + y,
        }
    }

    /// The place in it that is nearest to a point.
    fn nearest(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (x.max(self.left).min(self.right), y.max(self.top).min(self.bottom))
    }
}

/// Where a label went.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub rect: Rect,
    pub anchor: Anchor,
    /// The way from a marker to a label that does not touch it.
    pub leader: Option<((f64, f64), (f64, f64))>,
}

impl Place {
    /// Of the text's anchor.
    pub fn x(&self) -> f64 {
        match self.anchor {
            Anchor::Start => self.rect.left,
            Anchor::Middle => (self.rect.left + self.rect.right) / 2.0,
            Anchor::End => self.rect.right,
        }
    }

    /// The leader as the data of a path.
    pub fn path(&self) -> Option<String> {
        let ((x, y), (x2, y2)) = self.leader?;
        Some(format!("M{} {}L{} {}", num(x), num(y), num(x2), num(y2)))
    }
}

/// Places for labels of these widths and one height beside their points, within `frame`. Where
/// nothing is free, the place that covers the least.
pub(super) fn place(
    points: &[(f64, f64)],
    widths: &[f64],
    height: f64,
    radius: f64,
    frame: Rect,
) -> Vec<Place> {
    let markers: Vec<Rect> = points.iter().map(|&p| Rect::around(p, radius)).collect();
    let mut taken = markers.clone();
    let mut out = Vec::with_capacity(points.len());
    for (&point, &width) in points.iter().zip(widths) {
        let mut best: Option<(f64, Place)> = None;
        for candidate in candidates(point, (width, height), radius, &frame) {
            let covered: f64 = taken.iter().map(|t| t.shared(&candidate.rect)).sum();
            if best.is_none_or(|(least, _)| covered < least) {
                best = Some((covered, candidate));
            }
            if covered == 0.0 {
                break;
            }
        }
        if let Some((_, place)) = best {
            taken.push(place.rect);
            out.push(place);
        }
    }
    out
}

/// Places around a point, the nearest first.
fn candidates(
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    radius: f64,
    frame: &Rect,
) -> impl Iterator<Item = Place> {
    (0..RINGS).flat_map(move |ring| {
        let away = radius + GAP + RING * ring as f64;
        SIDES.into_iter().map(move |(dx, dy)| {
            // A corner is as far away as a side.
            let reach = if dx != 0.0 && dy != 0.0 { away * 0.5f64.sqrt() } else { away };
            let left = x + dx * reach + (dx - 1.0) * width / 2.0;
            let top = y + dy * reach + (dy - 1.0) * height / 2.0;
            let rect = Rect { left, top, right: left + width, bottom: top + height };
            let rect = rect.inside(frame);
            let anchor = match dx {
                1.0 => Anchor::Start,
                -1.0 => Anchor::End,
                _ => Anchor::Middle,
            };
            let leader = (ring > 0).then(|| ((x, y), rect.nearest((x, y))));
            Place { rect, anchor, leader }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Rect = Rect { left: 10.0, top: 20.0, right: 410.0, bottom: 320.0 };

    fn places(points: &[(f64, f64)], width: f64) -> Vec<Place> {
        place(points, &vec![width; points.len()], 12.0, 4.0, FRAME)
    }

    fn within(rect: &Rect) -> bool {
        rect.left >= FRAME.left - 1e-9
            && rect.right <= FRAME.right + 1e-9
            && rect.top >= FRAME.top - 1e-9
            && rect.bottom <= FRAME.bottom + 1e-9
    }

    #[test]
    fn the_right_side_comes_first_then_what_is_free() {
        let alone = places(&[(100.0, 100.0)], 20.0);
        let expected = Rect { left: 107.0, top: 94.0, right: 127.0, bottom: 106.0 };
        assert_eq!((alone[0].rect, alone[0].leader), (expected, None));
        // A marker stands where the label would.
        let two = places(&[(100.0, 100.0), (115.0, 100.0)], 20.0);
        assert_eq!(two[0].rect, Rect { left: 73.0, right: 93.0, ..expected });
        assert_eq!((two[0].x(), two[1].rect.left), (93.0, 122.0));
    }

    #[test]
    fn labels_stay_in_the_frame_and_off_each_other() {
        let corners = [(10.0, 20.0), (410.0, 20.0), (410.0, 320.0), (10.0, 320.0)];
        let grid: Vec<(f64, f64)> = (0..60)
            .map(|i| (40.0 * f64::from(i % 10) + 30.0, 50.0 * f64::from(i / 10) + 40.0))
            .collect();
        let equal = [(200.0, 150.0); 40];
        for points in [&corners[..], &grid, &equal, &equal[..2]] {
            let places = places(points, 26.0);
            assert_eq!(places.len(), points.len());
            for (i, a) in places.iter().enumerate() {
                assert!(within(&a.rect), "{:?}", a.rect);
                assert!(places[..i].iter().all(|b| a.rect.shared(&b.rect) == 0.0), "{i}");
                assert!(points.iter().all(|&p| a.rect.shared(&Rect::around(p, 4.0)) == 0.0));
            }
        }
        // Those further out have a line to their marker.
        let far = places(&equal, 26.0);
        assert!(far[39].path().is_some_and(|p| p.starts_with("M200 150L")));
        assert!(far[0].path().is_none());
    }

    #[test]
    fn without_room_something_is_covered_and_nothing_is_lost() {
        let many = vec![(200.0, 150.0); 500];
        let places = places(&many, 60.0);
        assert!(places.len() == 500 && places.iter().all(|p| within(&p.rect)));
        let wide = super::place(&[(300.0, 30.0)], &[900.0], 12.0, 4.0, FRAME);
        assert_eq!((wide[0].rect.left, wide[0].rect.right), (10.0, 910.0));
    }
}
