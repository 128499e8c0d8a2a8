//! A tokenizer trained on parallel text, written as `tokenizer.json`:
//! `<s>`, `<pad>`, `</s>`, `<unk>` as ids 0 to 3 (M2M-100), bytes if asked for, pieces, and the
//! language marks last.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

use super::languages::mark_of;
use super::sample::{CorpusSample, SPACE, Word};
use super::tokenizer::byte_token;
use super::{bpe_trainer, unigram_trainer};
use crate::error::{Error, Result};

/// Ids 0 to 3 in M2M-100 and NLLB-200.
pub const SPECIAL_TOKENS: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// Score of special tokens and bytes in a Unigram model: below any spelling out in pieces, so
/// that text never matches them.
const UNREACHABLE_SCORE: f64 = -1000.0;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TokenizerKind {
    /// Byte-pair merges
    #[default]
    Bpe,
    /// Unigram language model; minutes of training for each megabyte of text
    Unigram,
}

impl TokenizerKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpe => "bpe",
            Self::Unigram => "unigram",
        }
    }
}

#[derive(Clone, Debug)]
pub struct TokenizerOptions {
    pub kind: TokenizerKind,
    /// Everything together: special tokens, bytes, pieces and marks.
    pub vocab_size: usize,
    /// Share of the sample's characters that the alphabet must cover, up to 1.
    pub character_coverage: f64,
    /// Characters outside the alphabet become byte pieces instead of `<unk>`.
    pub byte_fallback: bool,
    /// 1 keeps the languages' shares; larger values even them out.
    pub temperature: f64,
}

/// The result of [`train_tokenizer`].
pub struct TrainedTokenizer {
    /// The bytes of `tokenizer.json`.
    pub json: String,
    /// At most what was asked for; smaller when the text has no more pieces to give.
    pub vocab_size: usize,
    pub num_chars: usize,
    /// Share of the sample's characters inside the alphabet.
    pub covered_frac: f64,
}

/// NFKC, and white space as SentencePiece has it by default (`remove_extra_whitespaces`): runs
/// become one space, none at the ends. Single spaces do not match, so most text passes
/// untouched.
fn normalizer() -> Value {
    json!({
        "type": "Sequence",
        "normalizers": [
            {"type": "NFKC"},
            {"type": "Replace", "pattern": {"Regex": "\\s{2,}|[^\\S ]"}, "content": " "},
            {"type": "Strip", "strip_left": true, "strip_right": true},
        ],
    })
}

