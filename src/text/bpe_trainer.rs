//! Learning byte-pair merges (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1) from weighted
//! words.
//!
//! The tokenizers crate has a trainer too, but its result depends on the order of randomly
//! seeded hash maps: when a pair is queued twice with different positions, which entry is
//! popped first decides the rank of the merge (`models/bpe/trainer.rs`, `do_train`). It also
//! counts pairs in i32 and knows no weights. Here every pair is counted once, in u64, and ties
//! are broken by symbol numbers, so equal text gives equal merges.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::sample::Word;

type Pair = (u32, u32);

/// Merges with fewer occurrences than this teach nothing but one sentence.
const MIN_COUNT: u64 = 2;
/// Longest piece in characters (SentencePiece's `max_sentencepiece_length`).
const MAX_PIECE_CHARS: usize = 16;

#[derive(Clone, Copy, Default)]
struct PairCount {
    weight: u64,
    count: u64,
}

/// Learnt symbols: the alphabet first, then one for each new merge result.
pub(super) struct Bpe {
    pub symbols: Vec<String>,
    /// In order of rank; indices into `symbols`.
    pub merges: Vec<Pair>,
}

/// Learns merges until there are `num_symbols` symbols or no pair occurs twice.
///
/// `alphabet` is sorted; characters outside it break a word as they will when encoding.
/// No symbol named in `reserved` is formed.
pub(super) fn train(
    words: &[Word],
    alphabet: &[char],
    num_symbols: usize,
    reserved: &HashSet<String>,
    mut on_merge: impl FnMut(usize),
) -> Bpe {
    let ids: HashMap<char, u32> =
        alphabet.iter().enumerate().map(|(i, &c)| (c, i as u32)).collect();
    let mut symbols: Vec<String> = alphabet.iter().map(char::to_string).collect();
    let mut lengths: Vec<usize> = vec![1; symbols.len()];
    let mut by_text: HashMap<String, u32> =
        symbols.iter().enumerate().map(|(i, s)| (s.clone(), i as u32)).collect();

    // A character outside the alphabet becomes an unknown piece between two halves.
    let mut segments: Vec<(Vec<u32>, PairCount)> = Vec::new();
    for word in words {
        let chars: Vec<Option<u32>> = word.text.chars().map(|c| ids.get(&c).copied()).collect();
        let weight = PairCount { weight: word.weight, count: word.count };
        for part in chars.split(Option::is_none) {
            if part.len() > 1 {
                segments.push((part.iter().flatten().copied().collect(), weight));
            }
        }
    }

    let mut counts: HashMap<Pair, PairCount> = HashMap::new();
    let mut places: HashMap<Pair, Vec<u32>> = HashMap::new();
    for (i, (segment, weight)) in segments.iter().enumerate() {
        for w in segment.windows(2) {
            add(&mut counts, (w[0], w[1]), *weight);
            note(&mut places, (w[0], w[1]), i as u32);
        }
    }
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
        counts.iter().map(|(&pair, c)| (c.weight, Reverse(pair))).collect();

    let mut merges = Vec::new();
    let mut seen: HashSet<Pair> = HashSet::new();
    while symbols.len() < num_symbols {
        let Some((weight, Reverse(pair))) = queue.pop() else { break };
        let current = counts.get(&pair).copied().unwrap_or_default();
        if current.weight != weight {
            // An entry of an earlier state; the pair waits again under its present weight.
            if current.weight > 0 {
                queue.push((current.weight, Reverse(pair)));
            }
            continue;
        }
        let length = lengths[pair.0 as usize] + lengths[pair.1 as usize];
        let text = format!("{}{}", symbols[pair.0 as usize], symbols[pair.1 as usize]);
        // Not now: it comes back if another merge makes it more frequent.
        if current.count < MIN_COUNT || length > MAX_PIECE_CHARS || reserved.contains(&text) {
            continue;
        }
        let Some(at) = places.remove(&pair) else { continue };
        // One text can be reached by two pairs; both then mean one symbol.
        let merged = *by_text.entry(text).or_insert_with_key(|text| {
            symbols.push(text.clone());
            lengths.push(length);
            symbols.len() as u32 - 1
        });
        // A pair comes back when one of its texts is reached a second way; its rank stays.
        if seen.insert(pair) {
            merges.push(pair);
        }
        on_merge(symbols.len());

        let mut fresh: HashSet<Pair> = HashSet::new();
        for i in at {
            let (segment, weight) = &mut segments[i as usize];
            let mut out: Vec<u32> = Vec::with_capacity(segment.len());
            let mut k = 0;
            while k < segment.len() {
                if k + 1 < segment.len() && (segment[k], segment[k + 1]) == pair {
                    if let Some(&before) = out.last() {
                        subtract(&mut counts, (before, pair.0), *weight);
                        add(&mut counts, (before, merged), *weight);
                        note(&mut places, (before, merged), i);
                        fresh.insert((before, merged));
                    }
                    if let Some(&after) = segment.get(k + 2) {
                        subtract(&mut counts, (pair.1, after), *weight);
                        add(&mut counts, (merged, after), *weight);
                        note(&mut places, (merged, after), i);
                        fresh.insert((merged, after));
                    }
                    out.push(merged);
                    k += 2;
                } else {
                    out.push(segment[k]);
                    k += 1;
                }
            }
            *segment = out;
        }
        counts.remove(&pair);
        fresh.remove(&pair);
        for pair in fresh {
            let weight = counts.get(&pair).map_or(0, |c| c.weight);
            if weight > 0 {
                queue.push((weight, Reverse(pair)));
            }
        }
    }
    Bpe { symbols, merges }
}

