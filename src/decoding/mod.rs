//! Search over the decoder's cache: greedy and beam search as `generate` of transformers does
//! them, scoring of given targets, and the stream that keeps the decoder full and the order of
//! its input.
//!
//! Token ids in, hypotheses of token ids out. Text, records and files are the commands' concern.

mod beam;
mod constraints;
mod greedy;
mod hypothesis;
mod options;
mod scheduler;
mod session;

pub use hypothesis::{Finish, Hypothesis};
pub use options::{DecodingOptions, EarlyStopping, MaxNewTokens};
pub use scheduler::{BatchLimits, Feed, Stream, Task, run};
pub use session::{Outcome, Session, Target};
