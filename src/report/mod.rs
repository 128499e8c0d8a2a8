//! Progress, notes and warnings on standard error, tables and figures: the only room that
//! draws. It decides nothing; it shows what it is given.

mod facts;
mod reporter;

pub use facts::facts_text;
pub use reporter::{ColorChoice, Progress, ProgressChoice, Reporter, Verbosity};
