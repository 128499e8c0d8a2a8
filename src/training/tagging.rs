//! The tag head: a linear map from encoder states to tags, trained beside the model and kept with
//! it as `tag_head.safetensors`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::parts::Mean;
use crate::autograd::Parameter;
use crate::error::{Error, Result};
use crate::formats::provenance::Provenance;
use crate::formats::safetensors::{self, Data, Entry, TensorFile};
use crate::kernels::storage::{change, values};
use crate::model::initialise::{InitMethod, initial_values};
use crate::model::{IGNORED, ModelConfig, TagWeights};

/// The file of a head in a model or checkpoint directory.
pub const TAG_HEAD: &str = "tag_head.safetensors";

const KIND: &str = "tag_head";
const WEIGHT: &str = "tag_head.weight";
const BIAS: &str = "tag_head.bias";

/// Deviation of new weights: that of every affine map of Hyper-X (Üstün et al. 2022).
const STD: f64 = 0.01;

/// A tag set with its weights.
#[derive(Clone, Debug)]
pub struct TagHead {
    /// In the order of the rows.
    tags: Vec<String>,
    /// `[num_tags, d_model]`.
    weight: Parameter,
    /// `[num_tags]`.
    bias: Parameter,
}

impl TagHead {
    /// Small random weights, bias zero.
    ///
    /// # Errors
    /// Bug: no tags, more than a label can name, or one twice.
    pub fn new(tags: Vec<String>, config: &ModelConfig, seed: u64) -> Result<Self> {
        if let Some(fault) = fault_of(&tags) {
            return Err(Error::bug(fault));
        }
        let drawn = ModelConfig { init_std: STD, ..config.clone() };
        let shape = [tags.len(), config.d_model];
        let weight = initial_values(WEIGHT, &shape, &drawn, InitMethod::Normal, seed);
        let bias = vec![0.0; tags.len()];
        Self::from_values(tags, weight, bias)
    }

    fn from_values(tags: Vec<String>, weight: Vec<f32>, bias: Vec<f32>) -> Result<Self> {
        let width = weight.len() / tags.len().max(1);
        let parameter = |name: &str, tensor| Parameter { name: name.into(), tensor, slot: None };
        Ok(Self {
            weight: parameter(WEIGHT, Tensor::from_vec(weight, (tags.len(), width), &Device::Cpu)?),
            bias: parameter(BIAS, Tensor::from_vec(bias, tags.len(), &Device::Cpu)?),
            tags,
        })
    }

