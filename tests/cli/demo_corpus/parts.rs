//! Train, dev and test as files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::generator::corpus::{Corpus, Sizes, generate};

const SIZES: Sizes = Sizes { high: 400, low: 50, dev: 20, test: 40 };

fn corpus(seed: u64) -> Corpus {
    generate(seed, &SIZES).unwrap()
}

/// (target language, source, target) of each record.
fn pairs(part: &str) -> Vec<(String, String, String)> {
    part.lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["src_lang"], "en");
            let text = |field: &str| record[field].as_str().unwrap().to_string();
            (text("tgt_lang"), text("src"), text("tgt"))
        })
        .collect()
}

fn by_language(part: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (language, ..) in pairs(part) {
        *counts.entry(language).or_default() += 1;
    }
    counts
}

#[test]
fn sizes_are_as_asked() {
    let corpus = corpus(1);
    let counts = |high: usize, low: usize| {
        ["de", "es", "ja", "ru", "tr"]
            .map(|l| (l.to_string(), high))
            .into_iter()
            .chain([("pt".to_string(), low)])
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(by_language(&corpus.train), counts(400, 50));
    assert_eq!(by_language(&corpus.dev), counts(20, 20));
    assert_eq!(by_language(&corpus.test), counts(40, 40));
}

#[test]
fn a_seed_names_a_corpus() {
    assert_eq!(corpus(1), corpus(1));
    assert_ne!(corpus(1).train, corpus(2).train);
    // A small language may grow without a change to the others.
    let grown = generate(1, &Sizes { low: 90, ..SIZES }).unwrap();
    let german = |c: &Corpus| {
        c.train.lines().filter(|l| l.contains(r#""tgt_lang":"de""#)).map(String::from).collect()
    };
    let (before, after): (Vec<String>, Vec<String>) = (german(&corpus(1)), german(&grown));
    assert_eq!(before, after);
}

#[test]
fn parts_share_no_sentence() {
    let corpus = corpus(3);
    let english = |part: &str| -> BTreeSet<String> {
        pairs(part).into_iter().map(|(_, src, _)| src.to_lowercase()).collect()
    };
    let targets = |part: &str| -> BTreeSet<(String, String)> {
        pairs(part).into_iter().map(|(l, _, tgt)| (l, tgt.to_lowercase())).collect()
    };
    let (train, dev, test) = (english(&corpus.train), english(&corpus.dev), english(&corpus.test));
    assert!(train.is_disjoint(&dev) && train.is_disjoint(&test) && dev.is_disjoint(&test));
    // One English test set for every language.
    assert_eq!((dev.len(), test.len()), (SIZES.dev, SIZES.test));
    assert!(targets(&corpus.train).is_disjoint(&targets(&corpus.dev)));
    assert!(targets(&corpus.train).is_disjoint(&targets(&corpus.test)));
}

#[test]
fn no_english_sentence_twice_for_a_language() {
    for part in [corpus(4).train, corpus(4).dev, corpus(4).test] {
        let pairs = pairs(&part);
        let distinct: BTreeSet<_> = pairs.iter().map(|(l, src, _)| (l, src)).collect();
        assert_eq!(distinct.len(), pairs.len());
    }
}

#[test]
fn texts_are_clean_and_in_their_script() {
    for (language, src, tgt) in pairs(&corpus(5).train) {
        let ends: &[char] = if language == "ja" { &['。'] } else { &['.', '?'] };
        assert!(src.ends_with(['.', '?']) && tgt.ends_with(ends), "{src} | {tgt}");
        assert_eq!(
            src.ends_with('?'),
            tgt.ends_with('?') || tgt.ends_with("か。"),
            "{src} | {tgt}"
        );
        for text in [&src, &tgt] {
            assert!(!text.contains("  ") && !text.contains(" ,") && text.trim() == *text, "{text}");
        }
        // Letters of the Latin blocks end at U+024F.
        let is_latin = |c: &char| c.is_alphabetic() && *c <= '\u{24f}';
        let letters = tgt.chars().filter(|c| c.is_alphabetic()).count();
        let latin = tgt.chars().filter(is_latin).count();
        match language.as_str() {
            "ja" => assert!(latin == 0 && !tgt.contains(' '), "{tgt}"),
            "ru" => assert_eq!(latin, 0, "{tgt}"),
            _ => assert_eq!(latin, letters, "{tgt}"),
        }
    }
}
