//! Neuron Specialization: each direction trains and runs with its own neurons.
//!
//! Tan, Wu, Monz 2024, "Neuron Specialization: Leveraging Intrinsic Task Modularity for
//! Multilingual Machine Translation" (EMNLP). The mask multiplies the rows of `fc1.weight`;
//! biases, `fc2` and everything else are shared and trained by all directions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::formats::neuron_masks::NeuronMasks;
use crate::formats::neurons::{Block, Side, split_pair};
use crate::model::seam::{LayerParts, NeuronMask};
use crate::model::{DirectionParts, ModelConfig};

/// What to do for a direction without a mask.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownDirection {
    /// Stop
    #[default]
    Error,
    /// Use all neurons
    Dense,
    /// Use the encoder's mask of a direction from the same source language and the decoder's of
    /// one into the same target language
    Merged,
}

/// Whose mask a direction uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaskUse {
    Group(String),
    Dense,
    Merged { encoder: String, decoder: String },
}

impl MaskUse {
    /// The group whose masks the encoder has; none for all neurons.
    pub fn encoder(&self) -> Option<&str> {
        match self {
            Self::Group(group) | Self::Merged { encoder: group, .. } => Some(group),
            Self::Dense => None,
        }
    }
    /// The same of the decoder.
    pub fn decoder(&self) -> Option<&str> {
        match self {
            Self::Group(group) | Self::Merged { decoder: group, .. } => Some(group),
            Self::Dense => None,
        }
    }
}

type ByLanguage = BTreeMap<String, BTreeMap<String, String>>;

/// Masks that fit a model.
#[derive(Clone, Debug)]
pub struct MaskProvider {
    path: PathBuf,
    groups: BTreeMap<String, [Vec<NeuronMask>; 2]>,
    /// Source language, then target language, to group; and the other way round.
    by_source: ByLanguage,
    by_target: ByLanguage,
    unknown: UnknownDirection,
    layers: [usize; 2],
}

impl MaskProvider {
    /// Checks that every mask has the layers and widths of the model.
    ///
    /// # Errors
    /// Artifact: names the file and tensor.
    pub fn new(
        path: &Path,
        masks: &NeuronMasks,
        config: &ModelConfig,
        unknown: UnknownDirection,
    ) -> Result<Self> {
        let sides = [
            (Side::Encoder, config.encoder_layers, config.encoder_ffn_dim),
            (Side::Decoder, config.decoder_layers, config.decoder_ffn_dim),
        ];
        let mut groups = BTreeMap::new();
        for (group, blocks) in &masks.groups {
            let mut fitted = [Vec::new(), Vec::new()];
            for (out, (side, layers, ffn)) in fitted.iter_mut().zip(sides) {
                let place = |e: Error, layer: usize| {
                    e.at(path)
                        .tensor(format!("{group}.{}.mask", Block::new(side, layer)))
                        .hint("were the masks built from statistics of another model?")
                };
                let found = blocks.keys().filter(|b| b.side == side).count();
                if found != layers {
                    return Err(place(
                        Error::artifact("masks do not fit the model")
                            .found(format!("{found} {side} layers"))
                            .expected(layers.to_string()),
                        found.min(layers),
                    ));
                }
                for layer in 0..layers {
                    let flags = &blocks[&Block::new(side, layer)];
                    if flags.len() != ffn {
                        return Err(place(
                            Error::artifact("mask does not fit the model")
                                .found(format!("{} neurons", flags.len()))
                                .expected(ffn.to_string()),
                            layer,
                        ));
                    }
                    out.push(NeuronMask::from_flags(flags));
                }
            }
            groups.insert(group.clone(), fitted);
        }
        let (mut by_source, mut by_target) = (ByLanguage::new(), ByLanguage::new());
        for (group, pairs) in &masks.members {
            for (src, tgt) in pairs.iter().filter_map(|p| split_pair(p)) {
                let put = |map: &mut ByLanguage, a: &str, b: &str| {
                    map.entry(a.into()).or_default().insert(b.into(), group.clone());
                };
                put(&mut by_source, src, tgt);
                put(&mut by_target, tgt, src);
            }
        }
        let layers = [config.encoder_layers, config.decoder_layers];
        Ok(Self { path: path.to_path_buf(), groups, by_source, by_target, unknown, layers })
    }

