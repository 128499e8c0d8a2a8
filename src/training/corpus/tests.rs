use sha2::{Digest, Sha256};

use super::*;
use crate::model::IGNORED;
use crate::text::TextTokenizer;
use crate::training::fixture::*;

const X: u16 = IGNORED;

fn denoising(name: &str, text: &str, options: &TextOptions) -> Result<(Corpus, CorpusSummary)> {
    let dir = tempfile::tempdir().unwrap();
    let mut corpus = Corpus::empty();
    let file = input(dir.path(), name, text);
    let summary = corpus.add_denoising(&[file], &tokenizer(), options, |_| {})?;
    Ok((corpus, summary))
}

fn add_tagged(
    corpus: &mut Corpus,
    tokenizer: &TextTokenizer,
    text: &str,
    options: &TextOptions,
    known: Option<&[String]>,
) -> Result<CorpusSummary> {
    let dir = tempfile::tempdir().unwrap();
    let file = input(dir.path(), "x.jsonl", text);
    corpus.add_tagging(&[file], tokenizer, options, known, |_| {})
}

fn tagging(text: &str, options: &TextOptions) -> Result<(Corpus, CorpusSummary)> {
    let mut corpus = Corpus::empty();
    let summary = add_tagged(&mut corpus, &tokenizer(), text, options, None)?;
    Ok((corpus, summary))
}

fn names(corpus: &Corpus) -> Vec<(String, usize)> {
    corpus.directions.iter().map(|d| (d.name(), d.examples.len())).collect()
}

fn expect_fault<T>(result: Result<T>, line: Option<u64>, field: Option<&str>, says: &str) {
    let e = result.err().unwrap_or_else(|| panic!("no error: {says}"));
    assert_eq!(e.exit_code() as i32, 3, "{e}");
    assert_eq!((e.place().line, e.place().field.as_deref()), (line, field), "{e}");
    assert!(e.place().path.is_some() && e.to_string().contains(says), "{e}");
}

#[test]
fn denoising_takes_texts_and_both_sides_of_pairs() {
    let text = concat!(
        "{\"lang\":\"fi\",\"text\":\"kissa\"}\n",
        "{\"src_lang\":\"en\",\"tgt_lang\":\"de\",\"src\":\"the cat\",\"tgt\":\"die katze\"}\n",
        "{\"lang\":\"fi\",\"text\":\"  \"}\n",
        "{\"lang\":\"en\",\"text\":\"· ·\"}\n",
        "{\"lang\":\"fi\",\"text\":\"istui\"}\n",
    );
    let (c, s) = denoising("x.jsonl", text, &text_options()).unwrap();
    let lanes = [("denoise:de", 1), ("denoise:en", 1), ("denoise:fi", 2)];
    assert_eq!(names(&c), lanes.map(|(n, k)| (n.to_string(), k)));
    assert_eq!((s.num_records, s.num_empty, s.num_long), (6, 2, 0));
    let t = tokenizer();
    for (lane, texts) in [(0, &["die katze"][..]), (1, &["the cat"]), (2, &["kissa", "istui"])] {
        let d = &c.directions[lane];
        assert_eq!(d.direction.src_lang, d.direction.tgt_lang);
        for (e, text) in d.examples.iter().zip(texts) {
            assert_eq!((e.src, e.weight), (e.tgt, 1.0));
            let want = t.encode(&d.direction.src_lang, text, 64).unwrap().ids;
            assert_eq!(c.sentence(e.src), want);
            assert!(c.labels(e.src).is_none());
        }
    }
    let last = c.directions[2].examples[1].record;
    assert!(c.place(last).ends_with("x.jsonl:5"), "{}", c.place(last));
    assert_eq!(s.num_tokens, (0..4).map(|i| c.sentence_len(i) as u64).sum::<u64>());

    let lines = TextOptions { lang: Some("en".into()), ..text_options() };
    let (c, s) = denoising("x.txt", "the cat\n\na mat\n", &lines).unwrap();
    assert_eq!(names(&c), [("denoise:en".to_string(), 2)]);
    assert_eq!((s.num_records, s.num_empty), (3, 1));
}

