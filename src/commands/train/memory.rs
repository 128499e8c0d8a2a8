//! The memory a run takes at its highest point, told before it starts.

use std::collections::BTreeMap;

use super::Args;
use crate::error::{Error, Result};
use crate::model::checkpoint::parameter_shapes;
use crate::model::{BatchTokens, DirectionParts, Footprint, FrozenType, ModelConfig};
use crate::text::Direction;
use crate::training::{
    Corpus, DirectionExamples, Sampler, SamplerSettings, Task, TrainedParts, add_recorded,
};

/// What decides it.
pub struct Inputs<'a> {
    pub args: &'a Args,
    pub config: &'a ModelConfig,
    pub frozen: FrozenType,
    /// Whether a parameter of the model is trained.
    pub trained: &'a dyn Fn(&str) -> bool,
    pub method: Option<&'a dyn TrainedParts>,
    pub parts: &'a BTreeMap<Direction, DirectionParts>,
    pub sampler: &'a Sampler,
    pub valid: Option<&'a Corpus>,
    /// Bytes the process had before anything of the model was read: program, tokenizer, text.
    pub held: u64,
    pub has_logits_bias: bool,
    /// Whether this process runs several ranks in turn.
    pub sums_ranks: bool,
}

/// Bytes by part. All of `fixed` are there all the time; of `stages` one after another.
pub struct MemoryPlan {
    fixed: Vec<(String, u64)>,
    stages: Vec<(String, u64)>,
    checkpoints: bool,
    batch_tokens: usize,
    /// Whether matrices that are not trained are kept in f32.
    can_narrow: bool,
}

/// What the allocator takes beside what is asked for, as a share: blocks of many sizes come and go.
const SLACK: f64 = 0.04;

impl MemoryPlan {
    pub fn new(i: &Inputs<'_>) -> Result<Self> {
        let footprint = Footprint {
            config: i.config,
            trained: i.trained,
            frozen: i.frozen,
            checkpoints: i.args.gradient_checkpointing,
        };
        let (mut frozen, mut trained) = (0, 0);
        for (name, shape) in parameter_shapes(i.config) {
            let is_trained = (i.trained)(&name);
            let size = i.frozen.of(&shape, is_trained).size_in_bytes() as u64;
            let bytes = size * shape.iter().product::<usize>() as u64;
            *(if is_trained { &mut trained } else { &mut frozen }) += bytes;
        }
        let beside = i.method.into_iter().flat_map(|m| m.parameters());
        trained += beside.map(|p| 4 * p.tensor.elem_count() as u64).sum::<u64>();
        let c = i.config;
        let positions = (c.max_len() + c.pad_token_id as usize + 1) * c.d_model;
        let bias = if i.has_logits_bias { c.vocab_size } else { 0 };
        frozen += 4 * (positions + bias) as u64;
        let kept_in = match i.frozen {
            FrozenType::F32 => "f32",
            FrozenType::Bf16 => "bf16",
        };
        let mut fixed = vec![
            ("program, tokenizer and text".to_string(), i.held),
            (format!("frozen weights in {kept_in}"), frozen),
            ("trained weights in f32".into(), trained),
            ("their gradients".into(), trained),
            ("their moments".into(), 2 * trained),
        ];
        if i.sums_ranks {
            fixed.push(("gradients of one rank".into(), trained));
        }

        let (training, tokens) = largest(i, &footprint, i.sampler)?;
        let mut stages = vec![(
            format!(
                "activations of {} source and {} target tokens{}",
                tokens.src,
                tokens.tgt,
                if footprint.checkpoints { ", with checkpoints" } else { "" }
            ),
            training,
        )];
        if let Some(valid) = i.valid {
            let mut most = 0;
            for lane in &valid.directions {
                let tokens = valid_tokens(i.args, valid, lane);
                most = most.max(footprint.evaluation(&parts_of(i, lane)?, tokens) as u64);
            }
            let translates = !i.args.valid_metric.is_empty();
            let model = if translates { 4 * num_values(c) as u64 } else { 0 };
            stages.push(("validation".into(), most.max(model)));
        }
        if i.args.average > 1 {
            // Sums in f64, and the largest tensor of a checkpoint.
            stages.push(("averaging".into(), 2 * trained + trained / 4));
        }
        let can_narrow = parameter_shapes(c).iter().any(|(name, shape)| {
            i.frozen == FrozenType::F32 && shape.len() > 1 && !(i.trained)(name)
        });
        Ok(Self {
            fixed,
            stages,
            checkpoints: footprint.checkpoints,
            batch_tokens: i.args.batch_tokens,
            can_narrow,
        })
    }

    /// The highest point.
    pub fn peak_bytes(&self) -> u64 {
        let fixed: u64 = self.fixed.iter().map(|(_, b)| b).sum();
        let stage = self.stages.iter().map(|(_, b)| *b).max().unwrap_or(0);
        fixed + (stage as f64 * (1.0 + SLACK)) as u64
    }

