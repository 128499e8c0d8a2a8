//! Numbers against the reference, and the laws that hold without one.

mod decoding;
mod score;
mod training_parity;
