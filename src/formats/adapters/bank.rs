//! All adapters of a set in one file, `adapters.safetensors`, under names such as
//! `de.encoder.layers.0.layer.down.weight`.

use super::parts::{self, Part, Shapes};
use super::{AdapterSetConfig, AdapterWeights, Site};
use crate::error::{Error, Result};
use crate::formats::safetensors::TensorFile;

/// Of the file's metadata.
pub(super) const KIND: &str = "adapter_bank";

/// In their order; those of the norm are last.
const PARTS: [Part; 6] =
    [Part::Down, Part::DownBias, Part::Up, Part::UpBias, Part::Scale, Part::Shift];

fn end(part: Part) -> &'static str {
    match part {
        Part::Down => "down.weight",
        Part::DownBias => "down.bias",
        Part::Up => "up.weight",
        Part::UpBias => "up.bias",
        Part::Scale => "norm.weight",
        Part::Shift => "norm.bias",
    }
}

fn tensor_name(adapter: &str, site: Site, part: Part) -> String {
    format!("{adapter}.{site}.{}", end(part))
}

/// The parts that are stored, in the order of the file.
pub(super) fn stored(with_norm: bool) -> &'static [Part] {
    if with_norm { &PARTS } else { &PARTS[..4] }
}

/// The tensors of an adapter at a site, in the order of the file.
pub(super) fn tensors(
    adapter: &str,
    site: Site,
    with_norm: bool,
) -> impl Iterator<Item = (String, Part)> + Clone {
    stored(with_norm).iter().map(move |part| (tensor_name(adapter, site, *part), *part))
}

/// Adapter, site and part of a tensor's name. Adapters' names may hold dots.
fn parse(name: &str) -> Option<(&str, Site, Part)> {
    let (head, part) = PARTS
        .iter()
        .find_map(|part| Some((name.strip_suffix(end(*part))?.strip_suffix('.')?, *part)))?;
    // A site has four words: `encoder.layers.0.layer`.
    let (at, _) = head.rmatch_indices('.').nth(3)?;
    (at > 0).then_some((&head[..at], Site::parse(&head[at + 1..])?, part))
}

/// What the header of a bank says.
pub struct BankHeader {
    pub d_model: usize,
    /// Whether adapters have scale and shift of a norm.
    pub with_norm: bool,
    pub shapes: Shapes,
}

impl BankHeader {
    /// Of a file that stands by itself: width and norm are as its first tensor has them.
    pub fn read(file: &TensorFile) -> Result<Self> {
        let names = file.names();
        let part = |n: &String| parse(n).map(|(.., part)| part);
        let with_norm = names.iter().any(|n| part(n) == Some(Part::Scale));
        let width = names.iter().find(|n| part(n) == Some(Part::UpBias));
        let d_model = match width {
            Some(name) => file.view(name)?.shape().first().copied().unwrap_or(0),
            None => 0,
        };
        Self::check(file, &names, d_model, with_norm)
    }

    /// Of the file of a set.
    pub(super) fn of_set(file: &TensorFile, config: &AdapterSetConfig) -> Result<Self> {
        Self::check(file, &file.names(), config.d_model, config.stores_norm())
    }

    fn check(file: &TensorFile, names: &[String], d_model: usize, with_norm: bool) -> Result<Self> {
        let metadata = file.metadata();
        for (key, expected) in [("kind", KIND), ("schema", "1")] {
            if let Some(found) = metadata.get(key).filter(|v| *v != expected) {
                return Err(Error::artifact("not a bank of adapters we know")
                    .at(file.path())
                    .key(key)
                    .found(format!("`{found}`"))
                    .expected(format!("`{expected}`")));
            }
        }
        let mut shapes = Shapes::new();
        let mut unused = Vec::new();
        for name in names {
            match parse(name) {
                Some((_, _, Part::Scale | Part::Shift)) if !with_norm => unused.push(name.clone()),
                None => unused.push(name.clone()),
                Some((adapter, site, part)) => {
                    let sites = shapes.entry(adapter.to_string()).or_default();
                    let bottleneck = sites.entry(site).or_default();
                    if part == Part::Down {
                        *bottleneck = file.view(name)?.shape().first().copied().unwrap_or(0);
                    }
                }
            }
        }
        let mut missing = Vec::new();
        for (adapter, sites) in &shapes {
            for (site, bottleneck) in sites {
                for (name, _) in tensors(adapter, *site, with_norm) {
                    if !file.contains(&name) {
                        missing.push(name);
                    }
                }
                if !missing.is_empty() {
                    continue;
                }
                for (name, part) in tensors(adapter, *site, with_norm) {
                    parts::check_tensor(file, &name, &part.shape(*bottleneck, d_model))?;
                }
            }
        }
        parts::check_names(file.path(), &missing, &unused)?;
        Ok(Self { d_model, with_norm, shapes })
    }
}

/// The values of an adapter at a site that [`BankHeader`] has found.
pub(super) fn weights(
    file: &TensorFile,
    config: &AdapterSetConfig,
    (adapter, site): (&str, Site),
    bottleneck: usize,
) -> Result<AdapterWeights> {
    parts::assemble(config.stores_norm(), |part| {
        let shape = part.shape(bottleneck, config.d_model);
        file.f32_values(&tensor_name(adapter, site, part), Some(&shape))
    })
}
