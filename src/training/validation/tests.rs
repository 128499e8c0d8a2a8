use super::*;
use crate::model::Ragged;
use crate::training::TagHead;
use crate::training::fixture::{config, lane, mixture, model};
use crate::training::noise::{noised, sentence_key};

const NOISE: NoiseSettings = NoiseSettings { mask: 0.3, drop: 0.2, shuffle: 3 };

fn head() -> TagHead {
    let mut head = TagHead::new(["A", "B", "C"].map(String::from).into(), &config(), 1).unwrap();
    for p in head.parameters_mut() {
        let scale = |v: &mut [f32]| (0..v.len()).for_each(|i| v[i] = v[i] * 80.0 + i as f32 * 0.01);
        crate::kernels::storage::change(&p.tensor, scale).unwrap();
    }
    head
}

fn run(corpus: &Corpus, batch_tokens: usize, head: Option<&TagHead>) -> Result<ValidationLoss> {
    let options = ValidationOptions {
        smoothing: 0.1,
        batch_tokens,
        noise: Some((&NOISE, 3)),
        head: head.map(TagHead::weights),
    };
    let parts = |_: Task, _: &Direction| Ok(DirectionParts::none(&config()));
    validate(&model().0, corpus, &parts, &options, |_| {})
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a}, expected {b}");
}

#[test]
fn every_lane_has_the_loss_of_its_task() {
    let (c, h) = (mixture(3, 20, 5), head());
    let loss = run(&c, 50, Some(&h)).unwrap();
    let names: Vec<String> = loss.directions.iter().map(DirectionLoss::name).collect();
    assert_eq!(names, ["de-en", "en-de", "denoise:fi", "tag:en"]);
    let ragged = |sentences: &[Vec<u32>]| Ragged::new(sentences.iter().map(Vec::as_slice));
    let (model, _) = model();
    let parts = DirectionParts::none(&config());
    for task in [Task::Translation, Task::Denoising] {
        let at = lane(&c, task);
        let clean = |i: u32| c.sentence(i).to_vec();
        let src = |i: u32| match task {
            Task::Denoising => noised(c.sentence(i), &NOISE, 3, sentence_key(NOISE_KEY, i)),
            _ => clean(i),
        };
        let examples = &c.directions[at].examples;
        let sources: Vec<Vec<u32>> = examples.iter().map(|e| src(e.src)).collect();
        let labels: Vec<Vec<u32>> = examples.iter().map(|e| clean(e.tgt)).collect();
        let (src, labels) = (ragged(&sources), ragged(&labels));
        let teacher = Teacher { src: &src, labels: &labels, weights: None };
        let want = model.evaluate(teacher, &parts, 0.1).unwrap();
        let got = &loss.directions[at];
        near(got.sums.loss, want.sums.loss);
        near(got.sums.nll, want.sums.nll);
        assert_eq!((got.num_tokens, got.correct), (labels.num_tokens(), None));
        if task == Task::Denoising {
            let copy = Teacher { src: &labels, labels: &labels, weights: None };
            let copy = model.evaluate(copy, &parts, 0.1).unwrap().sums.nll;
            assert!((copy - want.sums.nll).abs() > 1e-3, "noise changes the loss");
        }
    }
    let tagged = &c.directions[3];
    let sentences: Vec<Vec<u32>> =
        tagged.examples.iter().map(|e| c.sentence(e.src).to_vec()).collect();
    let tags: Vec<u16> =
        tagged.examples.iter().flat_map(|e| c.labels(e.src).unwrap().to_vec()).collect();
    let batch = Tagged { src: &ragged(&sentences), tags: &tags };
    let want = model.evaluate_tags(batch, &parts, h.weights()).unwrap();
    let got = &loss.directions[3];
    near(got.nll(), want.nll / 15.0);
    assert_eq!(got.sums.loss, got.sums.nll);
    assert_eq!((got.num_tokens, got.correct), (15, Some(want.correct)));
    near(got.accuracy().unwrap(), want.correct as f64 / 15.0);
}

#[test]
fn the_same_sentences_are_damaged_in_the_same_way_each_time() {
    let c = mixture(0, 40, 0);
    let loss = run(&c, 30, None).unwrap();
    assert_eq!(loss, run(&c, 30, None).unwrap());
    // Other batches, same damage.
    let other = run(&c, 500, None).unwrap();
    near(loss.directions[0].sums.nll, other.directions[0].sums.nll);
    assert_eq!(loss.directions[0].num_tokens, other.directions[0].num_tokens);
}

#[test]
fn tagging_needs_a_head_and_denoising_noise() {
    assert!(run(&mixture(0, 0, 2), 50, None).is_err());
    let options = ValidationOptions { smoothing: 0.0, batch_tokens: 9, noise: None, head: None };
    let parts = |_: Task, _: &Direction| Ok(DirectionParts::none(&config()));
    assert!(validate(&model().0, &mixture(0, 2, 0), &parts, &options, |_| {}).is_err());
}

fn of(
    task: Task,
    lang: &str,
    loss: f64,
    nll: f64,
    n: usize,
    correct: Option<usize>,
) -> DirectionLoss {
    let sums = LossSums { loss, nll };
    DirectionLoss { task, direction: Direction::new(lang, "x"), sums, num_tokens: n, correct }
}

#[test]
fn totals_are_means_over_tokens() {
    let all = ValidationLoss {
        directions: vec![
            of(Task::Translation, "a", 30.0, 20.0, 10, None),
            of(Task::Translation, "b", 10.0, 10.0, 30, None),
            of(Task::Denoising, "a", 8.0, 6.0, 2, None),
            of(Task::Tagging, "a", 3.0, 3.0, 4, Some(1)),
            of(Task::Tagging, "b", 5.0, 5.0, 12, Some(7)),
        ],
    };
    assert_eq!(all.total(), (1.0, 0.75, 40));
    let task =
        |task, loss, nll, num_tokens, accuracy| TaskLoss { task, loss, nll, num_tokens, accuracy };
    assert_eq!(
        all.by_task(),
        [
            task(Task::Translation, 1.0, 0.75, 40, None),
            task(Task::Denoising, 4.0, 3.0, 2, None),
            task(Task::Tagging, 0.5, 0.5, 16, Some(0.5)),
        ]
    );
    let rest = ValidationLoss { directions: all.directions[2..].to_vec() };
    assert_eq!(rest.total(), (16.0 / 18.0, 14.0 / 18.0, 18));
    assert_eq!(rest.by_task().len(), 2);
    assert_eq!(ValidationLoss::default().total(), (0.0, 0.0, 0));
}
