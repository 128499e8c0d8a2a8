//! Random streams by name: a new use of chance changes no other.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A random stream of its own for every name, all derived from one seed: ChaCha8 keyed by the
/// SHA-256 of seed and name.
pub fn named_rng(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}