#[test]
fn denoising_names_what_is_wrong() {
    let text = "{\"lang\":\"fi\",\"text\":\"kissa\"}\n{\"lang\":\"sv\",\"text\":\"katt\"}\n";
    expect_fault(denoising("x.jsonl", text, &text_options()), Some(2), Some("lang"), "`sv`");
    let pair = "{\"src_lang\":\"en\",\"tgt_lang\":\"xx\",\"src\":\"a\",\"tgt\":\"b\"}\n";
    expect_fault(denoising("x.jsonl", pair, &text_options()), Some(1), Some("tgt_lang"), "`xx`");
    expect_fault(denoising("x.txt", "a\n", &text_options()), Some(1), Some("lang"), "no `lang`");
    expect_fault(denoising("x.jsonl", "", &text_options()), None, None, "no records");
    let empty = "{\"lang\":\"fi\",\"text\":\"\"}\n";
    expect_fault(denoising("x.jsonl", empty, &text_options()), None, None, "no usable sentences");
}

#[test]
fn long_texts_are_left_out_cut_or_refused() {
    let text = "{\"lang\":\"fi\",\"text\":\"abcdefghij\"}\n{\"lang\":\"fi\",\"text\":\"a\"}\n";
    let of = |on_long| {
        denoising("x.jsonl", text, &TextOptions { max_len: 6, on_long, ..text_options() })
    };
    let (c, s) = of(OnLong::Skip).unwrap();
    assert_eq!((c.num_examples(), s.num_long), (1, 1));
    let (c, s) = of(OnLong::Cut).unwrap();
    assert_eq!((c.num_examples(), s.num_long), (2, 1));
    let whole = tokenizer().encode("fi", "abcdefghij", 64).unwrap().ids;
    assert!(whole.len() > 6);
    assert_eq!(c.sentence(0), [&whole[..5], &whole[whole.len() - 1..]].concat());
    expect_fault(of(OnLong::Error), Some(1), None, "too long");
}

#[test]
fn the_first_piece_of_a_word_carries_its_tag() {
    let text = concat!(
        "{\"lang\":\"en\",\"tokens\":[\"zyx\",\"·\",\"a\"],\"tags\":[\"VERB\",\"SYM\",\"DET\"]}\n",
        "{\"lang\":\"fi\",\"tokens\":[\"·\"],\"tags\":[\"SYM\"]}\n",
        "{\"lang\":\"fi\",\"tokens\":[\"kissa\"],\"tags\":[\"NOUN\"]}\n",
    );
    let (c, s) = tagging(text, &text_options()).unwrap();
    assert_eq!(c.tags, ["DET", "NOUN", "SYM", "VERB"]);
    assert_eq!(names(&c), [("tag:en".to_string(), 1), ("tag:fi".to_string(), 1)]);
    assert_eq!((s.num_records, s.num_empty, s.num_words, s.num_dropped), (3, 1, 3, 1));
    let t = tokenizer();
    let (first, last) = (t.encode_pieces("zyx").unwrap(), t.encode_pieces("a").unwrap());
    assert!(first.len() > 1, "a word of several pieces");
    let e = c.directions[0].examples[0];
    assert_eq!(e.src, e.tgt);
    let sentence = c.sentence(e.src);
    assert_eq!(sentence[0], t.languages().id_of("en").unwrap());
    assert_eq!(sentence[1..sentence.len() - 1], [&first[..], &last[..]].concat());
    assert_eq!(sentence[sentence.len() - 1], t.eos_id());
    let mut want = vec![X; sentence.len()];
    want[1] = 3;
    want[1 + first.len()] = 0;
    assert_eq!(c.labels(e.src).unwrap(), want);
    assert_eq!(c.labels(c.directions[1].examples[0].src).unwrap()[1], 1);
}

#[test]
fn long_sentences_are_cut_between_words() {
    let text =
        "{\"lang\":\"en\",\"tokens\":[\"zyx\",\"wvu\",\"a\"],\"tags\":[\"A\",\"B\",\"C\"]}\n";
    let t = tokenizer();
    let (one, two) = (t.encode_pieces("zyx").unwrap().len(), t.encode_pieces("wvu").unwrap().len());
    assert!(two > 1);
    // One id short of the second word.
    let max_len = 2 + one + two - 1;
    let of = |on_long| tagging(text, &TextOptions { max_len, on_long, ..text_options() });
    let (c, s) = of(OnLong::Cut).unwrap();
    assert_eq!((c.sentence_len(0), s.num_long, s.num_words), (2 + one, 1, 1));
    assert_eq!(c.labels(0).unwrap()[1], 0);
    assert_eq!(c.sentence(0).last(), Some(&t.eos_id()));
    expect_fault(of(OnLong::Skip), None, None, "no usable sentences");
    expect_fault(of(OnLong::Error), Some(1), None, "too long");
    // Not even one word fits.
    let options = TextOptions { max_len: 3, on_long: OnLong::Cut, ..text_options() };
    expect_fault(tagging(text, &options), None, None, "1 too long");
}

