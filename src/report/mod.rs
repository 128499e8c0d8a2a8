//! Progress, notes and warnings on standard error, tables and figures: the only room that
//! draws. It decides nothing; it shows what it is given.

mod reporter;

pub use reporter::{ColorChoice, Progress, ProgressChoice, Reporter, Verbosity};
