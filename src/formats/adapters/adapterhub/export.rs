//! `adapter_config.json` of AdapterHub, written with every key (style/cli.md, section 9.3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::{AdapterSetConfig, NormPlace, Position, Site, Sites};
use super::config::floor_quotient;
use crate::error::{Error, Result};
use crate::formats::neurons::Side;

/// The library whose layout this is; it tells files by the word.
const VERSION: &str = "adapters.1.2.0";

/// The configuration of an adapter.
///
/// # Errors
/// Usage: what the layout has no words for.
pub(in super::super) fn to_json(
    name: &str,
    sites: &Sites,
    set: &AdapterSetConfig,
    base_model: &str,
) -> Result<Value> {
    // PyTorch allows no dot in the name of a module, and the adapter's is one.
    if name.contains('.') {
        return Err(cannot("the name of an adapter with a dot").found(format!("`{name}`")));
    }
    let positions: BTreeSet<Position> = sites.keys().map(|s| s.position).collect();
    check_positions(&positions)?;
    let layers = layers(sites, set, &positions)?;
    let has = |p: Position| positions.contains(&p);
    let whole_layer = has(Position::Layer);
    let leave_out: Vec<usize> =
        layers.iter().enumerate().filter(|(_, b)| b.is_none()).map(|(i, _)| i).collect();
    let config = json!({
        "architecture": null,
        "mh_adapter": has(Position::Attention),
        "output_adapter": whole_layer || has(Position::FeedForward),
        "cross_adapter": has(Position::CrossAttention),
        "reduction_factor": reduction_factor(&layers, set.d_model)?,
        "non_linearity": "relu",
        "original_ln_before": whole_layer,
        "original_ln_after": true,
        "residual_before_ln": true,
        "adapter_residual_before_ln": false,
        "ln_before": set.norm == NormPlace::Before,
        "ln_after": set.norm == NormPlace::After,
        "is_parallel": false,
        // The library takes a whole number for a fault.
        "scaling": 1.0,
        "use_gating": false,
        "dropout": 0.0,
        "init_weights": "bert",
        "init_weights_seed": null,
        "leave_out": leave_out,
        "inv_adapter": null,
        "inv_adapter_reduction_factor": null,
        "phm_layer": false,
        "phm_dim": 4,
        "factorized_phm_W": true,
        "shared_W_phm": false,
        "shared_phm_rule": true,
        "factorized_phm_rule": false,
        "phm_c_init": "normal",
        "phm_init_range": 0.0001,
        "learn_phm": true,
        "hypercomplex_nonlinearity": "glorot-uniform",
        "phm_rank": 1,
        "phm_bias": true,
        "stochastic_depth": 0.0,
    });
    Ok(json!({
        "config": config,
        "hidden_size": set.d_model,
        "model_class": "M2M100ForConditionalGeneration",
        "model_name": base_model,
        "model_type": "m2m_100",
        "name": name,
        "version": VERSION,
    }))
}

fn cannot(what: &str) -> Error {
    Error::usage(format!("AdapterHub's layout cannot express {what}"))
        .hint("use the layout `bank`, which can")
}

/// One set of flags holds for all positions.
fn check_positions(positions: &BTreeSet<Position>) -> Result<()> {
    if !positions.contains(&Position::Layer) {
        return Ok(());
    }
    match positions.iter().find(|p| **p != Position::Layer) {
        None => Ok(()),
        Some(Position::FeedForward) => {
            Err(cannot("adapters after the layer and inside the feed-forward block together")
                .cause("both are its `output_adapter`"))
        }
        Some(other) => {
            Err(cannot(&format!("adapters after the layer and on {} together", other.name()))
                .cause(
                    "`original_ln_before`, which the one needs, would put the other after its \
                        residual connection",
                ))
        }
    }
}

/// The bottleneck of each layer, the decoder's after the encoder's; none where there is no adapter.
fn layers(
    sites: &Sites,
    set: &AdapterSetConfig,
    positions: &BTreeSet<Position>,
) -> Result<Vec<Option<usize>>> {
    let mut out = Vec::new();
    for side in Side::BOTH {
        for layer in 0..set.placement.side(side).len() {
            let wanted: Vec<Position> =
                positions.iter().copied().filter(|p| p.is_on(side)).collect();
            let at = |position: &Position| sites.get(&Site { side, layer, position: *position });
            let found: BTreeSet<usize> = wanted.iter().filter_map(at).copied().collect();
            let has_all = wanted.iter().all(|p| at(p).is_some());
            if !found.is_empty() && !has_all {
                return Err(cannot("other positions in one layer than in another")
                    .found(format!("not all of them in {side}.layers.{layer}")));
            }
            if found.len() > 1 {
                return Err(cannot("several bottlenecks in one layer")
                    .found(format!("{found:?} in {side}.layers.{layer}")));
            }
            out.push(found.first().copied());
        }
    }
    Ok(out)
}

/// One number when all layers have the same bottleneck, else the commonest as `default` beside the
/// numbers of other layers.
fn reduction_factor(layers: &[Option<usize>], d_model: usize) -> Result<Value> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for bottleneck in layers.iter().flatten() {
        *counts.entry(*bottleneck).or_default() += 1;
    }
    let commonest = counts.iter().max_by_key(|(bottleneck, n)| (**n, **bottleneck));
    let (commonest, _) = commonest.ok_or_else(|| Error::bug("an adapter without a site"))?;
    if counts.len() == 1 {
        return factor(d_model, *commonest);
    }
    let mut map = Map::new();
    for (i, bottleneck) in layers.iter().enumerate() {
        if let Some(b) = bottleneck.filter(|b| b != commonest) {
            map.insert(i.to_string(), factor(d_model, b)?);
        }
    }
    map.insert("default".into(), factor(d_model, *commonest)?);
    Ok(map.into())
}

/// A factor that gives this bottleneck, by the exact quotient and by the rounded one: a whole
/// number where there is one, else with as few decimals as will do.
fn factor(d_model: usize, bottleneck: usize) -> Result<Value> {
    if bottleneck > 0 && d_model.is_multiple_of(bottleneck) {
        return Ok(json!(d_model / bottleneck));
    }
    let gives = |f: f64| {
        let rounded = (d_model as f64 / f) as usize;
        f > 0.0 && rounded == bottleneck && floor_quotient(d_model, f) == bottleneck
    };
    let quotient = d_model as f64 / bottleneck as f64;
    let decimals = (1..=15).map(|k| 10f64.powi(k));
    let near = |unit: f64| [0.0, 1.0].map(|less| ((quotient * unit).floor() - less) / unit);
    decimals.flat_map(near).find(|f| gives(*f)).map(|f| json!(f)).ok_or_else(|| {
        Error::usage("no reduction factor of AdapterHub gives this bottleneck")
            .found(format!("{bottleneck} of {d_model}"))
            .hint("use the layout `bank`")
    })
}