#[test]
fn given_tags_keep_their_order_and_are_all_there_are() {
    let of = |tag: &str| {
        format!("{{\"lang\":\"en\",\"tokens\":[\"a\",\"cat\"],\"tags\":[\"DET\",\"{tag}\"]}}\n")
    };
    let known = ["NOUN", "DET", "ADJ"].map(String::from);
    let t = tokenizer();
    let mut c = Corpus::empty();
    add_tagged(&mut c, &t, &of("NOUN"), &text_options(), Some(&known)).unwrap();
    assert_eq!(c.tags, known);
    let labels: Vec<u16> = c.labels(0).unwrap().iter().copied().filter(|l| *l != X).collect();
    assert_eq!(labels, [1, 0]);
    let mut c = Corpus::empty();
    let bad = [of("NOUN"), of("NOUNS")].concat();
    let e = add_tagged(&mut c, &t, &bad, &text_options(), Some(&known));
    assert!(e.as_ref().unwrap_err().to_string().contains("did you mean `NOUN`"));
    expect_fault(e, Some(2), Some("tags"), "unknown tag `NOUNS`");
}

#[test]
fn tags_that_come_later_are_sorted_in() {
    let t = tokenizer();
    let mut c = Corpus::empty();
    let of = |tag: &str| format!("{{\"lang\":\"en\",\"tokens\":[\"a\"],\"tags\":[\"{tag}\"]}}\n");
    for tag in ["M", "Z", "A", "M"] {
        add_tagged(&mut c, &t, &of(tag), &text_options(), None).unwrap();
    }
    assert_eq!(c.tags, ["A", "M", "Z"]);
    let of_sentence = |i| c.labels(i).unwrap()[1];
    assert_eq!([0, 1, 2, 3].map(of_sentence), [1, 2, 0, 1]);
    assert_eq!(names(&c), [("tag:en".to_string(), 4)]);
}

#[test]
fn tagging_names_what_is_wrong() {
    let good = "{\"lang\":\"en\",\"tokens\":[\"a\"],\"tags\":[\"DET\"]}\n";
    for (record, field, says) in [
        ("{\"tokens\":[\"a\"],\"tags\":[\"DET\"]}", "lang", "no `lang`"),
        ("{\"lang\":\"xx\",\"tokens\":[\"a\"],\"tags\":[\"DET\"]}", "lang", "`xx`"),
        ("{\"lang\":\"en\",\"tokens\":[\"a\"]}", "tags", "no `tags`"),
        ("{\"lang\":\"en\",\"tokens\":[\"a\"],\"tags\":[]}", "tags", "not one tag"),
        ("{\"lang\":\"en\",\"tokens\":[],\"tags\":[]}", "tokens", "no tokens"),
    ] {
        let text = format!("{good}{record}\n");
        expect_fault(tagging(&text, &text_options()), Some(2), Some(field), says);
    }
    expect_fault(tagging("", &text_options()), None, None, "no records");
}

#[test]
fn more_tags_than_labels_can_name_are_refused() {
    let record = |n: usize| {
        let tags: Vec<String> = (0..n).map(|i| format!("T{i}")).collect();
        serde_json::json!({"lang": "en", "tokens": vec!["a"; n], "tags": tags}).to_string() + "\n"
    };
    let options = TextOptions { max_len: usize::MAX, ..text_options() };
    let most = usize::from(u16::MAX);
    let (c, s) = tagging(&record(most), &options).unwrap();
    assert_eq!((c.tags.len(), s.num_words), (most, most as u64));
    expect_fault(tagging(&record(most + 1), &options), Some(1), Some("tags"), "too many tags");
}