    pub fn tags(&self) -> &[String] {
        &self.tags
    }
    /// The tag of a label; none for [`IGNORED`].
    pub fn tag(&self, label: u16) -> Option<&str> {
        self.tags.get(usize::from(label)).map(String::as_str)
    }
    pub fn weights(&self) -> TagWeights<'_> {
        TagWeights { weight: &self.weight, bias: &self.bias }
    }
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        [&self.weight, &self.bias].into_iter()
    }
    /// All of them that are trained.
    pub fn trained(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters().filter(|p| p.is_trainable())
    }
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        [&mut self.weight, &mut self.bias].into_iter()
    }
    pub fn num_params(&self) -> usize {
        self.parameters().map(|p| p.tensor.elem_count()).sum()
    }

    /// Writes the head into `dir`, which exists.
    pub fn write(&self, dir: &Path, provenance: &Provenance) -> Result<()> {
        let (weight, bias) = (values(&self.weight.tensor)?, values(&self.bias.tensor)?);
        let entry = |p: &Parameter, v| {
            (p.name.to_string(), Entry { shape: p.tensor.dims().to_vec(), data: Data::F32(v) })
        };
        let tensors = BTreeMap::from([entry(&self.weight, &weight), entry(&self.bias, &bias)]);
        let mut metadata = provenance.metadata(KIND);
        metadata.insert("tags".into(), serde_json::json!(self.tags).to_string());
        safetensors::write(&dir.join(TAG_HEAD), &tensors, &metadata, true)
    }

    /// Reads a head, the file itself or that of a directory, for a model of this width.
    ///
    /// # Errors
    /// Artifact: not a tag head, a broken one, or one for another width.
    pub fn read(path: &Path, d_model: usize) -> Result<Self> {
        let path = if path.is_dir() { path.join(TAG_HEAD) } else { path.to_path_buf() };
        let file = TensorFile::open(&path)?;
        let metadata = file.metadata();
        let kind = metadata.get("kind").map(String::as_str);
        if kind != Some(KIND) {
            return Err(Error::artifact("not a tag head")
                .at(&path)
                .found(kind.map_or("another file".into(), |k| format!("a file of kind `{k}`")))
                .expected(format!("{TAG_HEAD} of a run that trained tagging")));
        }
        let fault = |message: &str| Error::artifact(message.to_string()).at(&path).key("tags");
        let tags: Vec<String> = metadata
            .get("tags")
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| fault("tag head without a list of tags"))?;
        if let Some(message) = fault_of(&tags) {
            return Err(fault(message));
        }
        let weight = file.f32_values(WEIGHT, Some(&[tags.len(), d_model]))?;
        let bias = file.f32_values(BIAS, Some(&[tags.len()]))?;
        Self::from_values(tags, weight, bias)
    }

    /// The values of a checkpoint of the same run.
    fn read_own(&self, dir: &Path) -> Result<Self> {
        let (_, width) = self.weight.tensor.dims2()?;
        let from = Self::read(dir, width)?;
        if from.tags != self.tags {
            return Err(Error::artifact("the tag head is not the one that was being trained")
                .at(dir.join(TAG_HEAD))
                .found(from.tags.join(", "))
                .expected(self.tags.join(", ")));
        }
        Ok(from)
    }

    /// Takes the values of a checkpoint of this run.
    pub fn restore(&mut self, dir: &Path) -> Result<()> {
        let from = self.read_own(dir)?;
        for (p, other) in self.parameters().zip(from.parameters()) {
            let v = values(&other.tensor)?;
            change(&p.tensor, |t| t.copy_from_slice(&v))?;
        }
        Ok(())
    }

    /// Takes the rows of another head's tags that this one has too; returns how many.
    ///
    /// # Errors
    /// Artifact: a head for another width.
    pub fn take_from(&mut self, other: &Self) -> Result<usize> {
        let (_, width) = self.weight.tensor.dims2()?;
        let (from, from_bias) = (values(&other.weight.tensor)?, values(&other.bias.tensor)?);
        if from.len() != other.tags.len() * width {
            return Err(Error::artifact("the tag head is for a model of another width"));
        }
        let rows: Vec<(usize, usize)> = (0..self.tags.len())
            .filter_map(|own| Some((own, other.tags.iter().position(|t| *t == self.tags[own])?)))
            .collect();
        change(&self.weight.tensor, |w| {
            for (own, there) in &rows {
                w[own * width..][..width].copy_from_slice(&from[there * width..][..width]);
            }
        })?;
        change(&self.bias.tensor, |b| rows.iter().for_each(|(own, i)| b[*own] = from_bias[*i]))?;
        Ok(rows.len())
    }

    /// Takes the mean of checkpoints' values.
    pub fn average(&mut self, dirs: &[PathBuf]) -> Result<()> {
        let mut mean = Mean::of(dirs.len());
        for dir in dirs {
            for p in self.read_own(dir)?.parameters() {
                mean.add(&p.name, &values(&p.tensor)?);
            }
        }
        mean.store(self.parameters())
    }
}

