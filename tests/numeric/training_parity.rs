//! Training against the numbers recorded from transformers (tests/data/training/README.md):
//! encoder states, logits, loss, every gradient, accumulation, ten optimizer steps.
//!
//! `cargo test --test numeric training_parity -- --nocapture` prints the largest difference of
//! every tensor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isogloss::autograd::{Gradients, Tape};
use isogloss::formats::safetensors::TensorFile;
use isogloss::kernels::storage::values;
use isogloss::model::{
    Checkpoint, DirectionParts, M2m100, Noise, ParameterSet, Ragged, Teacher, TrainingLoss,
};
use isogloss::training::{Adam, AdamSettings, LrSchedule, ScheduleKind};

/// What PyTorch itself loses by computing in f32 is stated in the data's README; the limits
/// here leave about ten times that.
const LOGITS: f64 = 1e-5;
const LOSS: f64 = 5e-6;
const GRADIENT: f64 = 1e-6;
const GRADIENT_RELATIVE: f64 = 1e-5;
const FINAL: f64 = 1e-5;

struct Golden {
    dir: PathBuf,
    file: TensorFile,
    settings: serde_json::Value,
}

struct Batch {
    src: Ragged,
    labels: Ragged,
}

impl Batch {
    fn teacher(&self) -> Teacher<'_> {
        Teacher { src: &self.src, labels: &self.labels, weights: None }
    }
}

impl Golden {
    fn open(case: &str) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/training").join(case);
        let file = TensorFile::open(&dir.join("golden.safetensors")).unwrap();
        let settings = serde_json::from_str(&file.metadata()["settings"]).unwrap();
        Self { dir, file, settings }
    }
    fn values(&self, name: &str) -> Vec<f32> {
        self.file.f32_values(name, None).unwrap()
    }
    fn scalar(&self, name: &str) -> f64 {
        f64::from(self.values(name)[0])
    }
    fn number(&self, pointer: &str) -> f64 {
        self.settings.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap()
    }
    fn smoothing(&self) -> f32 {
        self.number("/label_smoothing") as f32
    }
    /// Recorded tensors below a prefix, by parameter.
    fn below(&self, prefix: &str) -> BTreeMap<String, Vec<f32>> {
        let names = self.file.names();
        let found = names.iter().filter_map(|n| Some((n, n.strip_prefix(prefix)?)));
        found.map(|(name, parameter)| (parameter.to_string(), self.values(name))).collect()
    }
    fn ragged(&self, name: &str) -> Ragged {
        let ids = u32s(&self.file, name);
        let mut rest = &ids[..];
        let mut sentences = Vec::new();
        for n in u32s(&self.file, &format!("{name}_lens")) {
            let (sentence, after) = rest.split_at(n as usize);
            sentences.push(sentence);
            rest = after;
        }
        assert!(rest.is_empty());
        Ragged::new(sentences)
    }
    fn batches(&self) -> [Batch; 2] {
        [0, 1].map(|i| Batch {
            src: self.ragged(&format!("batch.{i}.src")),
            labels: self.ragged(&format!("batch.{i}.labels")),
        })
    }
    fn model(&self) -> Model {
        let checkpoint = Checkpoint::open(&self.dir).unwrap();
        let set = ParameterSet::load(&checkpoint, |_| true).unwrap();
        let bias = checkpoint.final_logits_bias().unwrap();
        let model = M2m100::new(&checkpoint.config, &set, bias).unwrap();
        let gradients = Gradients::new(set.iter()).unwrap();
        let parts = DirectionParts::none(&checkpoint.config);
        Model { model, set, gradients, parts }
    }
}