fn add(counts: &mut HashMap<Pair, PairCount>, pair: Pair, weight: PairCount) {
    let c = counts.entry(pair).or_default();
    c.weight = c.weight.saturating_add(weight.weight);
    c.count = c.count.saturating_add(weight.count);
}

fn subtract(counts: &mut HashMap<Pair, PairCount>, pair: Pair, weight: PairCount) {
    if let Some(c) = counts.get_mut(&pair) {
        c.weight = c.weight.saturating_sub(weight.weight);
        c.count = c.count.saturating_sub(weight.count);
    }
}

fn note(places: &mut HashMap<Pair, Vec<u32>>, pair: Pair, at: u32) {
    let list = places.entry(pair).or_default();
    if list.last() != Some(&at) {
        list.push(at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::CorpusSample;
    use super::*;

    fn word(text: &str, count: u64) -> Word {
        Word { text: text.into(), weight: count, count }
    }
    fn alphabet(words: &[Word]) -> Vec<char> {
        let mut chars: Vec<char> = words.iter().flat_map(|w| w.text.chars()).collect();
        chars.sort_unstable();
        chars.dedup();
        chars
    }
    fn learnt(words: &[Word], num_merges: usize) -> Vec<String> {
        let a = alphabet(words);
        let bpe = train(words, &a, a.len() + num_merges, &HashSet::new(), |_| {});
        bpe.symbols[a.len()..].to_vec()
    }

    /// The example of the paper; ties go to the pair of smaller symbol numbers.
    #[test]
    fn merges_of_the_paper() {
        let words = [word("▁low", 5), word("▁lower", 2), word("▁newest", 6), word("▁widest", 3)];
        assert_eq!(learnt(&words, 6), ["es", "est", "lo", "▁lo", "▁low", "ew"]);
    }

    #[test]
    fn repeated_characters_pair_from_the_left() {
        // After `aa`: `aa aa a` and `aa a b`, so `aa a` occurs eight times, `aa aa` four.
        let merges = learnt(&[word("aaaaa", 4), word("aaab", 4)], 3);
        assert_eq!(merges, ["aa", "aaa", "aaaaa"]);
        let words = [word("abababab", 3)];
        assert_eq!(learnt(&words, 9), ["ab", "abab", "abababab"]);
    }

    #[test]
    fn single_occurrences_reserved_texts_and_long_pieces_are_not_merged() {
        assert!(learnt(&[word("abc", 1), word("xyz", 1)], 9).is_empty());
        let reserved: HashSet<String> = ["</s>".to_string()].into();
        let words = [word("a</s>", 50)];
        let bpe = train(&words, &alphabet(&words), 99, &reserved, |_| {});
        assert!(!bpe.symbols.contains(&"</s>".to_string()));
        let longest = learnt(&[word(&"abcdefghij".repeat(9), 9)], 500);
        assert!(longest.iter().all(|s| s.chars().count() <= MAX_PIECE_CHARS));
    }

    /// Weights decide the order, not the raw counts.
    #[test]
    fn weights_decide() {
        let heavy = Word { text: "xy".into(), weight: 90, count: 2 };
        assert_eq!(learnt(&[heavy, word("ab", 50)], 2), ["xy", "ab"]);
    }

    /// Where the order of hash maps cannot matter, the trainer of the tokenizers crate agrees.
    #[test]
    fn equals_the_trainer_of_the_library() {
        use tokenizers::models::bpe::{BPE, BpeTrainer};
        use tokenizers::{AddedToken, Trainer};
        let mut sample = CorpusSample::new(1, 1000);
        for line in include_str!("../../tests/data/tokenizer/corpus.jsonl").lines() {
            let r: serde_json::Value = serde_json::from_str(line).unwrap();
            sample.add("x", r["src"].as_str().unwrap());
            sample.add("x", r["tgt"].as_str().unwrap());
        }
        let words = sample.words(1.0, str::to_string);
        let a = alphabet(&words);
        let size = a.len() + 70;
        let ours = train(&words, &a, size, &HashSet::new(), |_| {});

        let mut trainer = BpeTrainer::builder()
            .vocab_size(size + 1)
            .min_frequency(MIN_COUNT)
            .max_token_length(Some(MAX_PIECE_CHARS))
            .special_tokens(vec![AddedToken::from("<unk>", true)])
            .show_progress(false)
            .build();
        let all = words.iter().flat_map(|w| vec![w.text.clone(); w.count as usize]);
        trainer.feed(all, |s| Ok(vec![s.to_string()])).unwrap();
        let mut model = BPE::default();
        trainer.train(&mut model).unwrap();
        let theirs = serde_json::to_value(&model).unwrap()["merges"].clone();
        let name = |i: u32| ours.symbols[i as usize].clone();
        let ours: Vec<[String; 2]> = ours.merges.iter().map(|&(x, y)| [name(x), name(y)]).collect();
        assert_eq!(serde_json::json!(ours), theirs);
        assert_eq!(ours.len(), 70);
    }
}
