//! Figures as SVG text: heat maps of similarities and curves with quartile bands. The same
//! input gives the same bytes, so that a figure can be kept beside its numbers and compared.

mod colour;
mod curves;
mod dendrogram;
mod grid;
mod heat_map;
mod scale;
mod svg;

pub use curves::{Curves, Series};
pub use dendrogram::Join;
pub use grid::Grid;
pub use heat_map::HeatMap;

#[cfg(test)]
mod tests;
