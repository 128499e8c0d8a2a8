//! What the tests of this room share: a tokenizer, a small model, text of given lengths.

use std::path::Path;

use serde_json::{Value, json};

use super::corpus::{Corpus, CorpusOptions, OnLong, TextOptions};
use super::task::Task;
use crate::io::Input;
use crate::model::initialise::{InitMethod, initial_values};
use crate::model::{M2m100, ModelConfig, ParameterSet};
use crate::records::ReadOptions;
use crate::text::{
    Convention, CorpusSample, TextTokenizer, TokenizerKind, TokenizerOptions, train_tokenizer,
};

pub const VOCAB: usize = 90;

pub fn config() -> ModelConfig {
    serde_json::from_value(json!({
        "model_type": "m2m_100", "vocab_size": VOCAB, "d_model": 8, "encoder_layers": 1,
        "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "max_position_embeddings": 64, "dropout": 0.0,
    }))
    .unwrap()
}

/// Random weights.
pub fn model() -> (M2m100, ParameterSet) {
    let config = config();
    let values = |name: &str, shape: &[usize]| {
        Ok(initial_values(name, shape, &config, InitMethod::Xavier, 3))
    };
    let set = ParameterSet::from_values(&config, |_| true, values).unwrap();
    (M2m100::new(&config, &set, None).unwrap(), set)
}

/// Languages de, en and fi. `·` alone gives no piece.
pub fn tokenizer() -> TextTokenizer {
    tokenizer_with(|_| {})
}

/// The same with a change to its file.
pub fn tokenizer_with(change: impl FnOnce(&mut Value)) -> TextTokenizer {
    let languages = ["de", "en", "fi"].map(String::from);
    let mut sample = CorpusSample::new(1, 100);
    for lang in &languages {
        sample.add(lang, "the cat sat on a mat die katze kissa istui abcdefghijklmnopqrstuvwxyz.");
    }
    let options = TokenizerOptions {
        kind: TokenizerKind::Bpe,
        vocab_size: 60,
        character_coverage: 1.0,
        byte_fallback: false,
        temperature: 1.0,
    };
    let json = train_tokenizer(&sample, &languages, &options, |_| {}).unwrap().json;
    let mut value: Value = serde_json::from_str(&json).unwrap();
    let dropped = json!({"type": "Replace", "pattern": {"String": "·"}, "content": ""});
    value["normalizer"]["normalizers"].as_array_mut().unwrap().insert(0, dropped);
    change(&mut value);
    let bytes = value.to_string();
    TextTokenizer::from_bytes(bytes.as_bytes(), Path::new("tokenizer.json"), &config()).unwrap()
}

/// A file of a directory.
pub fn input(dir: &Path, name: &str, text: &str) -> Input {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    Input::Path(path)
}

pub fn corpus_options() -> CorpusOptions {
    CorpusOptions {
        read: ReadOptions::default(),
        both_directions: true,
        reverse: false,
        directions: None,
        max_len: 64,
        on_long: OnLong::Skip,
        keep_text: false,
    }
}

pub fn text_options() -> TextOptions {
    TextOptions { format: None, lang: None, max_len: 64, on_long: OnLong::Skip }
}

/// Text of all three tasks, in the given numbers of sentences: en-de and de-en, denoising of fi,
/// tagging of en.
pub fn mixture(pairs: usize, texts: usize, tagged: usize) -> Corpus {
    mixture_by(Convention::M2m100, pairs, texts, tagged)
}

/// The same with marks in other places.
pub fn mixture_by(convention: Convention, pairs: usize, texts: usize, tagged: usize) -> Corpus {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer().with_convention(convention);
    let mut corpus = Corpus::empty();
    if pairs > 0 {
        let line = r#"{"src_lang":"en","tgt_lang":"de","src":"the cat","tgt":"die katze"}"#;
        let file = input(dir.path(), "pairs.jsonl", &format!("{line}\n").repeat(pairs));
        corpus = Corpus::read(&[file], &tokenizer, &corpus_options(), |_| {}).unwrap();
    }
    if texts > 0 {
        let line = r#"{"lang":"fi","text":"kissa istui the mat abc def ghi jkl"}"#;
        let file = input(dir.path(), "texts.jsonl", &format!("{line}\n").repeat(texts));
        corpus.add_denoising(&[file], &tokenizer, &text_options(), |_| {}).unwrap();
    }
    if tagged > 0 {
        let line = r#"{"lang":"en","tokens":["the","mat","sat"],"tags":["DET","NOUN","VERB"]}"#;
        let file = input(dir.path(), "tagged.jsonl", &format!("{line}\n").repeat(tagged));
        corpus.add_tagging(&[file], &tokenizer, &text_options(), None, |_| {}).unwrap();
    }
    corpus
}

/// Index of the first lane of a task.
pub fn lane(corpus: &Corpus, task: Task) -> usize {
    corpus.directions.iter().position(|d| d.task == task).unwrap()
}
