//! `masks.safetensors`: the neurons each group of directions keeps.
//!
//! `{group}.{side}.layers.{i}.fc1.mask`, U8 `[ffn_dim]`, 0 or 1. A group is a direction
//! (`en-de`) or the name of several; the metadata then lists its members.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use ::safetensors::tensor::Dtype;
use serde_json::Value;

use super::neurons::{Block, check_layers, split_pair};
use super::provenance::{Provenance, hex};
use super::safetensors::{self, Data, Entry, TensorFile};
use crate::error::{Error, Result};

/// The masks of one group, one flag a neuron.
pub type GroupMasks = BTreeMap<Block, Vec<bool>>;

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeuronMasks {
    pub groups: BTreeMap<String, GroupMasks>,
    /// `direction`, `source`, `target`, or the column of labels that made the groups.
    pub group_kind: String,
    /// The directions of each group.
    pub members: BTreeMap<String, Vec<String>>,
    /// Selection rule with its threshold, for signatures: `k95`.
    pub rule: Option<String>,
    /// Fingerprint of the model the statistics are of.
    pub base_model_sha256: Option<String>,
    /// How the activations were counted.
    pub counting: Option<String>,
    /// The file the masks were read from, as it was.
    pub file: Option<Arc<[u8]>>,
}

impl NeuronMasks {
    /// # Errors
    /// Data: a group whose name cannot begin the name of a tensor. Environment: the file.
    pub fn write(&self, provenance: &Provenance, path: &Path, force: bool) -> Result<()> {
        if let Some(group) = self.groups.keys().find(|g| g.is_empty() || g.contains('.')) {
            return Err(Error::data(format!("group `{group}` cannot name a tensor"))
                .expected("a name without a dot"));
        }
        let bytes: BTreeMap<String, Vec<u8>> = self
            .groups
            .iter()
            .flat_map(|(group, blocks)| {
                blocks.iter().map(move |(block, flags)| {
                    (format!("{group}.{block}.mask"), flags.iter().map(|f| u8::from(*f)).collect())
                })
            })
            .collect();
        let tensors = bytes
            .iter()
            .map(|(name, b)| (name.clone(), Entry { shape: vec![b.len()], data: Data::U8(b) }))
            .collect();
        let mut metadata = provenance.metadata("neuron_masks");
        metadata.insert("group_kind".into(), self.group_kind.clone());
        metadata.insert("members".into(), serde_json::json!(self.members).to_string());
        for (key, value) in [
            ("rule", &self.rule),
            ("counting", &self.counting),
            ("base_model_sha256", &self.base_model_sha256),
        ] {
            if let Some(value) = value {
                metadata.insert(key.into(), value.clone());
            }
        }
        safetensors::write(path, &tensors, &metadata, force)
    }

    /// Fingerprint of the file the masks were read from.
    pub fn sha256(&self) -> Option<String> {
        self.file.as_ref().map(|bytes| hex(&Sha256::digest(bytes)))
    }

