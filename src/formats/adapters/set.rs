//! `adapters.json`: read strictly, written deterministically.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AdapterSetConfig, FILE, NormPlace, Position};
use crate::error::{Error, Result};
use crate::formats::hf;
use crate::formats::neurons::Side;
use crate::formats::placement::{Placement, check_name};
use crate::io::write_bytes;

const FORMAT: &str = "isogloss-adapters";
const SCHEMA: u32 = 1;

/// How the values of a set lie beside its `adapters.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum Layout {
    /// All in one file, `adapters.safetensors`
    #[default]
    Bank,
    /// A directory in AdapterHub's layout for each adapter
    AdapterHub,
}

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::AdapterHub => "adapterhub",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    schema: u32,
    layout: Layout,
    d_model: usize,
    norm: NormPlace,
    affine: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    placement: Value,
}

/// What a file says of itself, whatever else it says.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: String,
    #[serde(default)]
    schema: u32,
}

/// Whether a JSON document is an `adapters.json`.
pub fn is_set(document: &Value) -> bool {
    document["format"] == FORMAT
}

impl AdapterSetConfig {
    /// Whether scale and shift of the norm are stored.
    pub fn stores_norm(&self) -> bool {
        self.affine && self.norm != NormPlace::None
    }

    /// The file's text; same configuration, same bytes.
    pub fn to_text(&self, layout: Layout) -> Result<String> {
        let file = File {
            format: FORMAT.into(),
            schema: SCHEMA,
            layout,
            d_model: self.d_model,
            norm: self.norm,
            affine: self.affine,
            task: self.task.clone(),
            placement: self.placement.to_value()?,
        };
        let text = serde_json::to_string_pretty(&file)
            .map_err(|e| Error::bug("cannot encode a set of adapters").cause(e.to_string()))?;
        Ok(text + "\n")
    }

    /// Writes `adapters.json` into `dir`, which exists.
    pub fn write(&self, dir: &Path, layout: Layout) -> Result<()> {
        write_bytes(&dir.join(FILE), self.to_text(layout)?.as_bytes())
    }

    /// Reads an `adapters.json`.
    ///
    /// # Errors
    /// Artifact: not one, or one that contradicts itself.
    pub fn read(path: &Path) -> Result<(Self, Layout)> {
        let head: Head = hf::read_json(path)?;
        if head.format != FORMAT || head.schema != SCHEMA {
            return Err(Error::artifact("not a set of adapters we know")
                .at(path)
                .key("format")
                .found(format!("{} {}", head.format, head.schema))
                .expected(format!("{FORMAT} {SCHEMA}")));
        }
        let file: File = hf::read_json(path)?;
        let config = Self {
            d_model: file.d_model,
            norm: file.norm,
            affine: file.affine,
            task: file.task,
            placement: Placement::from_value(file.placement, path)?,
        };
        config.check().map_err(|e| e.at(path))?;
        Ok((config, file.layout))
    }

    /// Whether the placement is one of adapters.
    pub(super) fn check(&self) -> Result<()> {
        if self.d_model == 0 {
            return Err(Error::artifact("adapters of no width").key("d_model"));
        }
        if self.placement.slice.is_some() {
            return Err(Error::artifact("a slice is for LoRA, not for adapters").key("slice"));
        }
        for name in &self.placement.adapters {
            check_name(name).map_err(|e| e.key("adapters"))?;
        }
        for (side, layer, module, _) in self.placement.modules() {
            let place = || format!("placement.{side}[{layer}]");
            let Some(position) = Position::parse(module) else {
                let names = Position::ALL.map(Position::name);
                return Err(Error::artifact(format!("no position of adapters: `{module}`"))
                    .key(place())
                    .expected(names.join(", "))
                    .suggest(module, names));
            };
            if !position.is_on(side) {
                return Err(
                    Error::artifact(format!("the {side} has no position `{module}`")).key(place())
                );
            }
        }
        Ok(())
    }

    /// Whether it is for a model of this width and depth.
    pub(super) fn check_model(&self, d_model: usize, depth: [usize; 2]) -> Result<()> {
        if self.d_model != d_model {
            return Err(Error::artifact("adapters are for a model of another width")
                .key("d_model")
                .found(self.d_model.to_string())
                .expected(d_model.to_string()));
        }
        for (side, layers) in Side::BOTH.into_iter().zip(depth) {
            let found = self.placement.side(side).len();
            if found != layers {
                return Err(Error::artifact("adapters are for a model of another depth")
                    .key(format!("placement.{side}"))
                    .found(format!("{found} layers"))
                    .expected(layers.to_string()));
            }
        }
        Ok(())
    }
}