/// Learns pieces from `sample` and adds a mark for each of `languages` (sorted, distinct).
pub fn train_tokenizer(
    sample: &CorpusSample,
    languages: &[String],
    options: &TokenizerOptions,
    mut on_merge: impl FnMut(usize),
) -> Result<TrainedTokenizer> {
    let bug = |e: String| Error::bug("cannot build the normalizer").cause(e);
    let normalize: NormalizerWrapper =
        serde_json::from_value(normalizer()).map_err(|e| bug(e.to_string()))?;
    let words = sample.words(options.temperature, |text| {
        let mut s = NormalizedString::from(text);
        // NFKC, Replace and Strip have no failing input.
        let _ = normalize.normalize(&mut s);
        s.get().to_string()
    });
    // A Unigram model would match the name of a byte in text if it could not spell it.
    let required: Vec<char> = match (options.kind, options.byte_fallback) {
        (TokenizerKind::Unigram, true) => {
            (0..=255).flat_map(|b| byte_token(b).into_bytes()).map(char::from).collect()
        }
        _ => Vec::new(),
    };
    let (alphabet, covered_frac) = alphabet(&words, options.character_coverage, &required);
    if words.is_empty() {
        return Err(Error::data("the text has no words to train a tokenizer on"));
    }

    let num_bytes = if options.byte_fallback { 256 } else { 0 };
    let num_fixed = SPECIAL_TOKENS.len() + num_bytes + languages.len();
    let needed = num_fixed + alphabet.len();
    if needed > options.vocab_size {
        let mut e = Error::usage("vocabulary is too small for the text")
            .flag("--vocab-size")
            .found(options.vocab_size.to_string())
            .expected(format!(
                "at least {needed}: {} special tokens, {num_bytes} bytes, {} characters, {} \
                 language marks",
                SPECIAL_TOKENS.len(),
                alphabet.len(),
                languages.len()
            ))
            .hint(format!("raise it, for example `--vocab-size {}`", needed.next_power_of_two()));
        if options.character_coverage > 0.99 {
            e = e.hint("or cover fewer characters: `--character-coverage 0.99 --byte-fallback`");
        }
        return Err(e);
    }
    let num_pieces = options.vocab_size - num_fixed;

    let mut entries: Vec<(String, f64)> =
        SPECIAL_TOKENS.iter().map(|t| (t.to_string(), UNREACHABLE_SCORE)).collect();
    if options.byte_fallback {
        entries.extend((0..=255).map(|b| (byte_token(b), UNREACHABLE_SCORE)));
    }
    let model = match options.kind {
        TokenizerKind::Bpe => {
            let reserved: HashSet<String> = entries
                .iter()
                .map(|(t, _)| t.clone())
                .chain(languages.iter().map(|l| mark_of(l)))
                .collect();
            let bpe = bpe_trainer::train(&words, &alphabet, num_pieces, &reserved, &mut on_merge);
            let merges: Vec<Value> = bpe
                .merges
                .iter()
                .map(|&(a, b)| json!([bpe.symbols[a as usize], bpe.symbols[b as usize]]))
                .collect();
            entries.extend(bpe.symbols.into_iter().map(|s| (s, 0.0)));
            let vocab: serde_json::Map<String, Value> = entries
                .iter()
                .enumerate()
                .map(|(i, (token, _))| (token.clone(), i.into()))
                .collect();
            json!({
                "type": "BPE",
                "dropout": null,
                "unk_token": "<unk>",
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": options.byte_fallback,
                "ignore_merges": false,
                "vocab": vocab,
                "merges": merges,
            })
        }
        TokenizerKind::Unigram => {
            let taken: HashSet<String> = entries.iter().map(|(t, _)| t.clone()).collect();
            let pieces = unigram_trainer::train(&words, &alphabet, num_pieces)?;
            entries.extend(pieces.into_iter().filter(|(p, _)| !taken.contains(p)));
            entries.truncate(options.vocab_size - languages.len());
            json!({
                "type": "Unigram",
                "unk_id": 3,
                "vocab": entries,
                "byte_fallback": options.byte_fallback,
            })
        }
    };

    let mut added: Vec<Value> =
        SPECIAL_TOKENS.iter().enumerate().map(|(i, t)| added_token(i, t)).collect();
    for (i, language) in languages.iter().enumerate() {
        added.push(added_token(entries.len() + i, &mark_of(language)));
    }
    let metaspace = json!({
        "type": "Metaspace",
        "replacement": SPACE.to_string(),
        "prepend_scheme": "always",
        "split": true,
    });
    let decoder = if options.byte_fallback {
        json!({"type": "Sequence", "decoders": [{"type": "ByteFallback"}, metaspace]})
    } else {
        metaspace.clone()
    };
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": normalizer(),
        "pre_tokenizer": metaspace,
        "post_processor": null,
        "decoder": decoder,
        "model": model,
    });
    let mut json = serde_json::to_string_pretty(&tokenizer)
        .map_err(|e| Error::bug("cannot encode the tokenizer").cause(e.to_string()))?;
    json.push('\n');
    Ok(TrainedTokenizer {
        json,
        vocab_size: entries.len() + languages.len(),
        num_chars: alphabet.len(),
        covered_frac,
    })
}

fn added_token(id: usize, content: &str) -> Value {
    json!({
        "id": id,
        "content": content,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": false,
        "special": true,
    })
}

/// The most frequent characters that together make up `coverage` of the text, sorted, and
/// what they cover. `▁` and `required` are always among them, control characters never.
fn alphabet(words: &[Word], coverage: f64, required: &[char]) -> (Vec<char>, f64) {
    let mut counts: HashMap<char, u64> = HashMap::new();
    for word in words {
        for c in word.text.chars().filter(|c| !c.is_control()) {
            *counts.entry(c).or_default() += word.weight;
        }
    }
    let total: u64 = counts.values().sum();
    let mut by_count: Vec<(u64, char)> = counts.into_iter().map(|(c, n)| (n, c)).collect();
    by_count.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut kept = required.to_vec();
    kept.push(SPACE);
    let mut covered = 0;
    for (n, c) in by_count {
        if required.contains(&c) || c == SPACE {
            covered += n;
        } else if (covered as f64) < coverage * total as f64 {
            kept.push(c);
            covered += n;
        }
    }
    kept.sort_unstable();
    kept.dedup();
    (kept, covered as f64 / total.max(1) as f64)
}

/// `tokenizer_config.json`: how transformers' `AutoTokenizer` loads our `tokenizer.json`.
pub fn tokenizer_config(languages: &[String], max_len: usize) -> Value {
    let marks: Vec<String> = languages.iter().map(|l| mark_of(l)).collect();
    json!({
        "additional_special_tokens": marks,
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": false,
        "eos_token": "</s>",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": max_len,
        "pad_token": "<pad>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
    })
}
