//! Figures as SVG text: heat maps of similarities, curves with quartile bands, lines over a
//! quantity, points in a plane. The same input gives the same bytes, so that a figure can be kept
//! beside its numbers and compared.

mod colour;
mod curves;
mod dendrogram;
mod grid;
mod heat_map;
mod labels;
mod lines;
mod scale;
mod scatter;
mod svg;

pub use curves::{Curves, Series};
pub use dendrogram::Join;
pub use grid::Grid;
pub use heat_map::HeatMap;
pub use lines::{Line, Lines};
pub use scatter::Scatter;

#[cfg(test)]
mod tests;