    /// # Errors
    /// Artifact: not masks, or broken ones; names the tensor or key.
    pub fn read(path: &Path) -> Result<Self> {
        let is_dir = path.is_dir();
        // Read once: what is parsed, fingerprinted and kept beside checkpoints is the same.
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(_) if is_dir => {
                return Err(Error::artifact("not neuron masks")
                    .at(path)
                    .found("a directory")
                    .expected("masks.safetensors from `isogloss build-masks`"));
            }
            Err(e) => return Err(Error::io("read", path, e)),
        };
        let kept: Arc<[u8]> = bytes.as_slice().into();
        let file = TensorFile::from_bytes(path, bytes)?;
        let metadata = file.metadata();
        if let Some(kind) = metadata.get("kind").filter(|k| *k != "neuron_masks") {
            return Err(Error::artifact("not neuron masks")
                .at(path)
                .found(format!("a file of kind `{kind}`"))
                .expected("masks.safetensors from `isogloss build-masks`"));
        }
        let mut groups: BTreeMap<String, GroupMasks> = BTreeMap::new();
        for name in file.names() {
            let parsed = name.strip_suffix(".mask").and_then(|n| n.split_once('.'));
            let parsed = parsed.filter(|(group, _)| !group.is_empty());
            let Some((group, block)) = parsed.and_then(|(g, m)| Some((g, Block::parse(m)?))) else {
                return Err(Error::artifact("tensor is no neuron mask")
                    .at(path)
                    .tensor(name)
                    .expected("names such as `en-de.encoder.layers.0.fc1.mask`"));
            };
            let flags = flags(&file, &name)?;
            groups.entry(group.to_string()).or_default().insert(block, flags);
        }
        if groups.is_empty() {
            return Err(Error::artifact("the file holds no neuron masks").at(path));
        }
        for (group, blocks) in &groups {
            check_layers(blocks.keys().copied())
                .map_err(|e| e.at(path).tensor(format!("{group}.*.mask")))?;
        }
        let members = match metadata.get("members") {
            Some(text) => members(text, &groups).map_err(|e| e.at(path).key("members"))?,
            None => groups
                .keys()
                .map(|g| match split_pair(g) {
                    Some(_) => Ok((g.clone(), vec![g.clone()])),
                    None => Err(Error::artifact(format!("whose mask is `{g}`?"))
                        .at(path)
                        .key("members")
                        .hint("without `members` in the metadata a group is a direction: `en-de`")),
                })
                .collect::<Result<_>>()?,
        };
        Ok(Self {
            groups,
            group_kind: metadata.get("group_kind").cloned().unwrap_or_else(|| "direction".into()),
            members,
            rule: metadata.get("rule").cloned(),
            counting: metadata.get("counting").cloned(),
            base_model_sha256: metadata.get("base_model_sha256").cloned(),
            file: Some(kept),
        })
    }
}

fn flags(file: &TensorFile, name: &str) -> Result<Vec<bool>> {
    let view = file.view(name)?;
    let place = |e: Error| e.at(file.path()).tensor(name);
    if !matches!(view.dtype(), Dtype::U8 | Dtype::BOOL) || view.shape().len() != 1 {
        return Err(place(
            Error::artifact("not a mask")
                .found(format!("{:?} {:?}", view.dtype(), view.shape()))
                .expected("U8 [ffn_dim]"),
        ));
    }
    view.data()
        .iter()
        .map(|&b| match b {
            0 => Ok(false),
            1 => Ok(true),
            other => {
                Err(place(Error::artifact("a mask holds 0 and 1 only").found(other.to_string())))
            }
        })
        .collect()
}

fn members(
    text: &str,
    groups: &BTreeMap<String, GroupMasks>,
) -> Result<BTreeMap<String, Vec<String>>> {
    let broken = |cause: String| Error::artifact("members of groups cannot be read").cause(cause);
    let value: Value = serde_json::from_str(text).map_err(|e| broken(e.to_string()))?;
    let members: BTreeMap<String, Vec<String>> =
        serde_json::from_value(value).map_err(|e| broken(e.to_string()))?;
    let mut owner: BTreeMap<&str, &str> = BTreeMap::new();
    for (group, pairs) in &members {
        if !groups.contains_key(group) {
            return Err(broken(format!("group `{group}` has no mask")));
        }
        if pairs.is_empty() {
            return Err(broken(format!("group `{group}` has no members")));
        }
        for pair in pairs {
            if split_pair(pair).is_none() {
                return Err(broken(format!("`{pair}` is not a direction")));
            }
            if let Some(other) = owner.insert(pair, group) {
                return Err(broken(format!("`{pair}` belongs to `{other}` and to `{group}`")));
            }
        }
    }
    match groups.keys().find(|g| !members.contains_key(*g)) {
        Some(group) => Err(broken(format!("group `{group}` has no members"))),
        None => Ok(members),
    }
}
