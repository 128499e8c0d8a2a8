//! Training of stored and generated adapters with the trainer itself: what moves, what is counted,
//! and that a batch is of one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use isogloss::autograd::{Parameter, Tape};
use isogloss::error::ErrorKind;
use isogloss::formats::adapters::{NormPlace, Position};
use isogloss::formats::hypernet::{Affine, Factor, HyperConfig, Row};
use isogloss::formats::neurons::Side;
use isogloss::formats::placement::Index;
use isogloss::formats::provenance::Provenance;
use isogloss::io::Input;
use isogloss::kernels::storage::values;
use isogloss::methods::UnknownLanguage;
use isogloss::methods::adapters::AdapterInit;
use isogloss::methods::hyper::{HyperInit, HyperNetwork, Mixture, TRANSLATION, rows_for};
use isogloss::model::initialise::{InitMethod, initial_values};
use isogloss::model::{DirectionParts, M2m100, ModelConfig, Noise, ParameterSet, Tagged};
use isogloss::records::ReadOptions;
use isogloss::text::{
    CorpusSample, Direction, TextTokenizer, TokenizerKind, TokenizerOptions, train_tokenizer,
};
use isogloss::training::{
    Adam, AdamSettings, AdapterTraining, Alone, Corpus, CorpusOptions, Extras, HyperTraining,
    LrSchedule, NoiseSettings, OnLong, ParameterGroup, Ranks, Sampler, SamplerSettings,
    ScheduleKind, TagHead, Task, Tasks, TextOptions, TrainedParts, Trainer, TrainerOptions,
    build_batch, trained_parameters,
};

use super::{hyper_adapters, hyper_x};
use crate::adapters::{Stored, pairs, wild};

fn config() -> ModelConfig {
    serde_json::from_value(serde_json::json!({
        "model_type": "m2m_100", "vocab_size": 90, "d_model": 8, "encoder_layers": 2,
        "decoder_layers": 1, "encoder_ffn_dim": 12, "decoder_ffn_dim": 12,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "max_position_embeddings": 64, "dropout": 0.1, "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
    }))
    .unwrap()
}

/// Languages de, en and fi.
static TOKENIZER: LazyLock<TextTokenizer> = LazyLock::new(|| {
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
    TextTokenizer::from_bytes(json.as_bytes(), Path::new("tokenizer.json"), &config()).unwrap()
});

const WORDS: [&str; 6] = ["the", "cat", "sat", "kissa", "istui", "mat"];

fn sentence(i: usize) -> String {
    (0..1 + i % 4).map(|k| WORDS[(i + k * (1 + i % 3)) % 6]).collect::<Vec<_>>().join(" ")
}

/// Parallel text both ways between English and some languages; text of `texts` languages to be
/// denoised; tagged English.
pub fn corpus(others: &[&str], texts: &[&str], tagged: bool) -> Arc<Corpus> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: Vec<serde_json::Value>| -> Input {
        let path = dir.path().join(name);
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        std::fs::write(&path, text).unwrap();
        Input::Path(path)
    };
    let mut lines = Vec::new();
    for (l, other) in others.iter().enumerate() {
        lines.extend((0..12).map(|i| {
            serde_json::json!({"src_lang": "en", "tgt_lang": other,
                "src": sentence(i), "tgt": sentence(i + l + 1)})
        }));
    }
    let options = CorpusOptions {
        read: ReadOptions::default(),
        both_directions: true,
        reverse: false,
        directions: None,
        max_len: 64,
        on_long: OnLong::Skip,
        keep_text: false,
    };
    let mut corpus =
        Corpus::read(&[write("pairs.jsonl", lines)], &TOKENIZER, &options, |_| {}).unwrap();
    let options = TextOptions { format: None, lang: None, max_len: 64, on_long: OnLong::Skip };
    for lang in texts {
        let lines =
            (0..12).map(|i| serde_json::json!({"lang": lang, "text": sentence(i)})).collect();
        let file = write(&format!("{lang}.jsonl"), lines);
        corpus.add_denoising(&[file], &TOKENIZER, &options, |_| {}).unwrap();
    }
    if tagged {
        let line = |i: usize| {
            let tokens: Vec<String> = sentence(i).split(' ').map(String::from).collect();
            let tags: Vec<&str> =
                tokens.iter().map(|t| if t.len() > 3 { "NOUN" } else { "VERB" }).collect();
            serde_json::json!({"lang": "en", "tokens": tokens, "tags": tags})
        };
        let file = write("tagged.jsonl", (0..12).map(line).collect());
        corpus.add_tagging(&[file], &TOKENIZER, &options, None, |_| {}).unwrap();
    }
    Arc::new(corpus)
}

