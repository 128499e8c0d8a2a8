//! sacrebleu's signatures: what a number was computed with, in one line
//! (`sacrebleu/metrics/base.py`, `Signature`).

use super::Metric;
use super::resample::Seed;

/// How many references the segments of a row have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumRefs {
    pub min: u32,
    pub max: u32,
}

impl NumRefs {
    /// sacrebleu's number: -1 where segments differ, signed `nrefs:var`.
    fn signed(self) -> i64 {
        if self.min == self.max { i64::from(self.min) } else { -1 }
    }
}

/// What was drawn at random, if anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resampling {
    pub bootstrap_samples: Option<usize>,
    pub randomization_trials: Option<usize>,
    pub seed: Seed,
}

/// The whole signature: `nrefs:1|bs:1000|seed:12345|case:mixed|...|version:2.6.0`.
pub fn signature(metric: &Metric, num_refs: NumRefs, resampling: &Resampling) -> String {
    let base = metric.base_signature(num_refs.signed());
    let Resampling { bootstrap_samples, randomization_trials, seed } = resampling;
    let (first, rest) = base.split_once('|').unwrap_or((&base, ""));
    let mut parts = vec![first.to_string()];
    parts.extend(bootstrap_samples.map(|n| format!("bs:{n}")));
    parts.extend(randomization_trials.map(|n| format!("ar:{n}")));
    if parts.len() > 1 {
        parts.push(format!("seed:{seed}"));
    }
    parts.push(rest.to_string());
    parts.join("|")
}

/// The abbreviated form of sacrebleu's `--short`.
pub fn short(metric: &Metric, signature: &str) -> String {
    let abbreviate = |key: &str| {
        Some(match key {
            "version" => "v",
            "nrefs" => "#",
            "seed" => "rs",
            "case" => "c",
            "eff" => "e",
            "smooth" | "space" => "s",
            // BLEU spells its tokenizer out, TER does not.
            "tok" if matches!(metric, Metric::Ter(_)) => "t",
            "norm" => "nr",
            "punct" => "pn",
            "asian" => "as",
            _ => return None,
        })
    };
    let parts: Vec<String> = signature
        .split('|')
        .map(|part| match part.split_once(':') {
            Some((key, value)) => format!("{}:{value}", abbreviate(key).unwrap_or(key)),
            None => part.to_string(),
        })
        .collect();
    parts.join("|")
}

/// The part of a signature that decides about the value: two scores may be compared where it is
/// equal. Resampling and the version of the program are left out.
pub fn comparable(signature: &str) -> String {
    let parts: Vec<&str> = signature
        .split('|')
        .filter(|p| !["bs:", "ar:", "seed:", "version:"].iter().any(|key| p.starts_with(key)))
        .collect();
    parts.join("|")
}

#[cfg(test)]
mod tests {
    use super::super::bleu::Bleu;
    use super::super::ter::Ter;
    use super::*;

    #[test]
    fn resampling_stands_behind_the_references() {
        let bleu = Metric::Bleu(Bleu::default());
        let one = NumRefs { min: 1, max: 1 };
        let drawn = Resampling { bootstrap_samples: Some(1000), ..Resampling::default() };
        let long = signature(&bleu, one, &drawn);
        assert_eq!(
            long,
            "nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
        );
        assert_eq!(short(&bleu, &long), "#:1|bs:1000|rs:12345|c:mixed|e:no|tok:13a|s:exp|v:2.6.0");
        let ter = Metric::Ter(Ter::default());
        let long = signature(&ter, NumRefs { min: 1, max: 2 }, &Resampling::default());
        assert_eq!(short(&ter, &long), "#:var|c:lc|t:tercom|nr:no|pn:yes|as:no|v:2.6.0");
        assert_eq!(comparable("nrefs:1|bs:1000|seed:1|case:lc|version:2"), "nrefs:1|case:lc");
    }
}