    /// The directions that have a mask.
    pub fn directions(&self) -> impl Iterator<Item = String> + '_ {
        self.by_source
            .iter()
            .flat_map(|(s, targets)| targets.keys().map(move |t| format!("{s}-{t}")))
    }

    /// Whose mask `src-tgt` uses.
    ///
    /// # Errors
    /// Data: the direction has no mask, or none can be merged.
    pub fn choose(&self, src_lang: &str, tgt_lang: &str) -> Result<MaskUse> {
        if let Some(group) = self.by_source.get(src_lang).and_then(|t| t.get(tgt_lang)) {
            return Ok(MaskUse::Group(group.clone()));
        }
        match self.unknown {
            UnknownDirection::Dense => Ok(MaskUse::Dense),
            UnknownDirection::Merged => self.merge(src_lang, tgt_lang),
            UnknownDirection::Error => {
                let pair = format!("{src_lang}-{tgt_lang}");
                let have: Vec<String> = self.directions().collect();
                let shown = have[..have.len().min(12)].join(", ");
                let more = if have.len() > 12 { ", ..." } else { "" };
                Err(Error::new(ErrorKind::Data, format!("direction `{pair}` has no mask"))
                    .cause(format!("masks: {}", self.path.display()))
                    .expected(format!("one of {shown}{more}"))
                    .suggest(&pair, have.iter().map(String::as_str))
                    .hint(
                        "`--unknown-direction merged` takes the encoder's mask of the source and \
                         the decoder's of the target, `dense` takes all neurons",
                    ))
            }
        }
    }

    /// Specification, section 14: for x→y the encoder of x→p and the decoder of p→y. A pivot p
    /// that has both is preferred, the first in the alphabet.
    fn merge(&self, src_lang: &str, tgt_lang: &str) -> Result<MaskUse> {
        let missing = |what: &str, lang: &str| {
            Error::new(
                ErrorKind::Data,
                format!("no mask to merge for direction `{src_lang}-{tgt_lang}`"),
            )
            .cause(format!("masks: {}", self.path.display()))
            .expected(format!("a direction {what} `{lang}`"))
            .hint("`--unknown-direction dense` takes all neurons")
        };
        let from = self.by_source.get(src_lang).ok_or_else(|| missing("from", src_lang))?;
        let into = self.by_target.get(tgt_lang).ok_or_else(|| missing("into", tgt_lang))?;
        let pivot = from.keys().find(|p| into.contains_key(*p));
        let of = |groups: &BTreeMap<String, String>| {
            let group = pivot.and_then(|p| groups.get(p)).or_else(|| groups.values().next());
            group.cloned().ok_or_else(|| Error::bug("a language without directions"))
        };
        Ok(MaskUse::Merged { encoder: of(from)?, decoder: of(into)? })
    }

    /// What the layers do differently.
    pub fn parts(&self, masks: &MaskUse) -> Result<DirectionParts> {
        let side = |group: Option<&str>, side: usize| -> Result<Vec<LayerParts>> {
            let Some(group) = group else {
                return Ok(vec![LayerParts::default(); self.layers[side]]);
            };
            let masks = self
                .groups
                .get(group)
                .ok_or_else(|| Error::bug(format!("group `{group}` has no masks")))?;
            let parts =
                |m: &NeuronMask| LayerParts { neurons: Some(m.clone()), ..LayerParts::default() };
            Ok(masks[side].iter().map(parts).collect())
        };
        let (encoder, decoder) = (side(masks.encoder(), 0)?, side(masks.decoder(), 1)?);
        Ok(DirectionParts { encoder, decoder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ModelConfig {
        serde_json::from_value(serde_json::json!({
            "model_type": "m2m_100", "vocab_size": 10, "d_model": 4, "encoder_layers": 1,
            "decoder_layers": 1, "encoder_ffn_dim": 3, "decoder_ffn_dim": 2,
            "encoder_attention_heads": 1, "decoder_attention_heads": 1,
        }))
        .unwrap()
    }

    fn file(groups: &[(&str, [bool; 3], [bool; 2])]) -> NeuronMasks {
        let mut masks = NeuronMasks::default();
        for (name, encoder, decoder) in groups {
            let blocks = BTreeMap::from([
                (Block::new(Side::Encoder, 0), encoder.to_vec()),
                (Block::new(Side::Decoder, 0), decoder.to_vec()),
            ]);
            masks.groups.insert(name.to_string(), blocks);
            masks.members.insert(name.to_string(), vec![name.to_string()]);
        }
        masks
    }

    fn provider(unknown: UnknownDirection) -> MaskProvider {
        let masks = file(&[
            ("de-en", [true, false, true], [true, true]),
            ("de-fr", [true, true, true], [false, true]),
            ("en-fr", [false, true, false], [true, false]),
        ]);
        MaskProvider::new(Path::new("m"), &masks, &config(), unknown).unwrap()
    }

    #[test]
    fn known_directions_use_their_own() {
        let p = provider(UnknownDirection::Error);
        let parts = p.parts(&p.choose("de", "en").unwrap()).unwrap();
        assert_eq!(&**parts.encoder[0].neurons.as_ref().unwrap().kept(), [0, 2]);
        assert!(parts.decoder[0].neurons.as_ref().unwrap().is_full());
    }

    #[test]
    fn unknown_directions_as_asked() {
        let e = provider(UnknownDirection::Error).choose("fr", "en").unwrap_err().to_string();
        assert!(e.contains("`fr-en` has no mask") && e.contains("de-en, de-fr, en-fr"), "{e}");
        let dense = provider(UnknownDirection::Dense);
        let parts = dense.parts(&dense.choose("fr", "en").unwrap()).unwrap();
        assert!(parts.encoder[0].neurons.is_none() && parts.decoder.len() == 1);
        // Section 14: encoder of x-p, decoder of p-y, through a pivot that has both.
        let mut masks = file(&[
            ("de-cs", [true; 3], [true; 2]),
            ("de-en", [true, false, false], [true; 2]),
            ("en-it", [true; 3], [false, true]),
            ("bg-it", [true; 3], [true; 2]),
        ]);
        let merged = |m: &NeuronMasks| {
            MaskProvider::new(Path::new("m"), m, &config(), UnknownDirection::Merged).unwrap()
        };
        let p = merged(&masks);
        let used = p.choose("de", "it").unwrap();
        assert_eq!(used, MaskUse::Merged { encoder: "de-en".into(), decoder: "en-it".into() });
        let parts = p.parts(&used).unwrap();
        assert_eq!(&**parts.encoder[0].neurons.as_ref().unwrap().kept(), [0]);
        assert_eq!(&**parts.decoder[0].neurons.as_ref().unwrap().kept(), [1]);
        masks.members.remove("en-it");
        masks.groups.remove("en-it");
        assert_eq!(
            merged(&masks).choose("de", "it").unwrap(),
            MaskUse::Merged { encoder: "de-cs".into(), decoder: "bg-it".into() }
        );
        assert!(p.choose("it", "de").unwrap_err().to_string().contains("a direction from `it`"));
    }

    #[test]
    fn foreign_shapes_name_the_tensor() {
        let mut wrong = config();
        wrong.decoder_ffn_dim = 5;
        let masks = file(&[("a-b", [true; 3], [true; 2])]);
        let e = MaskProvider::new(Path::new("m"), &masks, &wrong, UnknownDirection::Error);
        let e = e.unwrap_err().to_string();
        assert!(e.contains("a-b.decoder.layers.0.fc1.mask") && e.contains("expected: 5"), "{e}");
        wrong.encoder_layers = 2;
        let e = MaskProvider::new(Path::new("m"), &masks, &wrong, UnknownDirection::Error);
        assert!(e.unwrap_err().to_string().contains("1 encoder layers"));
    }
}
