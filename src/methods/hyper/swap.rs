//! Vectors from those of other languages: mixed, and in the place of a language's own.

use super::mixture::Mixture;
use super::network::HyperNetwork;
use crate::error::{Error, Result};
use crate::formats::hypernet::Row;

impl HyperNetwork {
    /// The mean of languages' vectors in a table, weighted: `[embedding_dim]`.
    ///
    /// # Errors
    /// Data: a language has none in this table, or one that was never trained.
    pub(super) fn mixed(&self, table: &str, mixture: &Mixture) -> Result<Vec<f32>> {
        let mut sum = vec![0f64; self.config.embedding_dim];
        for (weight, language) in mixture.terms() {
            let v = self.vector(table, language)?;
            sum.iter_mut().zip(v).for_each(|(s, v)| *s += weight * f64::from(v));
        }
        Ok(sum.into_iter().map(|v| v as f32).collect())
    }

    /// Puts others' vectors in the place of languages' own, in every table where they have one. All
    /// are read before any is replaced, so that two languages can change places.
    ///
    /// # Errors
    /// Usage: a language twice, or one without a vector. Data: one of a mixture without a trained
    /// vector in the same table.
    pub fn swap_languages(&mut self, swaps: &[(String, Mixture)]) -> Result<()> {
        let mut replaced = Vec::new();
        for (i, (name, mixture)) in swaps.iter().enumerate() {
            if swaps[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::usage(format!("the vector of `{name}` is replaced twice")));
            }
            let before = replaced.len();
            for table in self.config.language_tables() {
                let key = format!("{table}.{name}");
                if self.config.rows.contains_key(&key) {
                    replaced.push((key, self.mixed(table, mixture)?, mixture.to_string()));
                }
            }
            if replaced.len() == before {
                return Err(self.nothing_to_replace(name));
            }
        }
        for (key, vector, from) in replaced {
            self.set_row(&key, vector, Row { updates: 0, from: Some(from) })?;
        }
        Ok(())
    }

    fn nothing_to_replace(&self, name: &str) -> Error {
        let tables = self.config.language_tables();
        let mut have: Vec<&str> =
            tables.into_iter().flat_map(|table| self.config.languages(table)).collect();
        have.sort_unstable();
        have.dedup();
        Error::usage(format!("language `{name}` has no vector that could be replaced"))
            .expected(format!("one of {}", have.join(", ")))
            .suggest(name, have.iter().copied())
            .hint(format!("`--as \"{name}=0.5*A+0.5*B\"` gives it one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hypernet::HyperConfig;
    use crate::formats::neurons::Side;
    use crate::methods::hyper::HyperInit;
    use serde_json::{Value, json};

    /// Hyper-adapters of width 4; encoders read the source, decoders the target. `de` and `fr`
    /// stand on both sides, `en` is a source only, `xx` was never trained.
    fn network() -> HyperNetwork {
        let mut rows = serde_json::Map::new();
        let trained = json!({"updates": 3});
        for key in ["source.de", "source.fr", "source.en", "target.de", "target.fr"] {
            rows.insert(key.into(), trained.clone());
        }
        rows.insert("source.xx".into(), json!({"updates": 0}));
        for side in ["encoder", "decoder"] {
            rows.insert(format!("layer.{side}.layers.0.layer"), trained.clone());
        }
        let config: HyperConfig = serde_json::from_value(json!({
            "kind": "hyper-adapters", "d_model": 4, "encoder_layers": 1, "decoder_layers": 1,
            "bottleneck": 2, "positions": ["layer"], "norm": "none", "affine": "none",
            "encoder_inputs": ["source", "layer"], "decoder_inputs": ["target", "layer"],
            "embedding_dim": 3, "layer_embedding_dim": 3, "hidden": 5, "blocks": 1,
            "rescale": true, "rows": Value::Object(rows),
        }))
        .unwrap();
        HyperNetwork::create(config, HyperInit::Xavier, 1).unwrap()
    }

    fn swaps(all: &[&str]) -> Vec<(String, Mixture)> {
        all.iter().map(|text| Mixture::parse_named(text).unwrap()).collect()
    }

    #[test]
    fn two_languages_change_places_in_every_table() {
        let own = network();
        let mut swapped = network();
        swapped.swap_languages(&swaps(&["de=fr", "fr=de"])).unwrap();
        for table in ["source", "target"] {
            let [de, fr] = ["de", "fr"].map(|l| own.vector(table, l).unwrap());
            assert_ne!(de, fr);
            assert_eq!(swapped.vector(table, "de").unwrap(), fr, "{table}");
            assert_eq!(swapped.vector(table, "fr").unwrap(), de, "{table}");
        }
        assert_eq!(swapped.vector("source", "en").unwrap(), own.vector("source", "en").unwrap());
        assert_eq!(swapped.num_params(), own.num_params());
        assert_eq!(swapped.config.rows["target.de"].from.as_deref(), Some("fr"));
    }

    #[test]
    fn a_mixture_is_weighted_and_only_where_a_language_has_a_vector() {
        let own = network();
        let mut swapped = network();
        swapped.swap_languages(&swaps(&["en=0.75*de+0.25*fr"])).unwrap();
        let [de, fr] = ["de", "fr"].map(|l| own.vector("source", l).unwrap());
        let mixed = swapped.vector("source", "en").unwrap();
        for ((m, d), f) in mixed.iter().zip(de).zip(fr) {
            assert!((m - (0.75 * d + 0.25 * f)).abs() < 1e-6);
        }
        assert!(!swapped.config.rows.contains_key("target.en"));
        // One that was never trained may be given another's.
        swapped.swap_languages(&swaps(&["xx=de"])).unwrap();
        assert!(swapped.vector("source", "xx").is_ok());
    }

    #[test]
    fn what_cannot_be_replaced_is_refused_and_nothing_changes() {
        for (all, code, says) in [
            (&["nl=de"][..], 2, "`nl` has no vector that could be replaced"),
            (&["de=nl"], 3, "`nl` has no vector"),
            (&["de=xx"], 3, "has had no update"),
            // `de` is a target too, which `en` is not.
            (&["de=en"], 3, "`en` has no vector as target"),
            (&["de=fr", "de=en"], 2, "`de` is replaced twice"),
            (&["en=de", "zz=de"], 2, "`zz` has no vector"),
        ] {
            let mut network = network();
            let before = network.vector("source", "en").unwrap();
            let e = network.swap_languages(&swaps(all)).unwrap_err();
            assert_eq!(e.exit_code() as i32, code, "{e}");
            assert!(e.to_string().contains(says), "{e}");
            assert_eq!(network.vector("source", "en").unwrap(), before);
        }
    }

    #[test]
    fn one_side_needs_no_vectors_of_the_other() {
        let network = network();
        let check =
            |sides: &[Side]| network.check_sides("translation", ("en", "en"), sides, &|_| false);
        assert!(check(&[Side::Encoder]).is_ok());
        let e = check(&[Side::Decoder]).unwrap_err().to_string();
        assert!(e.contains("`en` has no vector as target"), "{e}");
        assert!(check(&Side::BOTH).is_err());
    }
}
