//! The tree left of a heat map.

use super::svg::{AXIS, Anchor, Canvas, MUTED, num, shown, width};

/// Two clusters that become one, as in scipy's linkage: ids below n are leaves, n + i is the
/// cluster of the i-th join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Join {
    pub left: usize,
    pub right: usize,
    pub height: f64,
}

/// Room below the rows for the axis of the heights.
pub(super) const AXIS_ROOM: f64 = 36.0;

/// A tree whose joins fit its leaves.
pub(super) struct Dendrogram<'a> {
    joins: &'a [Join],
    /// Per cluster id, in rows from the top.
    rows: Vec<f64>,
    /// Per cluster id.
    heights: Vec<f64>,
    top: f64,
}

impl<'a> Dendrogram<'a> {
    /// None if the joins are not a tree over the leaves: half a tree would be believed.
    pub fn new(joins: &'a [Join], order: &[usize]) -> Option<Self> {
        let n = order.len();
        if n < 2 || joins.len() != n - 1 {
            return None;
        }
        let mut rows = vec![0.0; n];
        for (row, &leaf) in order.iter().enumerate() {
            *rows.get_mut(leaf)? = row as f64;
        }
        let mut heights = vec![0.0; n];
        let mut used = vec![false; 2 * n - 1];
        for join in joins {
            for id in [join.left, join.right] {
                if id >= rows.len() || std::mem::replace(&mut used[id], true) {
                    return None;
                }
            }
            rows.push((rows[join.left] + rows[join.right]) / 2.0);
            heights.push(if join.height.is_finite() { join.height.max(0.0) } else { 0.0 });
        }
        let top = heights.iter().copied().fold(0.0, f64::max);
        Some(Self { joins, rows, heights, top: if top > 0.0 { top } else { 1.0 } })
    }

    pub fn width(&self) -> f64 {
        (60.0 + 2.5 * self.joins.len() as f64).min(150.0)
    }

    /// `at` is the upper left corner, `cell` the height of a row.
    pub fn draw(&self, canvas: &mut Canvas, at: (f64, f64), cell: f64) {
        let (wide, n) = (self.width(), self.joins.len() + 1);
        let x = |id: usize| at.0 + wide * (1.0 - self.heights[id] / self.top);
        let y = |id: usize| at.1 + cell * (self.rows[id] + 0.5);
        canvas.put(format_args!("<g {AXIS}>\n"));
        for (i, join) in self.joins.iter().enumerate() {
            let bar = num(x(n + i));
            let (x1, y1) = (num(x(join.left)), num(y(join.left)));
            let (x2, y2) = (num(x(join.right)), num(y(join.right)));
            let height = shown(join.height);
            canvas.put(format_args!(
                "<path class=\"ig-axis ig-join\" d=\"M{x1} {y1}H{bar}V{y2}H{x2}\">\
                 <title>{height}</title></path>\n"
            ));
        }
        canvas.put(format_args!("</g>\n"));
        self.axis(canvas, (at.0, at.1 + cell * n as f64 + 8.0));
    }

    fn axis(&self, canvas: &mut Canvas, at: (f64, f64)) {
        let (left, right) = (num(at.0), num(at.0 + self.width()));
        let (y, tick) = (num(at.1), num(at.1 + 4.0));
        canvas.put(format_args!("<path d=\"M{left} {tick}V{y}H{right}V{tick}\" {AXIS}/>\n"));
        let top = shown(self.top);
        // The first number may not leave the figure on the left.
        canvas.text((at.0, at.1 + 14.0), 9.0, Anchor::Start, MUTED, &top);
        canvas.text((at.0 + self.width(), at.1 + 14.0), 9.0, Anchor::End, MUTED, "0");
        let name = "join height";
        debug_assert!(width(name, 9.0) <= 70.0);
        canvas.text((at.0, at.1 + 25.0), 9.0, Anchor::Start, MUTED, name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::svg::check::well_formed;
    use super::*;

    fn join(left: usize, right: usize, height: f64) -> Join {
        Join { left, right, height }
    }

    #[test]
    fn leaves_stand_where_the_order_puts_them() {
        let joins = [join(0, 2, 0.2), join(3, 1, 0.8)];
        let tree = Dendrogram::new(&joins, &[1, 0, 2]).expect("a tree");
        assert_eq!(tree.rows, [1.0, 0.0, 2.0, 1.5, 0.75]);
        let mut canvas = Canvas::default();
        tree.draw(&mut canvas, (0.0, 0.0), 10.0);
        let svg = canvas.finish((10.0, 10.0), "", "", "");
        well_formed(&svg);
        assert_eq!(svg.matches("ig-join").count(), 2);
    }

    #[test]
    fn joins_that_are_no_tree_are_refused() {
        let refused = |joins: &[Join]| Dendrogram::new(joins, &[0, 1, 2]).is_none();
        assert!(refused(&[]));
        assert!(refused(&[join(0, 1, 0.1), join(0, 2, 0.2)]));
        assert!(refused(&[join(0, 9, 0.1), join(3, 2, 0.2)]));
        assert!(refused(&[join(0, 4, 0.1), join(3, 2, 0.2)]));
        assert!(Dendrogram::new(&[], &[0]).is_none());
    }

    #[test]
    fn heights_that_are_no_number_lie_at_the_leaves() {
        let joins = [join(0, 1, f64::NAN)];
        let tree = Dendrogram::new(&joins, &[0, 1]).expect("a tree");
        assert_eq!(tree.heights, [0.0, 0.0, 0.0]);
    }
}
