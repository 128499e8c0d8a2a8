//! Progress, notes and warnings on standard error, tables and figures: the only room that
//! draws. It decides nothing; it shows what it is given.

mod facts;
mod figures;
pub mod panic;
mod progress;
mod reporter;
mod table;

pub use facts::facts_text;
pub use figures::{Curves, Grid, HeatMap, Join, Line, Lines, Scatter, Series};
pub use progress::{Progress, ProgressChoice};
pub use reporter::{ColorChoice, Reporter, Verbosity};
pub use table::{Align, Table, TableFormat};
