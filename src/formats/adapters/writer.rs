//! Sets of adapters as they are written: announced by their shapes, then given one adapter at one
//! site after the other, so that hundreds of languages need no memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::adapterhub;
use super::bank;
use super::parts::{Part, Shapes, Sites};
use super::set::Layout;
use super::{AdapterSetConfig, AdapterWeights, BANK, Site, sites};
use crate::error::{Error, ErrorKind, Result};
use crate::formats::provenance::Provenance;
use crate::formats::safetensors_stream::StreamWriter;
use crate::io::write_bytes;

/// A set being written. `adapters.json` comes last, at [`AdapterWriter::finish`].
pub struct AdapterWriter {
    dir: PathBuf,
    config: AdapterSetConfig,
    layout: Layout,
    shapes: Shapes,
    base_model: String,
    metadata: BTreeMap<String, String>,
    /// What must come next; none when all is there.
    next: Option<(String, Site)>,
    /// The bank, or the weights of the adapter whose turn it is.
    file: Option<StreamWriter>,
    /// Scale and shift of a norm that has none.
    plain_norm: [Vec<f32>; 2],
}

impl AdapterWriter {
    /// Announces what will be written into `dir`, which is made if need be: `shapes` has the
    /// bottleneck of each adapter at each site. `base_model` is the model's name, never a machine
    /// path.
    ///
    /// # Errors
    /// Usage: what the layout cannot hold. A bug: shapes that are not those of the placement.
    pub fn create(
        dir: &Path,
        config: &AdapterSetConfig,
        layout: Layout,
        shapes: &BTreeMap<String, Sites>,
        base_model: &str,
        provenance: &Provenance,
    ) -> Result<Self> {
        config
            .check()
            .and_then(|()| sites::check(&config.placement, shapes))
            .map_err(|e| e.of_kind(ErrorKind::Bug))?;
        let kind = match layout {
            Layout::Bank => bank::KIND,
            Layout::AdapterHub => "adapter",
        };
        let metadata = provenance.metadata(kind);
        let file = match layout {
            Layout::Bank => Some(create_bank(dir, config, shapes, &metadata)?),
            Layout::AdapterHub => {
                // All of them, before anything is written.
                for (name, sites) in shapes {
                    adapterhub::to_json(name, sites, config, base_model)?;
                }
                None
            }
        };
        let mut writer = Self {
            dir: dir.to_path_buf(),
            config: config.clone(),
            layout,
            shapes: shapes.clone(),
            base_model: base_model.to_string(),
            metadata,
            next: None,
            file,
            plain_norm: [vec![1.0; config.d_model], vec![0.0; config.d_model]],
        };
        let first = writer.order().next().map(|(name, site)| (name.to_string(), site));
        writer.next = first;
        Ok(writer)
    }

    /// Adapter and site of everything that must be pushed, in its order.
    pub fn order(&self) -> impl Iterator<Item = (&str, Site)> {
        let all = self.shapes.iter();
        all.flat_map(|(name, sites)| sites.keys().map(|site| (name.as_str(), *site)))
    }

    /// What must come next; none when all is there.
    pub fn next(&self) -> Option<(&str, Site)> {
        self.next.as_ref().map(|(name, site)| (name.as_str(), *site))
    }

    /// The weights of [`AdapterWriter::next`].
    ///
    /// # Errors
    /// A bug: weights of other lengths than announced.
    pub fn push(&mut self, weights: &AdapterWeights) -> Result<()> {
        let Some((name, site)) = self.next.clone() else {
            return Err(Error::bug("more adapters than were announced"));
        };
        let sites = self.shapes.get(&name).ok_or_else(|| Error::bug("unknown adapter"))?;
        let bottleneck = sites.get(&site).copied().unwrap_or(0);
        self.check(weights, bottleneck)
            .map_err(|e| e.cause(format!("adapter `{name}` at {site}")))?;
        let after = sites.range((Bound::Excluded(site), Bound::Unbounded)).next();
        let after = after.map(|(site, _)| *site);
        match self.layout {
            Layout::Bank => {
                let parts: Vec<Part> = bank::stored(self.config.stores_norm()).to_vec();
                self.write(weights, &parts)?;
            }
            Layout::AdapterHub => {
                if self.file.is_none() {
                    self.file = Some(self.begin(&name)?);
                }
                let tensors = adapterhub::tensors(self.config.norm);
                let parts: Vec<Part> = tensors.iter().map(|(_, part)| *part).collect();
                self.write(weights, &parts)?;
                if after.is_none() {
                    self.end(&name)?;
                }
            }
        }
        self.next = match after {
            Some(site) => Some((name, site)),
            None => {
                let rest = (Bound::Excluded(name), Bound::Unbounded);
                let following = self.shapes.range::<String, _>(rest).next();
                following
                    .and_then(|(name, sites)| sites.keys().next().map(|site| (name.clone(), *site)))
            }
        };
        Ok(())
    }