#[test]
fn lanes_of_several_tasks_stand_together() {
    let c = mixture(2, 3, 4);
    let lanes = [("de-en", 2), ("en-de", 2), ("denoise:fi", 3), ("tag:en", 4)];
    assert_eq!(names(&c), lanes.map(|(n, k)| (n.to_string(), k)));
    let tasks: Vec<Task> = c.directions.iter().map(|d| d.task).collect();
    assert_eq!(tasks, [Task::Translation, Task::Translation, Task::Denoising, Task::Tagging]);
    assert_eq!(c.num_examples(), 11);
    assert!(Task::ALL.iter().all(|t| c.has(*t)) && !mixture(1, 0, 0).has(Task::Tagging));
    // What pairs were left out is not changed by other text.
    assert_eq!(c.summary, mixture(2, 0, 0).summary);
    let sentence = c.directions[3].examples[0].src;
    assert_eq!(c.labels(sentence).unwrap().len(), c.sentence_len(sentence));
    assert!(c.labels(c.directions[0].examples[0].src).unwrap().iter().all(|l| *l == X));
}

/// Asking for directions of translation leaves other tasks alone.
#[test]
fn chosen_directions_are_of_translation() {
    let dir = tempfile::tempdir().unwrap();
    let line = r#"{"src_lang":"en","tgt_lang":"de","src":"the cat","tgt":"die katze"}"#;
    let file = [input(dir.path(), "pairs.jsonl", line)];
    let options =
        CorpusOptions { directions: Some(vec![Direction::new("de", "en")]), ..corpus_options() };
    let mut c = Corpus::read(&file, &tokenizer(), &options, |_| {}).unwrap();
    c.add_denoising(&file, &tokenizer(), &text_options(), |_| {}).unwrap();
    let lanes = [("de-en", 1), ("denoise:de", 1), ("denoise:en", 1)];
    assert_eq!(names(&c), lanes.map(|(n, k)| (n.to_string(), k)));
}

#[test]
fn the_fingerprint_covers_tasks_and_tags_and_is_as_before_for_pairs() {
    let pairs = mixture(2, 0, 0);
    let mut hasher = Sha256::new();
    let mut offset = 0u64;
    let mut offsets = vec![0u8; 8];
    for i in 0..4 {
        for t in pairs.sentence(i) {
            hasher.update(t.to_le_bytes());
        }
        offset += pairs.sentence_len(i) as u64;
        offsets.extend(offset.to_le_bytes());
    }
    hasher.update(offsets);
    for (name, examples) in [("de-en", [(1u32, 0u32), (3, 2)]), ("en-de", [(0, 1), (2, 3)])] {
        hasher.update(name);
        for (src, tgt) in examples {
            hasher.update(src.to_le_bytes());
            hasher.update(tgt.to_le_bytes());
            hasher.update(1f32.to_le_bytes());
        }
    }
    assert_eq!(pairs.sha256(), hex(&hasher.finalize()));

    let tagged = |tags: &str| {
        let text = format!("{{\"lang\":\"en\",\"tokens\":[\"a\",\"cat\"],\"tags\":{tags}}}\n");
        tagging(&text, &text_options()).unwrap().0.sha256()
    };
    let plain =
        denoising("x.txt", "a cat\n", &TextOptions { lang: Some("en".into()), ..text_options() });
    let all = [
        tagged(r#"["A","B"]"#),
        tagged(r#"["B","A"]"#),
        tagged(r#"["A","C"]"#),
        plain.unwrap().0.sha256(),
        pairs.sha256(),
        mixture(2, 1, 0).sha256(),
        mixture(2, 0, 1).sha256(),
    ];
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(mixture(2, 3, 4).sha256(), mixture(2, 3, 4).sha256());
}

#[test]
fn the_mask_is_the_unknown_piece_where_there_is_none() {
    assert_eq!(tokenizer().mask_id(), Some(3));
    let with = tokenizer_with(|value| {
        let mask = serde_json::json!({
            "id": 70, "content": "<mask>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        });
        value["added_tokens"].as_array_mut().unwrap().push(mask);
    });
    // The library numbers added tokens after the vocabulary.
    assert_eq!(with.mask_id(), with.id_of_piece("<mask>"));
    assert_ne!(with.mask_id(), Some(3));
}
