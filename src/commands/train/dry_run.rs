//! `train --dry-run`: what would be trained, from what, and what it would take.

use super::Args;
use super::memory::MemoryPlan;
use super::method::About;
use crate::cli::Context;
use crate::commands::masks::LoadedMasks;
use crate::error::Result;
use crate::exit::Outcome;
use crate::model::Checkpoint;
use crate::model::checkpoint::parameter_shapes;
use crate::training::{Corpus, RunState, Task};

/// What a run would work on.
pub struct Plan<'a> {
    pub corpora: [(&'a str, Option<&'a Corpus>); 2],
    pub masks: Option<&'a LoadedMasks>,
    pub method: Option<&'a About>,
    pub memory: &'a MemoryPlan,
    /// Where the run stands that it would continue.
    pub resumed: Option<&'a RunState>,
}

/// What would be trained, from what, and what it would take.
pub fn dry_run(
    args: &Args,
    context: &Context,
    base: &Checkpoint,
    plan: &Plan<'_>,
    trained: &dyn Fn(&str) -> bool,
) -> Result<Outcome> {
    let shapes = parameter_shapes(&base.config);
    let count = |f: &dyn Fn(&str) -> bool| -> usize {
        shapes.iter().filter(|(n, _)| f(n)).map(|(_, s)| s.iter().product::<usize>()).sum()
    };
    let (all, trainable) = (count(&|_| true), count(trained));
    let mut out = crate::io::Output::stdout(false);
    let model = args.model.display();
    match trainable {
        0 => out.line(&format!("model: {model} ({all} parameters, frozen)"))?,
        n => out.line(&format!("model: {model} ({all} parameters, {n} trained)"))?,
    }
    if let Some(masks) = plan.masks {
        out.line(&format!("masks: {}", masks.path.display()))?;
    }
    if let Some(method) = plan.method {
        out.line(&format!("{}: {}", method.description, method.names.join(", ")))?;
    }
    match plan.resumed {
        None => out.line(&format!("writes: {}", args.output.display()))?,
        Some(state) => {
            out.line(&format!("continues: {} from step {}", args.output.display(), state.step))?
        }
    }
    for (what, c) in plan.corpora {
        let Some(c) = c else { continue };
        out.line(&format!(
            "{what}: {} {}, {} tokens, {} directions",
            c.num_examples(),
            match c.directions.iter().all(|d| d.task == Task::Translation) {
                true => "pairs",
                false => "examples",
            },
            c.num_tokens(),
            c.directions.len()
        ))?;
        for d in &c.directions {
            let unit = match d.task {
                Task::Translation => "pairs",
                Task::Denoising | Task::Tagging => "sentences",
            };
            out.line(&format!("  {}: {} {unit}", d.name(), d.examples.len()))?;
        }
    }
    for line in plan.memory.lines() {
        out.line(&line)?;
    }
    out.flush()?;
    context.report.note("nothing was written");
    Ok(Outcome::Ok)
}
