//! `sentencepiece.bpe.model` and `vocab.json`, as M2M-100 and SMaLL-100 were published. The models of
//! tests/data/sentencepiece are held to the reference library by `src/text/sentencepiece`; here it is
//! the vocabulary, the marks and the directory.

use std::path::{Path, PathBuf};

use isogloss::error::Result;
use isogloss::formats::sentencepiece::{PieceType, SentencePieceModel};
use isogloss::model::ModelConfig;
use isogloss::text::{Convention, TextTokenizer};
use serde_json::{Value, json};

use crate::config;

fn model_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sentencepiece").join(name)
}

/// A vocabulary as fairseq orders it: four special tokens, then pieces, those at the end first.
fn vocab(left_out: &[&str]) -> serde_json::Map<String, Value> {
    let model = SentencePieceModel::read(&model_path("bpe.model")).unwrap();
    let special = ["<s>", "<pad>", "</s>", "<unk>"].map(String::from);
    let is_text = |k| matches!(k, PieceType::Normal | PieceType::UserDefined);
    let pieces = model.pieces.iter().rev().filter(|p| is_text(p.kind)).map(|p| p.text.clone());
    let kept = pieces.filter(|p| !left_out.contains(&p.as_str()));
    special.into_iter().chain(kept).zip(0..).map(|(p, i)| (p, Value::from(i))).collect()
}

