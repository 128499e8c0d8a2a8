//! Records of `gen-adapters`.

use serde::Serialize;

/// An adapter at one place in the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "adapter")]
pub struct AdapterRecord {
    pub name: String,
    /// Of an adapter for one direction, or for a language as source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_lang: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tgt_lang: Option<String>,
    /// Where it stands: `encoder.layers.3.layer`.
    pub module: String,
    pub side: String,
    pub layer: usize,
    pub bottleneck: usize,
    pub params: usize,
    /// Frobenius norms of the two maps, without biases.
    pub norm_down: f64,
    pub norm_up: f64,
    /// The file that holds it, and the fingerprint of its values.
    pub path: String,
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_that_it_is_not_for_are_absent() {
        let record = AdapterRecord {
            name: "de".into(),
            src_lang: Some("de".into()),
            tgt_lang: None,
            module: "encoder.layers.3.layer".into(),
            side: "encoder".into(),
            layer: 3,
            bottleneck: 8,
            params: 100,
            norm_down: 1.5,
            norm_up: 0.25,
            path: "adapters.safetensors".into(),
            sha256: "ab".into(),
        };
        let expected = r#"{"type":"adapter","name":"de","src_lang":"de","module":"encoder.layers.3.layer","side":"encoder","layer":3,"bottleneck":8,"params":100,"norm_down":1.5,"norm_up":0.25,"path":"adapters.safetensors","sha256":"ab"}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), expected);
    }
}
