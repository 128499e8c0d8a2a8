//! Fused CPU operations, each beside the plain reference it must equal.
