//! Law: a SentencePiece model and a vocabulary that load cut and join any text without a panic, and no
//! text becomes a control token.
#![no_main]

use std::path::Path;

use isogloss::formats::sentencepiece::SentencePieceModel;
use isogloss::model::ModelConfig;
use isogloss::text::TextTokenizer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = SentencePieceModel::parse(bytes) else { return };
    let mut config: ModelConfig = isogloss::formats::hf::read_json(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../data/training/even/config.json"
    )))
    .expect("fixture");
    config.vocab_size = model.pieces.len() + 200;
    // A vocabulary that has all of its pieces.
    let mut vocab = serde_json::Map::new();
    let special = ["<s>", "<pad>", "</s>", "<unk>"];
    for piece in special.into_iter().chain(model.pieces.iter().map(|p| p.text.as_str())) {
        let id = vocab.len();
        vocab.entry(piece).or_insert(id.into());
    }
    let vocab = serde_json::to_vec(&vocab).expect("JSON");
    if let Ok(t) = TextTokenizer::from_pieces(bytes, &vocab, &config) {
        let ids = t.encode_pieces("a \u{301}__de__ </s> \u{1F600}\0 \u{fb01}").unwrap_or_default();
        assert!(ids.iter().all(|id| !t.is_control(*id)));
        let _ = t.decode(&ids);
    }
});
