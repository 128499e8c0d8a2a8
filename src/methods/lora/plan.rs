//! Ranks under a budget of parameters: each update gets as many of its components as they are
//! worth against those of all others.

use std::collections::BTreeMap;
use std::ops::Range;

/// One update and what its components are worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Parameters of one component: a row of A and a column of B.
    pub cost: usize,
    /// Energies of the components, falling.
    pub values: Vec<f64>,
    /// The adapter (language) it belongs to.
    pub owner: usize,
}

/// What the components of different owners are compared by.
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
pub enum Balance {
    /// Energies of components as they are: the least error in all
    #[default]
    Absolute,
    /// As parts of their adapter's total: languages with small updates get their share
    Relative,
    /// The same rank for all as far as the budget goes; energies decide over what is left
    Uniform,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Components that each candidate keeps: its first ones.
    pub ranks: Vec<usize>,
    pub params: usize,
}

/// A component that may be kept.
struct Offer {
    candidate: usize,
    cost: usize,
    /// Value per parameter.
    worth: f64,
}

/// Takes components by value per parameter as long as they fit; of equal ones that of the first
/// candidate. Never above `budget`, and never a component of no value.
pub fn plan(candidates: &[Candidate], budget: usize, balance: Balance) -> Plan {
    debug_assert!(candidates.iter().all(|c| c.values.is_sorted_by(|a, b| a >= b)));
    let mut plan = Plan { ranks: vec![0; candidates.len()], params: 0 };
    let offers = match balance {
        Balance::Absolute => offers(candidates, 0..usize::MAX, |_| 1.0),
        Balance::Relative => {
            let mut totals = BTreeMap::new();
            for c in candidates {
                *totals.entry(c.owner).or_insert(0.0) += worthy(c).sum::<f64>();
            }
            offers(candidates, 0..usize::MAX, |owner| totals.get(&owner).copied().unwrap_or(1.0))
        }
        Balance::Uniform => {
            let mut level = 0;
            loop {
                let next = offers(candidates, level..level + 1, |_| 1.0);
                let cost = next.iter().fold(0usize, |sum, o| sum.saturating_add(o.cost));
                if next.is_empty() || cost > budget - plan.params {
                    break next;
                }
                plan.take(next, budget);
                level += 1;
            }
        }
    };
    plan.take(offers, budget);
    plan
}

/// The values that are worth something; falling, so they come first.
fn worthy(candidate: &Candidate) -> impl Iterator<Item = f64> {
    candidate.values.iter().copied().take_while(|&v| v > 0.0)
}

/// These components of each candidate, best first; `unit` is what the values of an owner are
/// measured by.
fn offers(
    candidates: &[Candidate],
    components: Range<usize>,
    unit: impl Fn(usize) -> f64,
) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (candidate, c) in candidates.iter().enumerate() {
        let unit = unit(c.owner) * c.cost as f64;
        let values = worthy(c).skip(components.start).take(components.len());
        offers.extend(values.map(|v| Offer { candidate, cost: c.cost, worth: v / unit }));
    }
    // Stable: equal ones stay in the order of candidates, and components in theirs.
    offers.sort_by(|x, y| y.worth.total_cmp(&x.worth));
    offers
}