/// Random weights, those that `trained` names with gradient slots.
pub fn base(trained: impl Fn(&str) -> bool) -> ParameterSet {
    let config = config();
    ParameterSet::from_values(&config, trained, |name, shape| {
        Ok(initial_values(name, shape, &config, InitMethod::Xavier, 3))
    })
    .unwrap()
}

fn trainer(
    corpus: &Arc<Corpus>,
    set: ParameterSet,
    method: Box<dyn TrainedParts>,
    tag_head: Option<TagHead>,
) -> Trainer {
    trainer_of(corpus, set, (method, tag_head), 1, Box::new(Alone))
}

/// One of the processes `ranks`, for as many ranks an update as are given.
pub fn trainer_of(
    corpus: &Arc<Corpus>,
    set: ParameterSet,
    (method, tag_head): (Box<dyn TrainedParts>, Option<TagHead>),
    num_ranks: usize,
    ranks: Box<dyn Ranks>,
) -> Trainer {
    let model = M2m100::new(&config(), &set, None).unwrap();
    let adam =
        AdamSettings { beta1: 0.9, beta2: 0.98, eps: 1e-9, weight_decay: 0.0, decoupled: false };
    let all = trained_parameters(&set, Some(&*method), tag_head.as_ref());
    let optimizer = Adam::new(adam, all).unwrap();
    let settings = SamplerSettings { batch_tokens: 30, temperature: 5.0, seed: 4 };
    let options = TrainerOptions {
        schedule: LrSchedule {
            kind: ScheduleKind::Constant,
            lr: 0.01,
            min_lr: 0.0,
            warmup_steps: 0,
            max_steps: 100,
        },
        label_smoothing: 0.1,
        clip_norm: Some(1.0),
        gradient_checkpointing: false,
        in_bf16: false,
        grad_accum: 1,
        ranks: num_ranks,
        seed: 6,
    };
    let lanes = corpus.directions.iter().map(|lane| lane.direction.clone());
    let parts = lanes.map(|d| (d, DirectionParts::none(&config()))).collect();
    let noise = Some((NoiseSettings::default(), 3));
    let sampler = Sampler::new(corpus.clone(), settings);
    let tasks = Tasks { noise, tag_head };
    let extras = Extras { parts, method: Some(method), tasks, ranks };
    Trainer::new(model, set, optimizer, sampler, options, extras).unwrap()
}

/// Updates until every lane was seen, and ten at least; the lanes' names.
fn run(trainer: &mut Trainer) -> Vec<String> {
    let corpus = trainer.sampler.corpus().clone();
    let mut seen = Vec::new();
    while seen.len() < 10 || seen.iter().collect::<BTreeSet<_>>().len() < corpus.directions.len() {
        let plans = trainer.draw();
        seen.push(corpus.directions[plans[0].direction].name());
        trainer.update(&plans).unwrap();
        assert!(seen.len() < 300, "a lane is never drawn");
    }
    seen
}

/// The bits of parameters by name.
pub fn bits<'a>(parameters: impl Iterator<Item = &'a Parameter>) -> BTreeMap<String, Vec<u32>> {
    let of = |p: &Parameter| values(&p.tensor).unwrap().iter().map(|v| v.to_bits()).collect();
    parameters.map(|p| (p.name.to_string(), of(p))).collect()
}