/// What is wrong with a tag set, if anything.
fn fault_of(tags: &[String]) -> Option<&'static str> {
    let distinct: BTreeSet<&String> = tags.iter().collect();
    if tags.is_empty() {
        Some("tag head without tags")
    } else if tags.len() > usize::from(IGNORED) {
        Some("tag head with too many tags")
    } else if distinct.len() < tags.len() {
        Some("tag head with a tag twice")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(d_model: usize) -> ModelConfig {
        serde_json::from_value(serde_json::json!({
            "model_type": "m2m_100", "vocab_size": 20, "d_model": d_model, "encoder_layers": 1,
            "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8,
            "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        }))
        .unwrap()
    }

    fn names(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|t| t.to_string()).collect()
    }

    fn all_values(head: &TagHead) -> Vec<f32> {
        head.parameters().flat_map(|p| values(&p.tensor).unwrap().to_vec()).collect()
    }

    #[test]
    fn new_weights_are_small_and_seeded() {
        let tags: Vec<String> = (0..40).map(|i| format!("T{i}")).collect();
        let head = TagHead::new(tags.clone(), &config(256), 7).unwrap();
        assert_eq!(head.num_params(), 40 * 256 + 40);
        let v = all_values(&head);
        let n = 40 * 256;
        let mean = v[..n].iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
        let var = v[..n].iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 4e-4, "{mean}");
        // Four standard errors of a deviation of 0.01 over 10,240 values: 0.0003.
        assert!((var.sqrt() - 0.01).abs() < 3e-4, "{}", var.sqrt());
        assert!(v[n..].iter().all(|b| *b == 0.0));
        assert_eq!(v, all_values(&TagHead::new(tags.clone(), &config(256), 7).unwrap()));
        assert_ne!(v, all_values(&TagHead::new(tags, &config(256), 8).unwrap()));
        assert!(TagHead::new(Vec::new(), &config(8), 1).is_err());
        assert!(TagHead::new(names(&["A", "A"]), &config(8), 1).is_err());
    }

    #[test]
    fn written_heads_are_read_restored_and_averaged() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let tags = names(&["NOUN", "VERB", "\"odd\" tag"]);
        for (path, seed) in [(&a, 1), (&b, 2)] {
            std::fs::create_dir(path).unwrap();
            let head = TagHead::new(tags.clone(), &config(8), seed).unwrap();
            head.write(path, &Provenance::default()).unwrap();
        }
        let (one, two) = (TagHead::read(&a, 8).unwrap(), TagHead::read(&b, 8).unwrap());
        assert_eq!(one.tags(), tags);
        assert_eq!((one.tag(1), one.tag(3), one.tag(IGNORED)), (Some("VERB"), None, None));
        let first = TagHead::new(tags.clone(), &config(8), 1).unwrap();
        assert_eq!(all_values(&one), all_values(&first));
        assert_eq!(TagHead::read(&a.join(TAG_HEAD), 8).unwrap().tags(), tags);

        let mut head = TagHead::new(tags.clone(), &config(8), 3).unwrap();
        let shared = head.parameters().map(|p| p.tensor.clone()).collect::<Vec<_>>();
        head.restore(&b).unwrap();
        assert_eq!(all_values(&head), all_values(&two));
        assert_eq!(*values(&shared[0]).unwrap(), all_values(&two)[..24], "in place");
        head.average(&[a.clone(), b]).unwrap();
        for ((m, x), y) in all_values(&head).iter().zip(all_values(&one)).zip(all_values(&two)) {
            assert!((m - (x + y) / 2.0).abs() < 1e-9);
        }

        let e = TagHead::read(&a, 16).unwrap_err();
        assert_eq!((e.exit_code() as i32, e.place().tensor.as_deref()), (4, Some(WEIGHT)));
        let mut other = TagHead::new(names(&["NOUN", "VERB", "X"]), &config(8), 1).unwrap();
        assert_eq!(other.restore(&a).unwrap_err().exit_code() as i32, 4);
    }

    #[test]
    fn broken_heads_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let write = |kind: &str, tags: Option<&str>| {
            let w = [0f32; 4];
            let tensors = BTreeMap::from([
                (WEIGHT.to_string(), Entry { shape: vec![2, 2], data: Data::F32(&w) }),
                (BIAS.to_string(), Entry { shape: vec![2], data: Data::F32(&w[..2]) }),
            ]);
            let mut metadata = Provenance::default().metadata(kind);
            metadata.extend(tags.map(|t| ("tags".to_string(), t.to_string())));
            safetensors::write(&dir.path().join(TAG_HEAD), &tensors, &metadata, true).unwrap();
            TagHead::read(dir.path(), 2)
        };
        assert!(write("tag_head", Some(r#"["A","B"]"#)).is_ok());
        for (kind, tags, says) in [
            ("neuron_masks", Some(r#"["A","B"]"#), "not a tag head"),
            ("tag_head", None, "without a list of tags"),
            ("tag_head", Some(r#"{"A":1}"#), "without a list of tags"),
            ("tag_head", Some("[]"), "without tags"),
            ("tag_head", Some(r#"["A","A"]"#), "a tag twice"),
            ("tag_head", Some(r#"["A","B","C"]"#), "wrong shape"),
        ] {
            let e = write(kind, tags).unwrap_err();
            assert_eq!(e.exit_code() as i32, 4);
            assert!(e.to_string().contains(says), "{e}");
        }
        assert_eq!(TagHead::read(&dir.path().join("no"), 2).unwrap_err().exit_code() as i32, 4);
    }
}
