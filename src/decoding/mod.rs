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
mod queue;
mod scheduler;
mod session;
mod steps;

pub use hypothesis::{Finish, Hypothesis};
pub use options::{DecodingOptions, EarlyStopping, MaxNewTokens};
pub use queue::{Feed, Stream, Task};
pub use scheduler::{BatchLimits, run, run_with};
pub use session::{Outcome, Session, Target};
pub use steps::Steps;
