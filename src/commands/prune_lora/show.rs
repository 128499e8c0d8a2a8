//! Records and table of a pruned LoRA.

use serde_json::json;

use super::Done;
use crate::error::Result;
use crate::io::Output;
use crate::methods::lora::LoraSet;
use crate::records::{LoraModuleRecord, round6};
use crate::report::{Align, Table, TableFormat};

pub fn records(out: &mut Output, done: &Done, result: &LoraSet, base_params: usize) -> Result<()> {
    for m in &done.modules {
        out.record(m)?;
    }
    let share = |n: usize| round6(n as f64 / base_params.max(1) as f64);
    let mut plan = json!({
        "type": "lora_plan", "criterion": done.criterion,
        "params_before": done.params_before, "params_after": done.params_after,
        "base_params": base_params, "share_before_frac": share(done.params_before),
        "share_after_frac": share(done.params_after), "params_written": result.num_params(),
        "num_adapters": result.adapters.len(),
    });
    if let Some(map) = plan.as_object_mut() {
        for (key, value) in [("budget", done.budget), ("params_predicted", done.predicted)] {
            if let Some(value) = value {
                map.insert(key.into(), value.into());
            }
        }
    }
    out.record(&plan)
}

pub fn table(out: &mut Output, done: &Done, result: &LoraSet, base_params: usize) -> Result<()> {
    let mut table = Table::new([
        ("adapter", Align::Left),
        ("ranks", Align::Right),
        ("left", Align::Right),
        ("parameters", Align::Right),
        ("left", Align::Right),
        ("B kept", Align::Right),
        ("error", Align::Right),
    ]);
    for adapter in &done.adapters {
        let own: Vec<&LoraModuleRecord> =
            done.modules.iter().filter(|m| m.adapter == *adapter).collect();
        let sum = |f: fn(&LoraModuleRecord) -> usize| own.iter().map(|m| f(m)).sum::<usize>();
        // Shares of the adapter as a whole: entries of B, and the norm of all differences.
        let entries: u64 = own.iter().map(|m| m.entries).sum();
        let kept: u64 = own.iter().map(|m| m.entries_kept).sum();
        let norm: f64 = own.iter().map(|m| m.importance.powi(2)).sum();
        let lost: f64 = own.iter().map(|m| (m.importance * m.error).powi(2)).sum();
        table.row([
            adapter.clone(),
            sum(|m| m.rank_before).to_string(),
            sum(|m| m.rank_after).to_string(),
            sum(|m| m.params_before).to_string(),
            sum(|m| m.params_after).to_string(),
            format!("{:.1}%", 100.0 * kept as f64 / entries.max(1) as f64),
            // Of nothing, nothing is lost.
            match norm > 0.0 {
                true => format!("{:.3}", (lost / norm).sqrt()),
                false => "-".to_string(),
            },
        ]);
    }
    out.text(&table.render(TableFormat::Text))?;
    let percent = |n: usize| 100.0 * n as f64 / base_params.max(1) as f64;
    out.line(&format!(
        "parameters: {} of {} ({:.3}% of the model's {base_params})",
        done.params_after,
        done.params_before,
        percent(done.params_after)
    ))?;
    let sum = |f: fn(&LoraModuleRecord) -> u64| done.modules.iter().map(f).sum::<u64>();
    let (kept, entries) = (sum(|m| m.entries_kept), sum(|m| m.entries));
    out.line(&format!("entries of B that are left and not zero: {kept} of {entries}"))?;
    if let (Some(budget), Some(predicted)) = (done.budget, done.predicted) {
        out.line(&format!("budget: {budget}, planned: {predicted}"))?;
    }
    if result.num_params() != done.params_after {
        out.line(&format!("written: {} parameters", result.num_params()))?;
    }
    Ok(())
}