/// Names of those whose bits differ.
fn moved(
    before: &BTreeMap<String, Vec<u32>>,
    after: &BTreeMap<String, Vec<u32>>,
) -> BTreeSet<String> {
    assert!(before.keys().eq(after.keys()));
    before.iter().filter(|(name, v)| after[*name] != **v).map(|(name, _)| name.clone()).collect()
}

/// A network for all lanes of a text, as new.
pub fn network(c: HyperConfig, corpus: &Corpus) -> HyperNetwork {
    let mut keys: BTreeMap<Factor, BTreeSet<String>> = BTreeMap::new();
    for lane in &corpus.directions {
        let (src, tgt) = (&lane.direction.src_lang, &lane.direction.tgt_lang);
        let own = [
            (Factor::Source, src),
            (Factor::Target, tgt),
            (Factor::Language, src),
            (Factor::Language, tgt),
            (Factor::Task, &lane.task.name().to_string()),
        ];
        for (factor, key) in own {
            keys.entry(factor).or_default().insert(key.clone());
        }
    }
    let mut c = c;
    c.rows = rows_for(&c, &keys);
    let network = HyperNetwork::create(c, HyperInit::Xavier, 8).unwrap();
    wild(network.parameters());
    network
}

pub fn adapters() -> HyperConfig {
    HyperConfig { embedding_dim: 6, layer_embedding_dim: 4, ..hyper_adapters(8, [2, 1], 3, 7) }
}

pub fn x() -> HyperConfig {
    HyperConfig { projection: Some(9), ..hyper_x(8, [2, 1], 3, 7) }
}

pub fn hyper_training(network: &HyperNetwork) -> Box<HyperTraining> {
    Box::new(HyperTraining::new(network.clone(), |_| true, BTreeSet::new(), 0))
}

/// Check 10 of section 17: on a frozen base ten updates move all of the hyper-network and leave every
/// tensor of the model bit-identical; so do stored adapters.
#[test]
fn a_frozen_base_stays_as_it_is() {
    let corpus = corpus(&["de", "fi"], &[], false);
    let stored = Stored {
        positions: &[Position::Layer, Position::CrossAttention],
        norm: NormPlace::Before,
        affine: true,
        index: [Index::Source, Index::Target],
        bottleneck: 3,
        init: AdapterInit::Xavier,
    };
    let directions: Vec<Direction> =
        corpus.directions.iter().map(|l| l.direction.clone()).collect();
    let named = pairs(&[("en", "de"), ("de", "en"), ("en", "fi"), ("fi", "en")]);
    let set = stored.create(&config(), &named);
    let uses = directions.iter().map(|d| ((Task::Translation, d.clone()), UnknownLanguage::Error));
    let network = network(adapters(), &corpus);
    let methods: [(Vec<Parameter>, Box<dyn TrainedParts>); 2] = [
        (
            set.parameters().cloned().collect(),
            Box::new(AdapterTraining::new(set.clone(), uses, &config(), "m".into(), 0).unwrap()),
        ),
        (network.parameters().cloned().collect(), hyper_training(&network)),
    ];
    for (parameters, method) in methods {
        let model = base(|_| false);
        let (frozen, first) = (bits(model.iter()), bits(parameters.iter()));
        let mut trainer = trainer(&corpus, model, method, None);
        run(&mut trainer);
        assert!(trainer.step() >= 10);
        assert_eq!(bits(trainer.set.iter()), frozen);
        // Clones share their values.
        let now = bits(parameters.iter());
        let still: Vec<&String> = first.keys().filter(|n| first[*n] == now[*n]).collect();
        assert!(still.is_empty(), "{still:?}");
    }
}

