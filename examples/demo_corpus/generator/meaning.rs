//! What a sentence says, in no language: a predicate with its arguments, time, place, polarity
//! and mood. Every linearizer reads this and nothing else, so that the same meaning gives one
//! sentence per language.

use super::vocabulary::{Adjective, Name, Noun, Time, Verb};

/// A main clause, perhaps with a subordinate clause after it (in the English order).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Asked rather than stated. A clause that holds [`Np::Who`], [`Np::What`] or
    /// [`Predicate::Whereabouts`] asks for that part, any other for yes or no.
    pub question: bool,
    pub main: Clause,
    pub subordinate: Option<(Link, Clause)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Because,
    When,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    pub subject: Np,
    pub tense: Tense,
    pub negated: bool,
    pub predicate: Predicate,
    pub time: Option<Time>,
    /// The time opens the sentence ("Yesterday the man ..."), which inverts the German one.
    pub time_first: bool,
}

/// English form in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tense {
    /// Going on now ("is reading"); simple for states ("knows").
    Present,
    /// Again and again ("reads every day").
    Habit,
    /// A single event or a past state ("read", "was").
    Past,
    Future,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    Act(Act),
    /// The subject has a property.
    Is(Adjective),
    /// The subject is in, on or under something.
    Located(Relation, Phrase),
    /// "Where is ...?"
    Whereabouts,
    /// The subject owns something.
    Has(Phrase),
}

/// A verb with its arguments and the adjuncts that it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub verb: Verb,
    /// In the present only.
    pub modal: Option<Modal>,
    pub object: Option<Np>,
    pub recipient: Option<Np>,
    /// "with ..."
    pub company: Option<Np>,
    /// Where it happens.
    pub place: Option<Phrase>,
    /// Where the motion leads.
    pub goal: Option<Phrase>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modal {
    Can,
    Want,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    In,
    On,
    Under,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Np {
    Pronoun(Person),
    Name(Name),
    Noun(Phrase),
    /// The subject of the main clause again, as subject of the subordinate one: a pronoun that
    /// agrees with it, or nothing where the language drops pronouns.
    Same,
    Who,
    What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    I,
    You,
    He,
    She,
    We,
    They,
}

/// A noun with its determiner and at most one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    pub noun: Noun,
    pub det: Det,
    /// More than one; always true under [`Det::Count`].
    pub plural: bool,
    pub adjective: Option<Adjective>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Det {
    The,
    A,
    /// No article: some of a mass ("coffee").
    Bare,
    This,
    My,
    Count(Quantity),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    Two,
    Three,
    Five,
    Many,
}

/// Person and number as verbs see them; the value indexes five-form tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    I = 0,
    You = 1,
    Third = 2,
    We = 3,
    Thirds = 4,
}

impl Np {
    /// `main` is the subject of the main clause, which [`Np::Same`] repeats.
    pub fn agreement(&self, main: &Np) -> Agreement {
        match self {
            Self::Pronoun(Person::I) => Agreement::I,
            Self::Pronoun(Person::You) => Agreement::You,
            Self::Pronoun(Person::We) => Agreement::We,
            Self::Pronoun(Person::They) => Agreement::Thirds,
            Self::Noun(p) if p.plural => Agreement::Thirds,
            Self::Same if *main != Self::Same => main.agreement(main),
            _ => Agreement::Third,
        }
    }

    /// Known to the hearer: everything but "a ...", "some ..." and counted things.
    pub fn is_definite(&self) -> bool {
        match self {
            Self::Noun(p) => matches!(p.det, Det::The | Det::This | Det::My),
            Self::What => false,
            _ => true,
        }
    }
}

impl Sentence {
    /// A question that asks for a part rather than for yes or no.
    pub fn asks_for_part(&self) -> bool {
        self.main.subject == Np::Who
            || match &self.main.predicate {
                Predicate::Whereabouts => true,
                Predicate::Act(act) => act.object == Some(Np::What),
                _ => false,
            }
    }
}
