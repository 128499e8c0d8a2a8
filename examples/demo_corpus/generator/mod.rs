//! The demo corpus: sentences drawn from a small abstract grammar and said in seven languages.
//!
//! ```text
//! random -> sampler -> meaning -> languages/* -> corpus (splits, records)
//! ```

pub mod corpus;
pub mod languages;
pub mod meaning;
pub mod random;
pub mod sampler;
pub mod vocabulary;
