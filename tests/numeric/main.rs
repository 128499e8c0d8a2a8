//! Numbers: parity with the reference implementation, laws, invariances.

mod training_parity;
