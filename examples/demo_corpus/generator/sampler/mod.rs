//! Draws meanings: which kinds of sentence there are, how often, and what fits together.

mod acts;
mod joined;
mod phrases;
mod states;

use super::meaning::{Act, Clause, Np, Predicate, Sentence, Tense};
use super::random::Random;
use super::vocabulary::{Time, Verb};

/// One sentence.
pub fn sentence(random: &mut Random) -> Sentence {
    let mut sampler = Sampler { random };
    match sampler.random.below(100) {
        0..58 => sampler.act_sentence(),
        58..68 => sampler.property_sentence(),
        68..77 => sampler.location_sentence(),
        77..86 => sampler.possession_sentence(),
        86..95 => sampler.because_sentence(),
        _ => sampler.when_sentence(),
    }
}

struct Sampler<'a> {
    random: &'a mut Random,
}

fn bare(verb: Verb) -> Act {
    Act { verb, modal: None, object: None, recipient: None, company: None, place: None, goal: None }
}

fn clause(subject: Np, tense: Tense, predicate: Predicate) -> Clause {
    Clause { subject, tense, negated: false, predicate, time: None, time_first: false }
}

fn simple(
    question: bool,
    subject: Np,
    tense: Tense,
    negated: bool,
    predicate: Predicate,
    time: Option<Time>,
) -> Sentence {
    let main = Clause { negated, time, ..clause(subject, tense, predicate) };
    Sentence { question, main, subordinate: None }
}
