//! Short ways to write a meaning down.

use super::generator::meaning::{
    Act, Clause, Det, Link, Np, Person, Phrase, Predicate, Quantity, Sentence, Tense,
};
use super::generator::vocabulary::{Adjective, Noun, Time, Verb};

pub const I: Np = Np::Pronoun(Person::I);
pub const YOU: Np = Np::Pronoun(Person::You);
pub const HE: Np = Np::Pronoun(Person::He);
pub const SHE: Np = Np::Pronoun(Person::She);
pub const WE: Np = Np::Pronoun(Person::We);
pub const THEY: Np = Np::Pronoun(Person::They);

fn phrase(det: Det, noun: Noun) -> Phrase {
    Phrase { noun, det, plural: matches!(det, Det::Count(_)), adjective: None }
}

pub fn the(noun: Noun) -> Phrase {
    phrase(Det::The, noun)
}

pub fn a(noun: Noun) -> Phrase {
    phrase(Det::A, noun)
}

pub fn some(noun: Noun) -> Phrase {
    phrase(Det::Bare, noun)
}

pub fn this(noun: Noun) -> Phrase {
    phrase(Det::This, noun)
}

pub fn my(noun: Noun) -> Phrase {
    phrase(Det::My, noun)
}

pub fn count(quantity: Quantity, noun: Noun) -> Phrase {
    phrase(Det::Count(quantity), noun)
}

impl Phrase {
    pub fn plural(self) -> Self {
        Self { plural: true, ..self }
    }

    pub fn is(self, adjective: Adjective) -> Self {
        Self { adjective: Some(adjective), ..self }
    }
}

impl From<Phrase> for Np {
    fn from(phrase: Phrase) -> Self {
        Self::Noun(phrase)
    }
}

pub fn verb(verb: Verb) -> Act {
    Act { verb, modal: None, object: None, recipient: None, company: None, place: None, goal: None }
}

impl Act {
    pub fn what(self, object: impl Into<Np>) -> Self {
        Self { object: Some(object.into()), ..self }
    }

    pub fn to(self, recipient: impl Into<Np>) -> Self {
        Self { recipient: Some(recipient.into()), ..self }
    }

    pub fn with(self, company: impl Into<Np>) -> Self {
        Self { company: Some(company.into()), ..self }
    }

    pub fn at(self, place: Phrase) -> Self {
        Self { place: Some(place), ..self }
    }

    pub fn into(self, goal: Phrase) -> Self {
        Self { goal: Some(goal), ..self }
    }
}

impl From<Act> for Predicate {
    fn from(act: Act) -> Self {
        Self::Act(act)
    }
}

impl From<Adjective> for Predicate {
    fn from(adjective: Adjective) -> Self {
        Self::Is(adjective)
    }
}

pub fn clause(subject: impl Into<Np>, tense: Tense, predicate: impl Into<Predicate>) -> Clause {
    Clause {
        subject: subject.into(),
        tense,
        negated: false,
        predicate: predicate.into(),
        time: None,
        time_first: false,
    }
}

impl Clause {
    pub fn not(self) -> Self {
        Self { negated: true, ..self }
    }

    pub fn on(self, time: Time) -> Self {
        Self { time: Some(time), ..self }
    }

    pub fn first(self) -> Self {
        Self { time_first: true, ..self }
    }

    pub fn stated(self) -> Sentence {
        Sentence { question: false, main: self, subordinate: None }
    }

    pub fn asked(self) -> Sentence {
        Sentence { question: true, main: self, subordinate: None }
    }

    pub fn because(self, reason: Clause) -> Sentence {
        Sentence { subordinate: Some((Link::Because, reason)), ..self.stated() }
    }

    pub fn when(self, time: Clause) -> Sentence {
        Sentence { subordinate: Some((Link::When, time)), ..self.stated() }
    }
}
