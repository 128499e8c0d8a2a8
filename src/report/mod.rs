//! Progress, notes and warnings on standard error, tables and figures: the only room that
//! draws. It decides nothing; it shows what it is given.

mod reporter;
mod table;

pub use reporter::{ColorChoice, Progress, ProgressChoice, Reporter, Verbosity};
pub use table::{Align, Table, TableFormat};
