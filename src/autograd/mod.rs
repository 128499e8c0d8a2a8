//! Reverse-mode differentiation: a tape of fused operations.
