//! Numbers against the reference, and the laws that hold without one.

mod decoding;
mod training_parity;
