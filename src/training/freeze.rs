//! Which parameters are trained: groups of parameters by name.

use crate::error::{Error, Result};

/// A named group, or a pattern over parameter names with `*`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterGroup(String);

/// Group names and what they mean.
pub const GROUPS: [(&str, &str); 8] = [
    ("all", "every parameter"),
    ("embeddings", "the shared embedding matrix"),
    ("encoder", "all of the encoder but the embeddings"),
    ("decoder", "all of the decoder but the embeddings"),
    ("attention", "self_attn and encoder_attn of both sides"),
    ("feed-forward", "fc1 and fc2 of both sides"),
    ("layer-norms", "weights and biases of all norms"),
    ("biases", "all biases"),
];

impl ParameterGroup {
    /// A group name, or a pattern that holds a dot or a star.
    pub fn parse(text: &str) -> Result<Self> {
        let known = GROUPS.iter().any(|(n, _)| *n == text);
        if known || text.contains(['.', '*']) {
            return Ok(Self(text.to_string()));
        }
        let names: Vec<&str> = GROUPS.iter().map(|(n, _)| *n).collect();
        Err(Error::usage(format!("unknown parameter group `{text}`"))
            .expected(format!(
                "{} or a pattern such as `model.encoder.layers.0.*`",
                names.join(", ")
            ))
            .suggest(text, names))
    }

    pub fn holds(&self, name: &str) -> bool {
        let shared = name == crate::model::checkpoint::SHARED;
        match self.0.as_str() {
            "all" => true,
            "embeddings" => shared,
            "encoder" => !shared && name.starts_with("model.encoder."),
            "decoder" => !shared && name.starts_with("model.decoder."),
            "attention" => name.contains("_attn."),
            "feed-forward" => name.contains(".fc1.") || name.contains(".fc2."),
            "layer-norms" => name.contains("layer_norm."),
            "biases" => name.ends_with(".bias"),
            pattern => matches_pattern(pattern, name),
        }
    }
}

/// `*` stands for any text, also for none.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            let previous: &str = previous;
            match rest.find(previous) {
                Some(i) => rest = &rest[i + previous.len()..],
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

/// Whether a parameter is trained: in `train_only` (when given) and not in `freeze`.
pub fn is_trained(name: &str, freeze: &[ParameterGroup], train_only: &[ParameterGroup]) -> bool {
    (train_only.is_empty() || train_only.iter().any(|g| g.holds(name)))
        && !freeze.iter().any(|g| g.holds(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_patterns() {
        let g = |s: &str| ParameterGroup::parse(s).unwrap();
        assert!(g("encoder").holds("model.encoder.layers.0.fc1.weight"));
        assert!(!g("encoder").holds("model.shared.weight"));
        assert!(g("attention").holds("model.decoder.layers.0.encoder_attn.q_proj.bias"));
        assert!(!g("attention").holds("model.decoder.layers.0.encoder_attn_layer_norm.bias"));
        assert!(g("*.layers.1.*.weight").holds("model.encoder.layers.1.fc1.weight"));
        assert!(!g("*.layers.1.*.weight").holds("model.encoder.layers.1.fc1.bias"));
        assert!(g("model.shared.weight").holds("model.shared.weight"));
        assert!(!g("model.shared.*").holds("model.encoder.layer_norm.weight"));
        let e = ParameterGroup::parse("embeding").unwrap_err().to_string();
        assert!(e.contains("did you mean `embeddings`"), "{e}");
        assert!(is_trained("a.bias", &[], &[g("biases")]));
        assert!(!is_trained("a.bias", &[g("biases")], &[]));
    }
}