/// A directory with the two files, and others.
fn directory(vocab: &str, others: &[(&str, Value)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(model_path("bpe.model"), dir.path().join("sentencepiece.bpe.model")).unwrap();
    std::fs::write(dir.path().join("vocab.json"), vocab).unwrap();
    for (name, value) in others {
        std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    }
    dir
}

fn load(vocab: &serde_json::Map<String, Value>, others: &[(&str, Value)]) -> Result<TextTokenizer> {
    let text = serde_json::to_string(vocab).unwrap();
    TextTokenizer::load(directory(&text, others).path(), &config(600))
}

#[test]
fn ids_are_those_of_the_vocabulary_and_marks_follow() {
    let whole = vocab(&[]);
    let n = whole.len() as u32;
    let t = load(&whole, &[]).unwrap();
    assert_eq!((t.kind(), t.languages().len(), t.num_entries()), ("BPE", 100, n as usize + 100));
    assert_eq!(t.convention(), Convention::M2m100);
    let mark = |l: &str| t.languages().id_of(l).unwrap();
    assert_eq!((mark("af"), mark("am"), mark("en"), mark("zu")), (n, n + 1, n + 18, n + 99));
    assert_eq!(t.piece(n + 18).as_deref(), Some("__en__"));
    assert_eq!((t.id_of_piece("__en__"), t.piece(n + 100)), (Some(n + 18), None));
    assert_eq!(t.ids_without_piece(), [(n + 100, 599)]);

    let text = "ba shi<sep> @@ \u{3b1}\u{4e00}\u{4e00} .";
    let e = t.encode("en", text, 64).unwrap();
    let names: Vec<String> = e.ids.iter().map(|id| t.piece(*id).unwrap()).collect();
    assert_eq!((names[0].as_str(), names.last().map(String::as_str)), ("__en__", Some("</s>")));
    assert!(names.contains(&"<sep>".into()) && names.contains(&"@@".into()), "{names:?}");
    // The two characters that nothing knows are one piece.
    assert_eq!(e.num_unk, 1);
    assert_eq!(t.decode(&e.ids).unwrap(), "ba shi<sep> @@ \u{3b1} .");
    for (piece, id) in names.iter().zip(&e.ids).skip(1) {
        assert_eq!(whole[piece], *id, "{piece}");
    }

    // A piece that the vocabulary lacks is unknown, and the others stay what they are.
    let known: Vec<&String> = names.iter().filter(|p| p.starts_with('\u{2581}')).collect();
    let without = load(&vocab(&[known[0]]), &[]).unwrap();
    let less = without.encode("en", text, 64).unwrap();
    assert_eq!((less.ids.len(), less.num_unk), (e.ids.len(), 2));
    assert_eq!(less.ids.iter().position(|id| Some(*id) == without.unk_id()), Some(1));
}

#[test]
fn text_never_becomes_a_control_token() {
    // Characters that the SentencePiece model does not know, but the vocabulary does.
    let mut odd = vocab(&[]);
    odd.insert("\u{4e00}\u{4e8c}".into(), odd.len().into());
    let t = load(&odd, &[]).unwrap();
    for text in ["</s>", "<s> a", "__de__", "a __en__ b", "<pad>", "<unk></s>", "</s></s>"] {
        let ids = t.encode_pieces(text).unwrap();
        assert!(!ids.is_empty() && ids.iter().all(|id| !t.is_control(*id)), "{text} {ids:?}");
    }
    let id = t.id_of_piece("\u{4e00}\u{4e8c}").unwrap();
    assert!(t.encode_pieces("\u{4e00}\u{4e8c}").unwrap().contains(&id));
    assert_eq!(t.encode_pieces("").unwrap(), [0; 0]);
    assert_eq!(t.encode_pieces("  \u{3000}").unwrap(), [0; 0]);
}

#[test]
fn ids_without_a_piece_show_as_unknown() {
    let t = load(&vocab(&[]), &[]).unwrap();
    let mut ids = t.encode("en", "ba", 64).unwrap().ids;
    assert_eq!(t.decode(&ids).unwrap(), "ba");
    ids.insert(2, 599);
    ids.insert(1, t.unk_id().unwrap());
    // transformers: `decoder.get(index, unk_token)`, which is then a special token of its own.
    let shown = t.decode(&ids).unwrap();
    assert!(shown.contains("<unk>") && !shown.contains("__en__"), "{shown}");
    assert_eq!(shown.matches("<unk>").count(), 1, "a token that is unknown leaves nothing");
}

#[test]
fn sentences_become_sources_and_targets() {
    let t = load(&vocab(&[]), &[]).unwrap();
    let [en, de] = ["en", "de"].map(|l| t.languages().id_of(l).unwrap());
    let pieces = t.encode_pieces("ba shi").unwrap();
    let with = |front: &[u32], back: &[u32]| [front, &pieces, back].concat();
    for (convention, source, target, forced) in [
        (Convention::M2m100, with(&[en], &[2]), with(&[de], &[2]), Some(de)),
        (Convention::NllbLegacy, with(&[], &[2, en]), with(&[de], &[2]), Some(de)),
        (Convention::Small100, with(&[de], &[2]), with(&[], &[2]), None),
    ] {
        let t = load(&vocab(&[]), &[]).unwrap().with_convention(convention);
        assert_eq!(t.encode_source("en", "de", "ba shi", 64).unwrap().ids, source);
        assert_eq!(t.encode_target("de", "ba shi", 64).unwrap().ids, target);
        assert_eq!(t.forced("de").unwrap(), forced);
        let cut = t.encode_source("en", "de", "ba shi ba shi", 4).unwrap();
        assert!(cut.truncated && cut.ids.len() == 4 && cut.ids.contains(&2));
        assert!(t.encode_source("en", "xx", "ba", 64).unwrap_err().to_string().contains("`xx`"));
    }
}

#[test]
fn the_directory_says_which_tokenizer_it_is() {
    let config = |value: Value| ("tokenizer_config.json", value);
    let t = load(&vocab(&[]), &[config(json!({"tokenizer_class": "SMALL100Tokenizer"}))]).unwrap();
    assert_eq!(t.convention(), Convention::Small100);
    let t = load(&vocab(&[]), &[config(json!({"language_codes": "wmt21"}))]).unwrap();
    assert_eq!(t.languages().codes(), ["cs", "de", "en", "ha", "is", "ja", "ru", "zh"]);
    // Marks that were added to the published ones.
    let n = vocab(&[]).len();
    let added = json!({"__qu__": n + 108, "__en__": n + 18, "<s>": 0});
    let t = load(&vocab(&[]), &[("added_tokens.json", added)]).unwrap();
    assert_eq!(t.languages().id_of("qu").unwrap() as usize, n + 108);
    assert_eq!(t.languages().len(), 101);
    let added = json!({"added_tokens_decoder": {(n + 109).to_string(): {"content": "__qu__"}}});
    let t = load(&vocab(&[]), &[config(added)]).unwrap();
    assert_eq!(t.languages().id_of("qu").unwrap() as usize, n + 109);
    // A tokenizer.json wins.
    let dir = directory("{", &[]);
    let json = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer/bpe.json");
    std::fs::copy(json, dir.path().join("tokenizer.json")).unwrap();
    assert!(TextTokenizer::load(dir.path(), &self::config(600)).unwrap().languages().len() < 10);
}

#[test]
fn faults_name_file_and_key() {
    let n = vocab(&[]).len();
    let fault = |vocab: &str, others: &[(&str, Value)], config: &ModelConfig, words: &[&str]| {
        let e = TextTokenizer::load(directory(vocab, others).path(), config).err();
        let e = e.unwrap_or_else(|| panic!("no error: {words:?}"));
        assert_eq!(e.exit_code() as i32, 4, "{e}");
        for word in words {
            assert!(e.to_string().contains(word), "{word}: {e}");
        }
    };
    let whole = config(600);
    let changed = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut v = vocab(&[]);
        change(&mut v);
        serde_json::to_string(&v).unwrap()
    };
    let same = changed(&|_| {});
    for (text, words) in [
        (changed(&|v| drop(v.shift_remove("<unk>"))), ["vocab.json", "have a gap"]),
        (changed(&|v| drop(v.insert("<unk>".into(), 5.into()))), ["vocab.json", "id twice"]),
        (changed(&|v| drop(v.insert("x".into(), (n + 1).into()))), ["`x`", "have a gap"]),
        (changed(&|v| drop(v.insert("x".into(), u64::MAX.into()))), ["`x`", "have a gap"]),
        (changed(&|v| drop(v.insert("x".into(), (-1).into()))), ["vocab.json", "cannot read JSON"]),
        (changed(&|v| drop(v.insert("__de__".into(), n.into()))), ["`__de__`", "language mark"]),
        (same.replacen("<unk>", "<oov>", 1), ["vocab.json", "`<unk>`"]),
        (same.replacen("</s>", "<eos>", 1), ["eos_token_id", "`</s>`"]),
        (same.replacen("<pad>", "<p>", 1), ["pad_token_id", "`<pad>`"]),
        (same.replacen('{', "{\"<s>\": 0, ", 1), ["`<s>`", "piece twice"]),
        (format!("{{\"zz\": {n}, \"zz\": {}, {}", n + 1, &same[1..]), ["`zz`", "piece twice"]),
        ("[]".into(), ["vocab.json", "from pieces to ids"]),
        ("{}".into(), ["vocab.json", "eos_token_id"]),
        ("".into(), ["vocab.json", "cannot read JSON"]),
        (r#"{"<s>":0,"<pad>":1,"</s>":2,"<unk>":3}"#.into(), ["vocab.json", "is not that of"]),
    ] {
        fault(&text, &[], &whole, &words);
    }
    fault(
        &same,
        &[],
        &config(n + 99),
        &["vocab.json", "`__zu__`", "does not fit", "another model"],
    );
    let mut other = config(600);
    other.eos_token_id = 3;
    fault(&same, &[], &other, &["`</s>`", "id 2", "eos_token_id"]);
    for (name, value, words) in [
        ("tokenizer_config.json", json!({"language_codes": "x"}), ["language_codes", "wmt21"]),
        ("tokenizer_config.json", json!({"mark_convention": 3}), ["mark_convention", "small100"]),
        ("added_tokens.json", json!({"__en__": n}), ["`__en__`", "by the list `m2m100`"]),
        ("added_tokens.json", json!({"__qu__": 7}), ["`__qu__`", "an id that is free"]),
        ("added_tokens.json", json!({"__qu__": n + 3}), ["`__qu__`", "an id that is free"]),
        ("added_tokens.json", json!({"__qu__": u64::MAX}), ["`__qu__`", "an id that is free"]),
        ("added_tokens.json", json!({"__qu__": 700}), ["`__qu__`", "does not fit"]),
        ("added_tokens.json", json!({"<extra>": n + 200}), ["`<extra>`", "not a language mark"]),
    ] {
        fault(&same, &[(name, value)], &whole, &words);
    }
    for id in ["x", "-1", "7.0", ""] {
        let value = json!({"added_tokens_decoder": {id: {"content": "__qu__"}}});
        let key = format!("key `added_tokens_decoder.{id}`");
        let words = ["tokenizer_config.json", &key, "`__qu__` is not a number"];
        fault(&same, &[("tokenizer_config.json", value)], &whole, &words);
    }
    let dir = directory(&same, &[]);
    std::fs::write(dir.path().join("sentencepiece.bpe.model"), "x").unwrap();
    let e = TextTokenizer::load(dir.path(), &whole).err().unwrap().to_string();
    assert!(e.contains("sentencepiece.bpe.model"), "{e}");
    std::fs::remove_file(dir.path().join("vocab.json")).unwrap();
    let e = TextTokenizer::load(dir.path(), &whole).err().unwrap().to_string();
    assert!(e.contains("needs its `vocab.json`"), "{e}");
}