    /// The parts and their sum, for people.
    pub fn lines(&self) -> Vec<String> {
        let line = |(what, bytes): &(String, u64)| format!("  {what}: {} MiB", bytes >> 20);
        let mut lines =
            vec![format!("memory: {} MiB at its highest point", self.peak_bytes() >> 20)];
        lines.extend(self.fixed.iter().chain(&self.stages).map(line));
        lines
    }

    /// A warning when the machine has less; `available` is in bytes.
    pub fn warning(&self, available: u64) -> Option<Error> {
        let peak = self.peak_bytes();
        if peak <= available {
            return None;
        }
        let mut e = Error::environment("the run may need more memory than there is")
            .found(format!("{} MiB available", available >> 20))
            .expected(format!("{} MiB at its highest point", peak >> 20));
        if !self.checkpoints {
            e = e.hint("`--gradient-checkpointing` keeps much less for the backward pass");
        }
        if self.can_narrow {
            e = e.hint("`--dtype bf16` halves the memory of the matrices that are not trained");
        }
        Some(e.hint(format!(
            "a smaller `--batch-tokens` (now {}), with a larger `--grad-accum`",
            self.batch_tokens
        )))
    }
}

fn num_values(config: &ModelConfig) -> usize {
    parameter_shapes(config).values().map(|s| s.iter().product::<usize>()).sum()
}

/// What the layers do in a lane, with the operations that lead there.
fn parts_of(i: &Inputs<'_>, lane: &DirectionExamples) -> Result<DirectionParts> {
    let own = i.parts.get(&lane.direction);
    let mut parts =
        own.ok_or_else(|| Error::bug("nothing is known of a direction of the text"))?.clone();
    if let Some(method) = i.method {
        add_recorded(method, lane.task, &lane.direction, &mut parts)?;
    }
    Ok(parts)
}

/// Of the batches that come first, the one that takes most.
fn largest(
    i: &Inputs<'_>,
    footprint: &Footprint<'_>,
    sampler: &Sampler,
) -> Result<(u64, BatchTokens)> {
    let lanes = &sampler.corpus().directions;
    let mut known: Option<(usize, DirectionParts)> = None;
    let mut most = (0, BatchTokens::default());
    for (d, tokens) in sampler.first_batches() {
        if known.as_ref().is_none_or(|(of, _)| *of != d) {
            known = Some((d, parts_of(i, &lanes[d])?));
        }
        if let Some((_, parts)) = &known {
            let bytes = footprint.training(parts, tokens) as u64;
            if bytes > most.0 {
                most = (bytes, tokens);
            }
        }
    }
    Ok(most)
}

/// The largest batch of held-out text: all of a lane, or as much as goes into one.
fn valid_tokens(args: &Args, valid: &Corpus, lane: &DirectionExamples) -> BatchTokens {
    let sum = |of: fn(&crate::training::Example) -> u32| -> usize {
        lane.examples.iter().map(|e| valid.sentence_len(of(e))).sum()
    };
    let (src, tgt) = (sum(|e| e.src), sum(|e| e.tgt));
    let share = (args.valid_tokens() as f64 / src.max(tgt).max(1) as f64).min(1.0);
    let of = |n: usize| (n as f64 * share).ceil() as usize;
    BatchTokens { src: of(src), tgt: if lane.task == Task::Tagging { 0 } else { of(tgt) } }
}

/// What the sampler of a run is made with.
pub fn sampler_settings(args: &Args, seed: u64) -> SamplerSettings {
    SamplerSettings { batch_tokens: args.batch_tokens, temperature: args.temperature, seed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(checkpoints: bool, can_narrow: bool) -> MemoryPlan {
        let part = |what: &str, mib: u64| (what.to_string(), mib << 20);
        MemoryPlan {
            fixed: vec![part("program", 10), part("weights", 90)],
            stages: vec![part("activations", 100), part("validation", 50)],
            checkpoints,
            batch_tokens: 512,
            can_narrow,
        }
    }

    #[test]
    fn stages_come_one_after_another() {
        let plan = plan(false, true);
        assert_eq!(plan.peak_bytes() >> 20, 204, "the largest stage and the allocator's share");
        let lines = plan.lines();
        assert_eq!(lines[0], "memory: 204 MiB at its highest point");
        assert_eq!(
            lines[1..],
            [
                "  program: 10 MiB",
                "  weights: 90 MiB",
                "  activations: 100 MiB",
                "  validation: 50 MiB"
            ]
        );
    }

    #[test]
    fn too_little_memory_is_told_with_what_helps() {
        let hints = |plan: MemoryPlan| {
            let e = plan.warning(150 << 20).unwrap().to_string();
            assert!(e.contains("150 MiB available") && e.contains("204 MiB"), "{e}");
            assert!(e.contains("`--batch-tokens` (now 512)"), "{e}");
            (e.contains("--gradient-checkpointing"), e.contains("--dtype bf16"))
        };
        assert!(plan(false, true).warning(205 << 20).is_none());
        assert_eq!(hints(plan(false, true)), (true, true));
        assert_eq!(hints(plan(true, false)), (false, false));
    }
}
