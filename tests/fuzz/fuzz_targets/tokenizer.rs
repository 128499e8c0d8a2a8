//! Law: a tokenizer that loads encodes and decodes any text without a panic.
#![no_main]

use std::path::Path;

use isogloss::model::ModelConfig;
use isogloss::text::TextTokenizer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let config: ModelConfig = isogloss::formats::hf::read_json(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../data/training/even/config.json"
    )))
    .expect("fixture");
    if let Ok(t) = TextTokenizer::from_bytes(bytes, Path::new("tokenizer.json"), &config) {
        let ids = t.encode_pieces("a \u{301}__de__ </s> \u{1F600}").unwrap_or_default();
        let _ = t.decode(&ids);
    }
});
