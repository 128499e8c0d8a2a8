//! The loss of a run on its held-out text, and the records of it.

use super::round3;
use crate::error::Result;
use crate::records::{TrainingRecord, Valid};
use crate::training::corpus::Corpus;
use crate::training::tagging::TagHead;
use crate::training::task::Task;
use crate::training::trainer::Trainer;
use crate::training::validation::{ValidationLoss, ValidationOptions, validate};

/// The loss of the model as it stands.
pub(super) fn held_out_loss(
    trainer: &Trainer,
    corpus: &Corpus,
    batch_tokens: usize,
) -> Result<ValidationLoss> {
    let tasks = &trainer.tasks;
    let options = ValidationOptions {
        smoothing: trainer.options.label_smoothing,
        batch_tokens,
        noise: tasks.noise.as_ref().map(|(settings, mask_id)| (settings, *mask_id)),
        head: tasks.tag_head.as_ref().map(TagHead::weights),
    };
    validate(&trainer.model, corpus, &|task, d| trainer.parts(task, d), &options, |_| {})
}

/// One record for each direction or language, one for each task where there are several, and one
/// for all.
pub(super) fn valid_records(
    step: u64,
    elapsed_s: f64,
    loss: &ValidationLoss,
    scores: &[(String, String, f64)],
) -> Vec<TrainingRecord> {
    let scores_of = |pair: &str, accuracy: Option<f64>| {
        let own = scores.iter().filter(|(p, ..)| p == pair).map(|(_, m, v)| (m.clone(), *v));
        own.chain(accuracy.map(|a| ("accuracy".to_string(), 100.0 * a))).collect()
    };
    let elapsed_s = Some(round3(elapsed_s));
    let mut records: Vec<TrainingRecord> = Vec::new();
    for d in &loss.directions {
        let (name, is_pair) = (d.name(), d.task == Task::Translation);
        records.push(TrainingRecord::Valid(Valid {
            step,
            lang_pair: is_pair.then(|| name.clone()),
            group: (!is_pair).then(|| name.clone()),
            loss: d.loss(),
            nll: d.nll(),
            ppl: d.nll().exp(),
            tokens: d.num_tokens as u64,
            elapsed_s,
            scores: scores_of(&name, d.accuracy()),
        }));
    }
    let tasks = loss.by_task();
    let beside = tasks.iter().filter(|t| t.task != Task::Translation && tasks.len() > 1);
    for t in beside {
        records.push(TrainingRecord::Valid(Valid {
            step,
            lang_pair: None,
            group: Some(t.task.name().into()),
            loss: t.loss,
            nll: t.nll,
            ppl: t.nll.exp(),
            tokens: t.num_tokens as u64,
            elapsed_s,
            scores: scores_of(t.task.name(), t.accuracy),
        }));
    }
    let (all, nll, tokens) = loss.total();
    let accuracy = match &tasks[..] {
        [one] => one.accuracy,
        _ => None,
    };
    records.push(TrainingRecord::Valid(Valid {
        step,
        lang_pair: None,
        group: Some("all".into()),
        loss: all,
        nll,
        ppl: nll.exp(),
        tokens: tokens as u64,
        elapsed_s,
        scores: scores_of("all", accuracy),
    }));
    records
}