/// What the trainer evaluates a direction with is that direction's own, and each has others.
#[test]
fn the_trainer_gives_each_direction_its_own() {
    let corpus = corpus(&["de", "fi"], &[], false);
    let network = network(adapters(), &corpus);
    let mut trainer = trainer(&corpus, base(|_| false), hyper_training(&network), None);
    run(&mut trainer);
    let downs = |parts: &DirectionParts| -> Vec<Vec<u32>> {
        let layers = parts.encoder.iter().chain(&parts.decoder);
        let adapters = layers.flat_map(|l| l.adapters.values());
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect();
        adapters.map(|a| bits(&values(a.down.tensor()).unwrap())).collect()
    };
    let trained = written(&trainer);
    let mut seen = BTreeSet::new();
    for lane in &corpus.directions {
        let d = &lane.direction;
        let own = trained.choose(TRANSLATION, &d.src_lang, &d.tgt_lang).unwrap();
        let expected = downs(&trained.parts(&own).unwrap());
        assert_eq!(expected.len(), 3, "an adapter for each layer");
        assert_eq!(downs(&trainer.parts(Task::Translation, d).unwrap()), expected, "{d}");
        assert!(seen.insert(expected), "{d} has another's");
    }
    assert_eq!(seen.len(), 4);
}

/// Check 6 of Hyper-X's section 16: hyper-network, vectors, layer norms and tag head move, and
/// nothing else does.
#[test]
fn hyper_x_moves_its_own_the_norms_and_the_tag_head() {
    let corpus = corpus(&["de"], &["fi"], true);
    let norms = ParameterGroup::parse("layer-norms").unwrap();
    let model = base(|name| norms.holds(name));
    let norm = HyperConfig { norm: NormPlace::After, affine: Affine::Generated, ..x() };
    let network = network(norm, &corpus);
    let first_slot = model.trainable().count();
    let mut head = TagHead::new(corpus.tags.clone(), &config(), 1).unwrap();
    let behind = first_slot + network.parameters().count();
    head.parameters_mut().enumerate().for_each(|(i, p)| p.slot = Some(behind + i));
    let method =
        Box::new(HyperTraining::new(network.clone(), |_| true, BTreeSet::new(), first_slot));
    let everything = |set: &ParameterSet, head: &TagHead| {
        bits(set.iter().chain(network.parameters()).chain(head.parameters()))
    };
    let before = everything(&model, &head);
    let mut trainer = trainer(&corpus, model, method, Some(head.clone()));
    let lanes: BTreeSet<String> = run(&mut trainer).into_iter().collect();
    assert_eq!(lanes, ["de-en", "en-de", "denoise:fi", "tag:en"].map(String::from).into());
    let moved = moved(&before, &everything(&trainer.set, &head));
    let own = network.parameters().chain(head.parameters()).map(|p| p.name.to_string());
    let of_norms = trainer.set.iter().map(|p| p.name.to_string()).filter(|n| norms.holds(n));
    let want: BTreeSet<String> = own.chain(of_norms).collect();
    assert_eq!(moved, want);
    assert!(want.iter().any(|n| n.starts_with("tag_head.")));
    assert!(want.iter().filter(|n| n.contains("layer_norm")).count() == 2 * (2 * 2 + 3 + 2));
}

/// `--new-language`: ten updates of the new rows leave every other value bit-identical, count for
/// those rows alone, and make them trained.
#[test]
fn learning_new_rows_moves_those_rows_only() {
    for c in [adapters(), x()] {
        let known = corpus(&["de"], &[], false);
        let mut network = network(c, &known);
        network.config.rows.values_mut().for_each(|row| row.updates = 7);
        network.add_language("fi", &Mixture::parse("0.5*en+0.5*de").unwrap()).unwrap();
        let new: BTreeSet<String> =
            network.config.rows.keys().filter(|k| k.ends_with(".fi")).cloned().collect();
        for key in &new {
            network.config.rows.insert(key.clone(), Row::default());
        }
        assert!(network.choose(TRANSLATION, "en", "fi").is_err());
        let names: BTreeSet<String> = new.iter().map(|k| format!("embedding.{k}")).collect();
        let training =
            HyperTraining::new(network.clone(), |n| names.contains(n), BTreeSet::new(), 0);
        let (model, before) = (base(|_| false), bits(network.parameters()));
        let frozen = bits(model.iter());
        let mut trainer = trainer(&corpus(&["fi"], &[], false), model, Box::new(training), None);
        let lanes = run(&mut trainer);
        assert_eq!(bits(trainer.set.iter()), frozen);
        assert_eq!(moved(&before, &bits(network.parameters())), names);
        let rows = written(&trainer).config.rows;
        let drawn = |name: &str| lanes.iter().filter(|l| *l == name).count() as u64;
        for (key, row) in &rows {
            let want = match key.as_str() {
                "source.fi" => drawn("fi-en"),
                "target.fi" => drawn("en-fi"),
                "language.fi" => lanes.len() as u64,
                _ => 7,
            };
            assert_eq!((key, row.updates, row.from.as_deref()), (key, want, None));
        }
        assert!(written(&trainer).choose(TRANSLATION, "en", "fi").is_ok());
    }
}

