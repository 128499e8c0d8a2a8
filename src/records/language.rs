//! Records of `gen-adapters --embeddings`: the vectors of languages, and how near they are.

use serde::{Serialize, Serializer};

use super::round6;

/// The vector of one language in one role.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "language_vector")]
pub struct LanguageVector {
    pub lang: String,
    /// `source` or `target` where the two have tables of their own, else `language`.
    pub role: String,
    /// Such as its family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(serialize_with = "all_six")]
    pub vector: Vec<f64>,
    /// Along the first component of the role's `embedding_projection`.
    #[serde(serialize_with = "six")]
    pub x: f64,
    /// Along the second.
    #[serde(serialize_with = "six")]
    pub y: f64,
    /// Euclidean, of the whole vector.
    #[serde(serialize_with = "six")]
    pub norm: f64,
    /// False for a language that is declared but was not in training: chance made its vector.
    pub trained: bool,
}

/// How near two languages' vectors are; one record for each pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "language_similarity")]
pub struct LanguageSimilarity {
    pub lang_a: String,
    pub lang_b: String,
    pub role: String,
    /// Cosine of the angle between them, -1 to 1; 0 where one is zero.
    #[serde(serialize_with = "six")]
    pub cosine_frac: f64,
}

/// The plane that the vectors of a role are shown in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "embedding_projection")]
pub struct EmbeddingProjection {
    pub role: String,
    /// `pca`: principal components of the centred vectors.
    pub method: String,
    /// Share of the variance along the first component.
    #[serde(serialize_with = "six")]
    pub explained_x_frac: f64,
    #[serde(serialize_with = "six")]
    pub explained_y_frac: f64,
    pub num_languages: usize,
}

/// Six decimals, and no negative zero.
fn rounded(x: f64) -> f64 {
    round6(x) + 0.0
}

fn six<S: Serializer>(x: &f64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(rounded(*x))
}

fn all_six<S: Serializer>(xs: &[f64], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(xs.iter().map(|x| rounded(*x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_decimals_and_no_group_is_no_field() {
        let mut record = LanguageVector {
            lang: "de".to_string(),
            role: "source".to_string(),
            group: Some("Germanic".to_string()),
            vector: vec![0.123_456_78, -2.0, -1e-9],
            x: 1.000_000_4,
            y: -0.000_000_6,
            norm: 2.003_806_94,
            trained: true,
        };
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            "{\"type\":\"language_vector\",\"lang\":\"de\",\"role\":\"source\",\
             \"group\":\"Germanic\",\"vector\":[0.123457,-2.0,0.0],\"x\":1.0,\"y\":-1e-6,\
             \"norm\":2.003807,\"trained\":true}"
        );
        (record.group, record.vector) = (None, Vec::new());
        let json = serde_json::to_string(&record).unwrap();
        assert!(json.contains("\"role\":\"source\",\"vector\":[],\"x\""), "{json}");
    }

    #[test]
    fn pairs_and_the_plane() {
        let pair = LanguageSimilarity {
            lang_a: "es".to_string(),
            lang_b: "pt".to_string(),
            role: "language".to_string(),
            cosine_frac: -2.0 / 3.0,
        };
        assert_eq!(
            serde_json::to_string(&pair).unwrap(),
            "{\"type\":\"language_similarity\",\"lang_a\":\"es\",\"lang_b\":\"pt\",\
             \"role\":\"language\",\"cosine_frac\":-0.666667}"
        );
        let plane = EmbeddingProjection {
            role: "target".to_string(),
            method: "pca".to_string(),
            explained_x_frac: 5.0 / 7.0,
            explained_y_frac: 1.0 / 7.0,
            num_languages: 13,
        };
        assert_eq!(
            serde_json::to_string(&plane).unwrap(),
            "{\"type\":\"embedding_projection\",\"role\":\"target\",\"method\":\"pca\",\
             \"explained_x_frac\":0.714286,\"explained_y_frac\":0.142857,\"num_languages\":13}"
        );
    }
}
