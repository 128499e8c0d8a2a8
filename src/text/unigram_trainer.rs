//! Learning a Unigram vocabulary (Kudo 2018, arXiv:1804.10959, section 3.2) with the trainer of
//! the tokenizers crate, made deterministic from outside.
//!
//! The trainer iterates over a randomly seeded set when it gives scores to characters that its
//! EM dropped, and adds floats in an order that depends on the number of threads
//! (`models/unigram/trainer.rs`, `finalize`, `run_e_step`). So it runs on one thread over sorted
//! words, and those scores are dealt out again in order of frequency.

use std::collections::HashMap;

use tokenizers::models::unigram::{Unigram, UnigramTrainer};

use super::sample::Word;
use crate::error::{Error, Result, contained};

/// What `finalize` adds from one dropped character to the next.
const PENALTY_STEP: f64 = 0.0001;
const MAX_PIECE_CHARS: usize = 16;

/// Pieces with log probabilities, best first, at most `num_pieces`. Characters outside
/// `alphabet` (sorted) break a word.
pub(super) fn train(
    words: &[Word],
    alphabet: &[char],
    num_pieces: usize,
) -> Result<Vec<(String, f64)>> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut frequency: HashMap<char, u64> = HashMap::new();
    for word in words {
        for part in word.text.split(|c| alphabet.binary_search(&c).is_err()) {
            if !part.is_empty() {
                *counts.entry(part.to_string()).or_default() += word.weight;
                for c in part.chars() {
                    *frequency.entry(c).or_default() += word.weight;
                }
            }
        }
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    // The trainer multiplies counts by lengths and adds them in u32.
    let total: u64 = counts.iter().map(|(s, n)| n.saturating_mul(s.chars().count() as u64)).sum();
    let scale = (f64::from(u32::MAX / 4) / total.max(1) as f64).min(1.0 / 1024.0);
    let sentences: Vec<(String, u32)> =
        counts.into_iter().map(|(s, n)| (s, ((n as f64 * scale).round() as u32).max(1))).collect();

    // EM drops rare pieces, and the trainer fills up in the order of its seeds: more is asked
    // for, and the best are kept, as SentencePiece does.
    let mut pieces = Vec::new();
    for percent in [110, 150, 200, 300] {
        pieces = run_trainer(&sentences, alphabet, num_pieces * percent / 100)?;
        if pieces.len() >= num_pieces {
            break;
        }
    }
    deal_out_penalties(&mut pieces, &frequency);
    pieces.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut room = num_pieces.saturating_sub(alphabet.len());
    pieces.retain(|(text, _)| {
        let is_char = text.chars().nth(1).is_none();
        if !is_char && room > 0 {
            room -= 1;
            return true;
        }
        is_char
    });
    Ok(pieces)
}

fn run_trainer(
    sentences: &[(String, u32)],
    alphabet: &[char],
    num_pieces: usize,
) -> Result<Vec<(String, f64)>> {
    let fault = |cause: String| Error::data("cannot train a Unigram tokenizer").cause(cause);
    let trainer = UnigramTrainer::builder()
        .vocab_size(num_pieces as u32)
        .max_piece_length(MAX_PIECE_CHARS)
        .show_progress(false)
        .initial_alphabet(alphabet.iter().copied().collect())
        .build()
        .map_err(|e| fault(e.to_string()))?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|e| Error::environment("cannot start a thread").cause(e.to_string()))?;
    let model = pool
        .install(|| {
            contained(|| {
                let mut model = Unigram::default();
                trainer.do_train(sentences.to_vec(), &mut model).map_err(|e| e.to_string())?;
                Ok(model)
            })
        })
        .unwrap_or_else(|| Err("the trainer gave up (text too small or too repetitive)".into()))
        .map_err(|cause: String| fault(cause).hint("try `--tokenizer-model bpe`"))?;
    Ok(model.iter().cloned().collect())
}

/// Characters that EM dropped carry the scores `min, min + step, min + 2 step, ...` in random
/// order; the most frequent gets the highest.
fn deal_out_penalties(pieces: &mut [(String, f64)], frequency: &HashMap<char, u64>) {
    let Some(min) = pieces.iter().map(|p| p.1).min_by(f64::total_cmp) else { return };
    let single = |s: &str| {
        let mut chars = s.chars();
        chars.next().filter(|_| chars.next().is_none())
    };
    let by_score: HashMap<u64, usize> = pieces
        .iter()
        .enumerate()
        .filter(|(_, p)| single(&p.0).is_some())
        .map(|(i, p)| (p.1.to_bits(), i))
        .collect();
    // The same sums as in `finalize`, bit for bit.
    let mut penalty = 0.0;
    let mut chain = Vec::new();
    while let Some(&i) = by_score.get(&(min + penalty).to_bits()) {
        chain.push(i);
        penalty += PENALTY_STEP;
    }
    let scores: Vec<f64> = chain.iter().map(|&i| pieces[i].1).collect();
    let mut texts: Vec<String> = chain.iter().map(|&i| pieces[i].0.clone()).collect();
    texts.sort_by_key(|s| (single(s).and_then(|c| frequency.get(&c)).copied(), s.clone()));
    for ((i, score), text) in chain.into_iter().zip(scores).zip(texts) {
        pieces[i] = (text, score);
    }
}
