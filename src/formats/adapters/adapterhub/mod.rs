//! Directories in the layout of AdapterHub's library (`adapter-hub/adapters`; style/cli.md, section
//! 9.3), under mBART's names, whose layers are those of M2M-100: `adapter_config.json` and
//! `adapter.safetensors` for each adapter.

mod config;
mod export;

use std::path::{Path, PathBuf};

use super::parts::{self, Part};
use super::{AdapterWeights, NormPlace, Position, Site, Sites};
use crate::error::{Error, Result};
use crate::formats::hf;
use crate::formats::neurons::Side;
use crate::formats::safetensors::TensorFile;
use config::HubConfig;
pub(super) use export::to_json;

pub(super) const CONFIG: &str = "adapter_config.json";
pub(super) const WEIGHTS: &str = "adapter.safetensors";
const PICKLE: &str = "pytorch_adapter.bin";
/// Before the names of tensors, unless the bare model was saved.
pub(super) const PREFIX: &str = "model.";

/// What the tensors at a site begin with.
pub(super) fn stem(prefix: &str, name: &str, site: Site) -> String {
    let place = match site.position {
        Position::Attention => "attention_adapters",
        Position::CrossAttention => "cross_attention_adapters",
        Position::FeedForward | Position::Layer => "output_adapters",
    };
    format!("{prefix}{}.layers.{}.{place}.adapters.{name}", site.side, site.layer)
}

/// The tensors at a site, in the order of the file. A norm in front is a part of the sequence that
/// ends with the activation, and has a name of its own besides.
pub(super) fn tensors(norm: NormPlace) -> &'static [(&'static str, Part)] {
    match norm {
        NormPlace::None => &[
            ("adapter_down.0.weight", Part::Down),
            ("adapter_down.0.bias", Part::DownBias),
            ("adapter_up.weight", Part::Up),
            ("adapter_up.bias", Part::UpBias),
        ],
        NormPlace::Before => &[
            ("adapter_norm_before.weight", Part::Scale),
            ("adapter_norm_before.bias", Part::Shift),
            ("adapter_down.0.weight", Part::Scale),
            ("adapter_down.0.bias", Part::Shift),
            ("adapter_down.1.weight", Part::Down),
            ("adapter_down.1.bias", Part::DownBias),
            ("adapter_up.weight", Part::Up),
            ("adapter_up.bias", Part::UpBias),
        ],
        NormPlace::After => &[
            ("adapter_down.0.weight", Part::Down),
            ("adapter_down.0.bias", Part::DownBias),
            ("adapter_up.weight", Part::Up),
            ("adapter_up.bias", Part::UpBias),
            ("adapter_norm_after.weight", Part::Scale),
            ("adapter_norm_after.bias", Part::Shift),
        ],
    }
}

/// Whether a directory holds one: PEFT's file of the same name says `peft_type`.
pub(super) fn is_adapter(dir: &Path) -> bool {
    let path = dir.join(CONFIG);
    path.is_file()
        && !hf::read_json::<serde_json::Value>(&path).is_ok_and(|v| v.get("peft_type").is_some())
}

/// A directory whose headers have been checked. The file is opened again for values, so that
/// hundreds of adapters hold neither files nor headers.
pub(super) struct HubAdapter {
    weights: PathBuf,
    /// As its tensors say; the directory's may be another.
    name: String,
    prefix: &'static str,
    pub norm: NormPlace,
    /// Fingerprint of the model it was trained on, where the file says so.
    pub base_model_sha256: Option<String>,
}

impl HubAdapter {
    /// For a model of this width and these numbers of encoder and decoder layers; with its sites.
    ///
    /// # Errors
    /// Artifact: an adapter that computes something else, or whose tensors are not those its
    /// configuration asks for.
    pub fn open(dir: &Path, d_model: usize, depth: [usize; 2]) -> Result<(Self, Sites)> {
        let path = dir.join(CONFIG);
        let config = HubConfig::read(&path)?;
        let sites = sites(&config, d_model, depth).map_err(|e| e.at(&path))?;
        let weights = dir.join(WEIGHTS);
        if !weights.is_file() {
            let mut e = Error::artifact("adapter has no weights")
                .at(dir)
                .expected(format!("`{}`", weights.display()));
            if dir.join(PICKLE).exists() {
                e = e.hint(format!(
                    "`{PICKLE}` is a pickle, which can run code when loaded; in Python: \
                     `model.save_adapter(OUT, NAME, use_safetensors=True)`"
                ));
            }
            return Err(e);
        }
        let file = TensorFile::open(&weights)?;
        let mut unused = file.names();
        let prefix = if unused.iter().any(|n| n.starts_with(PREFIX)) { PREFIX } else { "" };
        let adapter = Self {
            weights: weights.clone(),
            name: config.name,
            prefix,
            norm: config.norm,
            base_model_sha256: base_model_sha256(&file),
        };
        let mut missing = Vec::new();
        for (site, bottleneck) in &sites {
            let stem = stem(prefix, &adapter.name, *site);
            for (end, part) in tensors(adapter.norm) {
                let name = format!("{stem}.{end}");
                if file.contains(&name) {
                    let shape = part.shape(*bottleneck, d_model);
                    parts::check_tensor(&file, &name, &shape).map_err(|e| {
                        e.hint(format!(
                            "bottleneck {bottleneck} comes from `reduction_factor` of {CONFIG}"
                        ))
                    })?;
                } else if adapter.copies(*part, &stem).all(|n| !file.contains(&n)) {
                    missing.push(name);
                }
            }
        }
        let wanted: std::collections::BTreeSet<String> = sites
            .keys()
            .map(|site| stem(prefix, &adapter.name, *site))
            .flat_map(|stem| tensors(adapter.norm).iter().map(move |t| format!("{stem}.{}", t.0)))
            .collect();
        unused.retain(|n| !wanted.contains(n));
        parts::check_names(&weights, &missing, &unused)
            .map_err(|e| e.hint(format!("{CONFIG} says where its adapters are")))?;
        Ok((adapter, sites))
    }