fn u32s(file: &TensorFile, name: &str) -> Vec<u32> {
    let view = file.view(name).unwrap();
    view.data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

struct Model {
    model: M2m100,
    set: ParameterSet,
    gradients: Gradients,
    parts: DirectionParts,
}

impl Model {
    /// Loss and nll per target token; gradients of the group as one step.
    fn backward(&mut self, group: &[&Batch], smoothing: f32) -> (f64, f64) {
        let total: usize = group.iter().map(|b| b.labels.num_tokens()).sum();
        let scale = 1.0 / total as f32;
        let (mut loss, mut nll) = (0.0, 0.0);
        self.gradients.clear();
        for batch in group {
            let TrainingLoss { sums, num_tokens } = self
                .model
                .train(
                    Tape::recording(),
                    batch.teacher(),
                    &self.parts,
                    &Noise::none(),
                    smoothing,
                    scale,
                    &mut self.gradients,
                )
                .unwrap();
            assert_eq!(num_tokens, batch.labels.num_tokens());
            loss += sums.loss / total as f64;
            nll += sums.nll / total as f64;
        }
        (loss, nll)
    }

    fn gradient(&self, slot: usize, name: &str) -> Vec<f32> {
        let g = self.gradients.get(slot).unwrap_or_else(|| panic!("`{name}` got no gradient"));
        values(g).unwrap().to_vec()
    }

    fn gradient_norm(&self) -> f64 {
        Adam::gradient_norm(&self.gradients).unwrap()
    }
}

/// Collects differences and fails once, at the end, with all that are too large.
#[derive(Default)]
struct Differences {
    faults: Vec<String>,
}

impl Differences {
    fn tensor(
        &mut self,
        name: &str,
        found: &[f32],
        expected: &[f32],
        absolute: f64,
        relative: f64,
    ) {
        assert_eq!(found.len(), expected.len(), "{name}");
        let pairs = || found.iter().zip(expected).map(|(f, e)| (f64::from(*f), f64::from(*e)));
        let scale = pairs().map(|(_, e)| e.abs()).fold(0.0, f64::max);
        // `max` would hide what is not a number.
        let worst =
            pairs().map(|(f, e)| (f - e).abs()).fold(0.0, |a, d| if d <= a { a } else { d });
        let line = format!("{name:72} {worst:.1e} of {scale:.1e}");
        println!("{line}");
        if worst.is_nan() || worst > absolute + relative * scale {
            self.faults.push(line);
        }
    }
    fn scalar(&mut self, name: &str, found: f64, expected: f64, limit: f64) {
        let distance = (found - expected).abs();
        let line = format!("{name:72} {distance:.1e} ({found} and {expected})");
        println!("{line}");
        if distance.is_nan() || distance > limit * expected.abs().max(1.0) {
            self.faults.push(line);
        }
    }
    fn check(self) {
        assert!(self.faults.is_empty(), "too far from the reference:\n{}", self.faults.join("\n"));
    }
}

const CASES: [&str; 2] = ["even", "lopsided"];

#[test]
fn outputs_and_loss_equal_the_reference() {
    let mut differences = Differences::default();
    for case in CASES {
        let golden = Golden::open(case);
        let m = golden.model();
        for (i, batch) in golden.batches().iter().enumerate() {
            let name = |what: &str| format!("{case} batch.{i}.{what}");
            let recorded = |what: &str| format!("batch.{i}.{what}");
            let encoded = m
                .model
                .encode(&Tape::disabled(), &Noise::none(), &batch.src, &m.parts.encoder)
                .unwrap();
            let expected = golden.values(&recorded("encoded"));
            let found = values(encoded.tensor()).unwrap();
            differences.tensor(&name("encoded"), &found, &expected, LOGITS, 0.0);
            let logits = m.model.logits(batch.teacher(), &m.parts).unwrap();
            let expected = golden.values(&recorded("logits"));
            differences.tensor(&name("logits"), &logits, &expected, LOGITS, 0.0);
            let loss = m.model.evaluate(batch.teacher(), &m.parts, golden.smoothing()).unwrap();
            let tokens = batch.labels.num_tokens();
            assert_eq!(loss.num_tokens, tokens);
            for (what, sum) in [("loss", loss.sums.loss), ("nll", loss.sums.nll)] {
                let expected = golden.scalar(&recorded(what));
                differences.scalar(&name(what), sum / tokens as f64, expected, LOSS);
            }
        }
    }
    differences.check();
}

#[test]
fn every_gradient_equals_the_reference() {
    let mut differences = Differences::default();
    for case in CASES {
        let golden = Golden::open(case);
        let [first, second] = golden.batches();
        let mut m = golden.model();
        // The second kind adds up two batches of different size; a model that had divided each
        // by its own tokens would differ.
        for (prefix, group) in [("grad", vec![&first]), ("accumulated.grad", vec![&first, &second])]
        {
            let (loss, nll) = m.backward(&group, golden.smoothing());
            let of = prefix.strip_suffix("grad").filter(|p| !p.is_empty()).unwrap_or("batch.0.");
            for (what, found) in [("loss", loss), ("nll", nll)] {
                let expected = golden.scalar(&format!("{of}{what}"));
                differences.scalar(&format!("{case} {of}{what}"), found, expected, LOSS);
            }
            let norm = format!("{prefix}_norm");
            let expected = golden.scalar(&norm);
            differences.scalar(&format!("{case} {norm}"), m.gradient_norm(), expected, LOSS);
            let recorded = golden.below(&format!("{prefix}."));
            if recorded.is_empty() {
                continue;
            }
            let names: Vec<&str> = m.set.iter().map(|p| &*p.name).collect();
            assert_eq!(names, recorded.keys().map(String::as_str).collect::<Vec<_>>());
            for p in m.set.trainable() {
                let found = m.gradient(p.slot.unwrap(), &p.name);
                let name = format!("{case} {prefix}.{}", p.name);
                let expected = &recorded[&*p.name];
                differences.tensor(&name, &found, expected, GRADIENT, GRADIENT_RELATIVE);
            }
        }
    }
    differences.check();
}

#[test]
fn ten_optimizer_steps_equal_the_reference() {
    let mut differences = Differences::default();
    for case in CASES {
        let golden = Golden::open(case);
        let batches = golden.batches();
        for optimizer in ["adam", "adamw"] {
            let mut m = golden.model();
            let setting = |name: &str| golden.number(&format!("/optimizers/{optimizer}/{name}"));
            let curves = ["loss", "nll", "grad_norm", "lr"]
                .map(|what| golden.values(&format!("{optimizer}.{what}")));
            let adam = AdamSettings {
                beta1: setting("betas/0"),
                beta2: setting("betas/1"),
                eps: setting("eps"),
                weight_decay: setting("weight_decay"),
                decoupled: optimizer == "adamw",
            };
            let mut adam = Adam::new(adam, m.set.trainable()).unwrap();
            let schedule = LrSchedule {
                kind: ScheduleKind::InverseSqrt,
                lr: setting("lr"),
                min_lr: 0.0,
                warmup_steps: golden.number("/warmup_steps") as u64,
                max_steps: golden.number("/steps") as u64,
            };
            for step in 1..=golden.number("/steps") as u64 {
                let i = step as usize - 1;
                let (loss, nll) = m.backward(&[&batches[i % 2]], golden.smoothing());
                let norm = m.gradient_norm();
                let lr = schedule.at(step);
                let curve = [("loss", loss), ("nll", nll), ("grad_norm", norm), ("lr", lr)];
                for ((what, found), recorded) in curve.into_iter().zip(&curves) {
                    let name = format!("{case} {optimizer}.{what} at step {step}");
                    differences.scalar(&name, found, f64::from(recorded[i]), LOSS);
                }
                let clip = (golden.number("/max_grad_norm") / (norm + 1e-6)).min(1.0);
                adam.update(m.set.trainable(), &m.gradients, lr, clip).unwrap();
                assert_eq!(adam.step(), step);
            }
            for (name, expected) in golden.below(&format!("{optimizer}.final.")) {
                let found = values(&m.set.get(&name).unwrap().tensor).unwrap().to_vec();
                let name = format!("{case} {optimizer}.final.{name}");
                differences.tensor(&name, &found, &expected, FINAL, 0.0);
            }
        }
    }
    differences.check();
}

/// The recorded parameters are those of the recording's own choice of optimizer, and moved.
#[test]
fn the_recording_is_complete() {
    for (case, final_of) in CASES.into_iter().zip(["adam", "adamw"]) {
        let golden = Golden::open(case);
        assert_eq!(golden.settings["final"], final_of);
        let m = golden.model();
        let last = golden.below(&format!("{final_of}.final."));
        let expected: Vec<&str> =
            m.set.iter().map(|p| &*p.name).filter(|n| !n.ends_with("k_proj.bias")).collect();
        assert_eq!(last.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        for (name, end) in &last {
            let start = values(&m.set.get(name).unwrap().tensor).unwrap().to_vec();
            let moved = start.iter().zip(end).any(|(a, b)| (a - b).abs() > 1e-3);
            assert!(moved, "{name}");
        }
    }
}