/// The network of a run, as a checkpoint has it.
fn written(trainer: &Trainer) -> HyperNetwork {
    let dir = tempfile::tempdir().unwrap();
    let method = trainer.method.as_ref().unwrap();
    method.write(dir.path(), &Provenance::default()).unwrap();
    HyperNetwork::read(dir.path()).unwrap()
}

/// Each update counts for the vectors that it read; a language that no batch had stays refused, and
/// a resumed run goes on counting.
#[test]
fn updates_are_counted_by_vector() {
    let corpus = corpus(&["de"], &[], false);
    let mut network = network(adapters(), &corpus);
    // Declared, and in no text.
    let row = Row::default();
    for table in ["source", "target"] {
        network.set_row(&format!("{table}.fi"), vec![0.5; 6], row.clone()).unwrap();
    }
    let e = network.choose(TRANSLATION, "en", "de").unwrap_err();
    assert!(e.kind() == ErrorKind::Data && e.to_string().contains("has had no update"), "{e}");
    let mut first = trainer(&corpus, base(|_| false), hyper_training(&network), None);
    let lanes = run(&mut first);
    let after = written(&first);
    let drawn = |name: &str| lanes.iter().filter(|l| *l == name).count() as u64;
    for (key, row) in &after.config.rows {
        let want = match key.as_str() {
            "source.en" | "target.de" => drawn("en-de"),
            "source.de" | "target.en" => drawn("de-en"),
            "source.fi" | "target.fi" => 0,
            _ => lanes.len() as u64,
        };
        assert_eq!(row.updates, want, "{key}");
    }
    assert!(after.choose(TRANSLATION, "en", "de").is_ok());
    let e = after.choose(TRANSLATION, "en", "fi").unwrap_err();
    assert!(e.to_string().contains("the vector of language `fi` as target has had no"), "{e}");
    let e = after.add_language_copy("fi").unwrap_err();
    assert!(e.to_string().contains("has had no update"), "{e}");

    let dir = tempfile::tempdir().unwrap();
    first.method.as_ref().unwrap().write(dir.path(), &Provenance::default()).unwrap();
    let mut resumed = hyper_training(&network);
    resumed.restore(dir.path()).unwrap();
    let mut second = trainer(&corpus, base(|_| false), resumed, None);
    let more = run(&mut second);
    let total = (lanes.len() + more.len()) as u64;
    let layer = "layer.encoder.layers.0.layer";
    assert_eq!(written(&second).config.rows[layer].updates, total);
}

trait Copied {
    fn add_language_copy(&self, of: &str) -> isogloss::Result<()>;
}

impl Copied for HyperNetwork {
    fn add_language_copy(&self, of: &str) -> isogloss::Result<()> {
        self.clone().add_language("copy", &Mixture::parse(of)?)
    }
}