impl Plan {
    /// All components of a candidate cost the same, so after one that does not fit none does:
    /// what is kept are always the first.
    fn take(&mut self, offers: Vec<Offer>, budget: usize) {
        for offer in offers {
            if offer.cost <= budget - self.params {
                self.ranks[offer.candidate] += 1;
                self.params += offer.cost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Balance::{Absolute, Relative, Uniform};
    use super::*;
    use proptest::prelude::*;

    fn candidate(owner: usize, cost: usize, values: &[f64]) -> Candidate {
        Candidate { cost, values: values.to_vec(), owner }
    }

    fn ranks(candidates: &[Candidate], budget: usize, balance: Balance) -> Vec<usize> {
        plan(candidates, budget, balance).ranks
    }

    #[test]
    fn by_value_per_parameter() {
        // Per parameter 2, 0.5 and 3, 1.
        let c = [candidate(0, 4, &[8.0, 2.0]), candidate(0, 1, &[3.0, 1.0])];
        let by_budget: Vec<_> = (0..=10).map(|b| ranks(&c, b, Absolute)).collect();
        let expected = [[0, 0], [0, 1], [0, 2], [0, 2], [0, 2], [1, 1], [1, 2], [1, 2], [1, 2]];
        assert_eq!(by_budget[..9], expected);
        assert_eq!(by_budget[9..], [[1, 2], [2, 2]]);
        assert_eq!(plan(&c, 9, Absolute), Plan { ranks: vec![1, 2], params: 6 });
    }

    #[test]
    fn ties_nothing_and_extremes() {
        let c = [candidate(1, 2, &[1.0, 1.0, 0.0]), candidate(0, 2, &[1.0, 0.0])];
        assert_eq!(ranks(&c, 2, Absolute), [1, 0]);
        assert_eq!(ranks(&c, 4, Absolute), [2, 0]);
        assert_eq!(ranks(&c, 4, Uniform), [1, 1]);
        for balance in [Absolute, Relative, Uniform] {
            assert_eq!(plan(&c, usize::MAX, balance), Plan { ranks: vec![2, 1], params: 6 });
            assert_eq!(plan(&[], 5, balance), Plan { ranks: vec![], params: 0 });
            let odd = [
                candidate(9, usize::MAX, &[1.0]),
                candidate(usize::MAX, usize::MAX, &[f64::INFINITY]),
                candidate(9, 0, &[1.0]),
                candidate(3, 1, &[f64::NAN]),
                candidate(3, 1, &[0.0]),
                candidate(3, 1, &[]),
            ];
            assert_eq!(ranks(&odd, 7, balance), [0, 0, 1, 0, 0, 0]);
        }
    }

    #[test]
    fn small_languages_get_their_share() {
        let large = candidate(0, 1, &[900.0, 100.0]);
        let small = candidate(1, 1, &[0.006, 0.004]);
        let c = [large, small, candidate(1, 1, &[0.01])];
        assert_eq!(ranks(&c, 2, Absolute), [2, 0, 0]);
        // Of the total of its owner, over all that the owner has: 0.9, 0.1; 0.3, 0.2; 0.5.
        let by_budget: Vec<_> = (1..=5).map(|b| ranks(&c, b, Relative)).collect();
        assert_eq!(by_budget, [[1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 2, 1], [2, 2, 1]]);
    }

    #[test]
    fn the_rest_of_equal_ranks_goes_by_energy() {
        let c = [
            candidate(0, 2, &[9.0, 8.0, 1.0]),
            candidate(1, 3, &[5.0]),
            candidate(2, 1, &[4.0, 0.7, 0.6]),
        ];
        let by_budget: Vec<_> = (5..=12).map(|b| ranks(&c, b, Uniform)).collect();
        // Rank 1 for all is 6 parameters, rank 2 is 9 and rank 3 is 12.
        let expected = [[1, 0, 1], [1, 1, 1], [1, 1, 2], [2, 1, 1], [2, 1, 2], [2, 1, 3]];
        assert_eq!(by_budget[..6], expected);
        assert_eq!(by_budget[6..], [[2, 1, 3], [3, 1, 3]]);
    }

    fn any_candidates(cost: impl Strategy<Value = usize>) -> impl Strategy<Value = Vec<Candidate>> {
        let value = prop_oneof![0.0f64..4.0, (0u8..4).prop_map(f64::from)];
        let one = (0usize..3, cost, prop::collection::vec(value, 0..4));
        prop::collection::vec(one, 0..5).prop_map(|all| {
            let sorted = |(owner, cost, mut values): (usize, usize, Vec<f64>)| {
                values.sort_by(|a, b| b.total_cmp(a));
                Candidate { cost, values, owner }
            };
            all.into_iter().map(sorted).collect()
        })
    }

    fn cost_of(c: &[Candidate], rank: impl Fn(usize) -> usize) -> usize {
        c.iter().enumerate().map(|(i, c)| c.cost * rank(i)).sum()
    }

    /// The best total of all ranks within the budget.
    fn best(c: &[Candidate], budget: usize) -> f64 {
        let Some((first, rest)) = c.split_first() else { return 0.0 };
        (0..=first.values.len())
            .filter(|r| r * first.cost <= budget)
            .map(|r| first.values[..r].iter().sum::<f64>() + best(rest, budget - r * first.cost))
            .fold(0.0, f64::max)
    }

    proptest! {
        #[test]
        fn within_the_budget_and_full(c in any_candidates(1usize..5), budget in 0usize..40) {
            let worth: Vec<usize> = c.iter().map(|c| worthy(c).count()).collect();
            for balance in [Absolute, Relative, Uniform] {
                let p = plan(&c, budget, balance);
                prop_assert_eq!(&p, &plan(&c, budget, balance));
                prop_assert_eq!(p.params, cost_of(&c, |i| p.ranks[i]));
                prop_assert!(p.params <= budget);
                prop_assert!(p.ranks.iter().zip(&worth).all(|(r, w)| r <= w));
                let fits = |i: usize| p.ranks[i] < worth[i] && p.params + c[i].cost <= budget;
                prop_assert!(balance == Uniform || !(0..c.len()).any(fits));
                let all = cost_of(&c, |i| worth[i]);
                prop_assert_eq!(plan(&c, all, balance).ranks, worth.clone());
            }
            let common = (0..9).take_while(|&r| cost_of(&c, |i| r.min(worth[i])) <= budget).last();
            let common = common.unwrap_or(0);
            for (rank, worth) in ranks(&c, budget, Uniform).into_iter().zip(worth) {
                prop_assert!((common.min(worth)..=(common + 1).min(worth)).contains(&rank));
            }
        }

        #[test]
        fn best_of_equal_costs(c in any_candidates(Just(2)), budget in 0usize..30) {
            let kept = ranks(&c, budget, Absolute);
            let total: f64 = c.iter().zip(kept).flat_map(|(c, r)| &c.values[..r]).sum();
            prop_assert!((total - best(&c, budget)).abs() < 1e-9);
        }
    }
}
