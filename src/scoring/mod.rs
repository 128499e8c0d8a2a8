//! Metrics (thin over sacrebleu-rs), resampling, aggregation, the gate.
