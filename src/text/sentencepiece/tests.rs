//! What the reference library did with the same models (tests/data/sentencepiece/record.py).

use super::*;
use serde_json::Value;

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sentencepiece");
const MODELS: [&str; 6] = ["bpe", "bpe_bytes", "unused", "unigram", "unigram_bytes", "suffix"];

fn load(name: &str) -> SentencePiece {
    let path = format!("{DIR}/{name}.model");
    SentencePiece::new(&SentencePieceModel::read(path.as_ref()).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect()
}

#[test]
fn pieces_ids_and_text_are_those_of_the_reference() {
    let models = MODELS.map(|name| (name, load(name)));
    let golden = std::fs::read_to_string(format!("{DIR}/golden.jsonl")).unwrap();
    let mut wrong = Vec::new();
    for line in golden.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let name = row["model"].as_str().unwrap();
        let sp = &models.iter().find(|(n, _)| *n == name).unwrap().1;
        if let Some(text) = row["text"].as_str() {
            let pieces = sp.pieces(text).unwrap();
            let got: Vec<&str> = pieces.iter().collect();
            if got != strings(&row["pieces"]) {
                wrong.push(format!("{name} {text:?}\n  {got:?}\n  {}", row["pieces"]));
            }
            for (piece, id) in pieces.iter().zip(pieces.ids()) {
                let own = &sp.vocabulary.piece(id).text;
                assert!(own == piece || id == sp.vocabulary.unknown, "{id} is {own}, not {piece}");
            }
            let back = sp.decode(pieces.iter());
            if back != row["decoded"].as_str().unwrap() {
                wrong.push(format!("{name} {text:?}: {back:?} for {}", row["decoded"]));
            }
        } else {
            let back = sp.decode(strings(&row["given"]));
            if back != row["decoded"].as_str().unwrap() {
                wrong.push(format!("{name} {}: {back:?} for {}", row["given"], row["decoded"]));
            }
        }
    }
    assert!(golden.lines().count() > 500);
    assert!(wrong.is_empty(), "{} lines\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn damaged_replacements_are_refused() {
    let path = format!("{DIR}/bpe.model");
    let mut model = SentencePieceModel::read(path.as_ref()).unwrap();
    let good = model.normalizer.precompiled_charsmap.clone();
    let mut fault = |blob: &[u8]| {
        model.normalizer.precompiled_charsmap = blob.to_vec();
        let e = SentencePiece::new(&model).err().unwrap().to_string();
        assert!(e.contains("precompiled_charsmap"), "{e}");
        e
    };
    for cut in [1, 3, 4, 8, good.len() / 4] {
        fault(&good[..cut]);
    }
    for size in [0, 3, u32::MAX] {
        fault(&[&size.to_le_bytes()[..], &good[4..]].concat());
    }
    assert!(fault(&[&good[..], &[b'a'; 256]].concat()).contains("of 256 bytes"));
    model.normalizer.precompiled_charsmap = [&good[..], &[b'a'; 255]].concat();
    assert!(SentencePiece::new(&model).is_ok());
}