/// Check 8 of section 17: a mixed batch cannot be made. A sampler's plan names one lane and indices
/// into it, a batch is built from one lane, and the trainer takes the adapters of that lane: all
/// sources begin with its source mark, all targets with its target mark, and only its own vectors
/// get gradients. (Whoever calls the model itself passes sentences and adapters side by side.)
#[test]
fn a_batch_holds_one_direction_and_uses_its_adapters() {
    let corpus = corpus(&["de", "fi"], &["fi"], false);
    assert_eq!(corpus.directions.len(), 5);
    let mark = |lang: &str| TOKENIZER.encode(lang, "cat", 64).unwrap().ids[0];
    assert_eq!(["de", "en", "fi"].map(mark).iter().collect::<BTreeSet<_>>().len(), 3);
    let network = network(adapters(), &corpus);
    let slots: BTreeMap<usize, String> = {
        let embeddings = network.parameters().map(|p| p.name.to_string());
        embeddings.enumerate().collect()
    };
    let mut trainer = trainer(&corpus, base(|_| false), hyper_training(&network), None);
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        let plan = trainer.sampler.next_batch();
        let lane = &corpus.directions[plan.direction];
        let (src, tgt) = (&lane.direction.src_lang, &lane.direction.tgt_lang);
        let batch = build_batch(&corpus, lane, &plan.examples, None);
        assert!(batch.src.num_sentences() > 0);
        for (source, labels) in batch.src.sentences().zip(batch.labels.sentences()) {
            assert_eq!((source[0], labels[0]), (mark(src), mark(tgt)), "{}", lane.name());
        }
        trainer.update(std::slice::from_ref(&plan)).unwrap();
        let read: BTreeSet<&str> = slots
            .iter()
            .filter(|(slot, _)| trainer.gradients().get(**slot).is_some())
            .filter_map(|(_, name)| name.strip_prefix("embedding."))
            .filter(|name| !name.starts_with("layer."))
            .collect();
        let own = [format!("source.{src}"), format!("target.{tgt}")];
        assert_eq!(read, own.iter().map(String::as_str).collect(), "{}", lane.name());
        seen.insert(lane.name());
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

/// Check 4 of Hyper-X's section 16: after training, another language's vector changes the encoder's
/// states and the loss, and leaves the tag head as it is.
#[test]
fn swapping_the_language_changes_outputs_and_not_the_tag_head() {
    let corpus = corpus(&["de"], &["fi"], true);
    let network = network(x(), &corpus);
    let mut head = TagHead::new(corpus.tags.clone(), &config(), 1).unwrap();
    let behind = network.parameters().count();
    head.parameters_mut().enumerate().for_each(|(i, p)| p.slot = Some(behind + i));
    let model = base(|_| false);
    let mut trainer = trainer(&corpus, model, hyper_training(&network), Some(head.clone()));
    run(&mut trainer);
    let lane = corpus.directions.iter().find(|d| d.task == Task::Tagging).unwrap();
    let batch = build_batch(&corpus, lane, &[0, 1, 2, 3], None);
    let tagged = Tagged { src: &batch.src, tags: batch.tags.as_deref().unwrap() };
    let trained = bits(head.parameters());
    let outcomes = ["en", "de", "fi"].map(|lang| {
        let (tape, noise) = (Tape::disabled(), Noise::none());
        let task = Task::Tagging.name();
        let parts = network.parts_for(&tape, &noise, task, (lang, lang), &[Side::Encoder]).unwrap();
        // Tagging runs the encoder alone.
        assert!(parts.decoder.iter().all(|l| l.adapters.is_empty()));
        assert!(parts.encoder.iter().all(|l| l.adapters.len() == 1));
        let states = trainer.model.encode(&tape, &noise, &batch.src, &parts.encoder).unwrap();
        let states = values(states.tensor()).unwrap().to_vec();
        let loss = trainer.model.evaluate_tags(tagged, &parts, head.weights()).unwrap();
        assert_eq!(bits(head.parameters()), trained);
        (states, loss.nll)
    });
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        assert_ne!(outcomes[a].0, outcomes[b].0);
        assert_ne!(outcomes[a].1, outcomes[b].1);
    }
    assert!(network.parameters().all(|p| !p.name.contains("tag_head")));
}