    /// The names of a part: two of a norm in front, of which one is enough.
    fn copies(&self, part: Part, stem: &str) -> impl Iterator<Item = String> {
        let all = tensors(self.norm).iter().filter(move |t| t.1 == part);
        all.map(move |t| format!("{stem}.{}", t.0))
    }

    /// The values at a site. Without `affine`, scale and shift of the norm must be 1 and 0.
    pub fn weights(
        &self,
        site: Site,
        bottleneck: usize,
        d_model: usize,
        affine: bool,
    ) -> Result<AdapterWeights> {
        let file = TensorFile::open(&self.weights)?;
        let stem = stem(self.prefix, &self.name, site);
        let read = |part: Part| -> Result<Vec<f32>> {
            let shape = part.shape(bottleneck, d_model);
            let copies = self.copies(part, &stem).filter(|n| file.contains(n));
            let copies: Vec<String> = copies.collect();
            let (first, others) = copies.split_first().ok_or_else(|| {
                Error::artifact("tensors of an adapter are gone").at(file.path()).tensor(&stem)
            })?;
            let values = file.f32_values(first, Some(&shape))?;
            for other in others {
                let same = file.f32_values(other, Some(&shape))?;
                if same.iter().zip(&values).any(|(a, b)| a.to_bits() != b.to_bits()) {
                    return Err(Error::artifact("the two copies of a norm differ")
                        .at(file.path())
                        .tensor(other)
                        .cause(format!("the other is `{first}`")));
                }
            }
            Ok(values)
        };
        let with_norm = self.norm != NormPlace::None;
        let mut weights = parts::assemble(with_norm, read)?;
        if with_norm && !affine {
            let plain = |(scale, shift): (Vec<f32>, Vec<f32>)| {
                scale.iter().all(|v| *v == 1.0) && shift.iter().all(|v| *v == 0.0)
            };
            if !weights.norm.take().is_some_and(plain) {
                return Err(Error::artifact("a norm with scale or shift in a set without")
                    .at(file.path())
                    .tensor(stem)
                    .expected(format!(
                        "ones and zeros, for `affine` of {} is false",
                        super::FILE
                    )));
            }
        }
        Ok(weights)
    }
}

/// The sites of an adapter. Layers are numbered through the encoder and on through the decoder
/// (`src/adapters/models/bart/mixin_bart.py`, `iter_layers`).
fn sites(config: &HubConfig, d_model: usize, [encoder, decoder]: [usize; 2]) -> Result<Sites> {
    let layers = encoder + decoder;
    let fits = |hidden: u64| hidden == d_model as u64;
    if let Some(hidden) = config.hidden_size.filter(|h| !fits(*h)) {
        return Err(Error::artifact("adapter is for a model of another width")
            .key("hidden_size")
            .found(hidden.to_string())
            .expected(d_model.to_string()));
    }
    let named = config.leave_out.iter().map(|n| ("leave_out", n));
    let mut named = named.chain(config.reduction.layers.keys().map(|n| ("reduction_factor", n)));
    if let Some((key, layer)) = named.find(|(_, n)| **n >= layers) {
        return Err(Error::artifact("adapter is for a model of another depth")
            .key(format!("config.{key}"))
            .found(format!("layer {layer}"))
            .expected(format!("numbers below {layers}: {encoder} and {decoder} layers")));
    }
    let mut sites = Sites::new();
    for number in (0..layers).filter(|n| !config.leave_out.contains(n)) {
        let (side, layer) = match number.checked_sub(encoder) {
            None => (Side::Encoder, number),
            Some(layer) => (Side::Decoder, layer),
        };
        for position in config.positions.iter().copied().filter(|p| p.is_on(side)) {
            let bottleneck = config.reduction.bottleneck(number, d_model).ok_or_else(|| {
                Error::artifact("the reduction factor of a layer is not given")
                    .key("config.reduction_factor")
                    .expected(format!("`{number}` or `default`"))
            })?;
            sites.insert(Site { side, layer, position }, bottleneck);
        }
    }
    match sites.is_empty() {
        false => Ok(sites),
        true => {
            Err(Error::artifact("the configuration leaves no layer an adapter")
                .key("config.leave_out"))
        }
    }
}

/// The fingerprint of the base model in the provenance of our own files.
fn base_model_sha256(file: &TensorFile) -> Option<String> {
    let provenance = file.metadata().remove("provenance")?;
    let value: serde_json::Value = serde_json::from_str(&provenance).ok()?;
    let parent = value["parents"].as_array()?.iter().find(|p| p["role"] == "base_model")?;
    Some(parent["sha256"].as_str()?.to_string())
}