    /// Makes the set appear.
    ///
    /// # Errors
    /// A bug: adapters were announced that did not come.
    pub fn finish(self) -> Result<()> {
        if let Some((name, site)) = &self.next {
            return Err(Error::bug("adapters were announced that did not come")
                .at(&self.dir)
                .expected(format!("`{name}` at {site}")));
        }
        if let Some(bank) = self.file {
            bank.finish()?;
        }
        self.config.write(&self.dir, self.layout)
    }

    fn check(&self, weights: &AdapterWeights, bottleneck: usize) -> Result<()> {
        let d_model = self.config.d_model;
        for part in bank::stored(true) {
            let is_norm = matches!(part, Part::Scale | Part::Shift);
            let wanted: usize = part.shape(bottleneck, d_model).iter().product();
            let wanted = (!is_norm || self.config.stores_norm()).then_some(wanted);
            let found = part.values(weights).map(<[f32]>::len);
            if found != wanted {
                let text = |n: Option<usize>| n.map_or("none".into(), |n| format!("{n} values"));
                return Err(Error::bug(format!("an adapter of other shapes: {part:?}"))
                    .found(text(found))
                    .expected(text(wanted)));
            }
        }
        Ok(())
    }

    fn write(&mut self, weights: &AdapterWeights, parts: &[Part]) -> Result<()> {
        let [ones, zeros] = &self.plain_norm;
        let file = self.file.as_mut().ok_or_else(|| Error::bug("no file for an adapter"))?;
        for part in parts {
            let plain = if *part == Part::Scale { ones } else { zeros };
            file.push(part.values(weights).unwrap_or(plain))?;
        }
        Ok(())
    }

    /// The weights of an adapter in AdapterHub's layout.
    fn begin(&self, name: &str) -> Result<StreamWriter> {
        let path = self.dir.join(name).join(adapterhub::WEIGHTS);
        let (norm, d_model) = (self.config.norm, self.config.d_model);
        let tensors = self.shapes.get(name).into_iter().flatten().flat_map(|(site, bottleneck)| {
            let stem = adapterhub::stem(adapterhub::PREFIX, name, *site);
            adapterhub::tensors(norm)
                .iter()
                .map(move |(end, part)| (format!("{stem}.{end}"), part.shape(*bottleneck, d_model)))
        });
        StreamWriter::create(&path, tensors, &self.metadata)
    }

    fn end(&mut self, name: &str) -> Result<()> {
        let file = self.file.take().ok_or_else(|| Error::bug("no file for an adapter"))?;
        file.finish()?;
        let sites = self.shapes.get(name).ok_or_else(|| Error::bug("unknown adapter"))?;
        let config = adapterhub::to_json(name, sites, &self.config, &self.base_model)?;
        let mut text = serde_json::to_vec_pretty(&config)
            .map_err(|e| Error::bug("cannot encode the configuration").cause(e.to_string()))?;
        text.push(b'\n');
        write_bytes(&self.dir.join(name).join(adapterhub::CONFIG), &text)
    }
}

fn create_bank(
    dir: &Path,
    config: &AdapterSetConfig,
    shapes: &Shapes,
    metadata: &BTreeMap<String, String>,
) -> Result<StreamWriter> {
    let (with_norm, d_model) = (config.stores_norm(), config.d_model);
    let tensors = shapes.iter().flat_map(|(name, sites)| {
        sites.iter().flat_map(move |(site, bottleneck)| {
            bank::tensors(name, *site, with_norm)
                .map(move |(tensor, part)| (tensor, part.shape(*bottleneck, d_model)))
        })
    });
    StreamWriter::create(&dir.join(BANK), tensors, metadata).map_err(|e| match e.kind() {
        ErrorKind::Usage => e
            .hint("use the layout `adapterhub`, which has a file for each adapter")
            .hint("or choose fewer languages or directions"),
        _ => e,
    })
}
