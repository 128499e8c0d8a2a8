//! The regression gate: which rows fell too far below a baseline.

use super::aggregate::{Average, RowId};
use crate::records::GateStatus;

/// A score of a row, with the p-value of its difference from the baseline where one was computed.
#[derive(Clone, Debug, PartialEq)]
pub struct GateScore {
    pub id: RowId,
    pub value: f64,
    pub p_value: Option<f64>,
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateRule {
    pub higher_is_better: bool,
    /// A fall by more than this fails; for TER, a rise.
    pub max_drop: f64,
    /// With it, only a difference with a p-value of at most this fails.
    pub max_p: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub id: RowId,
    pub baseline: Option<f64>,
    pub value: Option<f64>,
    pub p_value: Option<f64>,
    pub status: GateStatus,
}

impl Verdict {
    /// Value minus baseline.
    pub fn delta(&self) -> Option<f64> {
        Some(self.value? - self.baseline?)
    }
}

/// Room for the last bits of sums and for scores that were printed with few digits.
const TOLERANCE: f64 = 1e-9;

/// A verdict on each row of the baseline. A row that the system lacks is missing; where the
/// baseline knows nothing of the metric, all rows of the system are. Breakdowns that the system
/// was not asked for are passed over, new rows of the system likewise.
pub fn judge(system: &[GateScore], baseline: &[(RowId, f64)], rule: &GateRule) -> Vec<Verdict> {
    if baseline.is_empty() {
        return system
            .iter()
            .map(|s| Verdict {
                id: s.id.clone(),
                baseline: None,
                value: Some(s.value),
                p_value: None,
                status: GateStatus::Missing,
            })
            .collect();
    }
    let asked = |by: &str| by == "lang_pair" || by == "all" || system.iter().any(|s| s.id.by == by);
    baseline
        .iter()
        .filter(|(id, _)| asked(&id.by))
        .map(|(id, expected)| {
            let found = find(system, id);
            let status = match found {
                None => GateStatus::Missing,
                Some(score) => {
                    let change = score.value - expected;
                    let drop = if rule.higher_is_better { -change } else { change };
                    let clear = match (rule.max_p, score.p_value) {
                        (None, _) => true,
                        (Some(max), Some(p)) => p <= max,
                        (Some(_), None) => true,
                    };
                    if drop > rule.max_drop + TOLERANCE && clear {
                        GateStatus::Fail
                    } else {
                        GateStatus::Pass
                    }
                }
            };
            Verdict {
                id: found.map_or_else(|| id.clone(), |s| s.id.clone()),
                baseline: Some(*expected),
                value: found.map(|s| s.value),
                p_value: found.and_then(|s| s.p_value),
                status,
            }
        })
        .collect()
}

/// The row of that name; for a score of a whole input (as sacrebleu's), the only row there is.
fn find<'a>(system: &'a [GateScore], id: &RowId) -> Option<&'a GateScore> {
    system.iter().find(|s| s.id == *id).or_else(|| match system {
        [only] if id.by == "all" && id.average != Some(Average::Macro) => Some(only),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(by: &str, label: &str, average: Option<Average>) -> RowId {
        RowId { by: by.into(), label: label.into(), average }
    }
    fn pair(label: &str) -> RowId {
        id("lang_pair", label, None)
    }
    fn score(id: RowId, value: f64, p_value: Option<f64>) -> GateScore {
        GateScore { id, value, p_value }
    }
    fn statuses(verdicts: &[Verdict]) -> Vec<GateStatus> {
        verdicts.iter().map(|v| v.status).collect()
    }

    #[test]
    fn falls_rises_and_gaps() {
        use GateStatus::*;
        let baseline = [(pair("a-b"), 30.0), (pair("b-a"), 20.0), (pair("c-a"), 10.0)];
        let rule = GateRule { higher_is_better: true, max_drop: 0.5, max_p: None };
        let system = [
            score(pair("a-b"), 29.5, None),
            score(pair("b-a"), 19.4, Some(0.2)),
            score(pair("new-one"), 1.0, None),
        ];
        let verdicts = judge(&system, &baseline, &rule);
        assert_eq!(statuses(&verdicts), [Pass, Fail, Missing]);
        assert_eq!(verdicts[2].id.label, "c-a");
        // Not significant: passes.
        let rule = GateRule { max_p: Some(0.05), ..rule };
        assert_eq!(statuses(&judge(&system, &baseline, &rule)), [Pass, Pass, Missing]);
        // TER falls when it is better.
        let rule = GateRule { higher_is_better: false, max_drop: 0.5, max_p: None };
        assert_eq!(statuses(&judge(&system, &baseline[..2], &rule)), [Pass, Pass]);
        let worse = [score(pair("a-b"), 30.6, None)];
        assert_eq!(statuses(&judge(&worse, &baseline[..1], &rule)), [Fail]);
        // A metric that the baseline has not.
        assert_eq!(statuses(&judge(&system, &[], &rule)), [Missing; 3]);
    }

    #[test]
    fn a_score_of_everything_fits_the_only_row() {
        use GateStatus::*;
        let rule = GateRule { higher_is_better: true, max_drop: 0.0, max_p: None };
        let all = id("all", "all", Some(Average::Micro));
        let one = [score(pair("a-b"), 30.0, None)];
        assert_eq!(statuses(&judge(&one, &[(all.clone(), 30.0)], &rule)), [Pass]);
        let two = [one[0].clone(), score(pair("b-a"), 30.0, None)];
        assert_eq!(statuses(&judge(&two, &[(all, 30.0)], &rule)), [Missing]);
        // A breakdown that was not asked for this time.
        let tiers = [(id("tier", "low", Some(Average::Macro)), 9.0)];
        assert!(judge(&one, &tiers, &rule).is_empty());
    }
}
