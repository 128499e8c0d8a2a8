//! Who and what: noun phrases that fit their place in the sentence.

use super::super::meaning::{Det, Np, Person, Phrase, Quantity};
use super::super::vocabulary::{Name, Noun, NounClass, Verb, attributes, places};
use super::Sampler;

const PEOPLE: &[Noun] = &[
    Noun::Man,
    Noun::Woman,
    Noun::Boy,
    Noun::Girl,
    Noun::Child,
    Noun::Teacher,
    Noun::Doctor,
    Noun::Student,
    Noun::Neighbor,
];
/// People whom English calls "he" or "she".
const ADULTS: &[Noun] = &[
    Noun::Man,
    Noun::Woman,
    Noun::Boy,
    Noun::Girl,
    Noun::Teacher,
    Noun::Doctor,
    Noun::Student,
    Noun::Neighbor,
];
const MINE: &[Noun] =
    &[Noun::Friend, Noun::Mother, Noun::Father, Noun::Brother, Noun::Sister, Noun::Grandmother];
pub(super) const QUANTITIES: &[Quantity] =
    &[Quantity::Two, Quantity::Three, Quantity::Five, Quantity::Many, Quantity::Two];

impl Sampler<'_> {
    /// A noun of the list that is not the subject's.
    pub(super) fn other(&mut self, nouns: &[Noun], subject: &Np) -> Noun {
        loop {
            let noun = self.random.pick_skewed(nouns);
            if !matches!(subject, Np::Noun(p) if p.noun == noun) {
                return noun;
            }
        }
    }

    pub(super) fn object(&mut self, noun: Noun) -> Np {
        let draw = self.random.below(100);
        let det = match noun.class() {
            NounClass::Kin => Det::My,
            NounClass::Mass => match draw {
                0..66 => Det::Bare,
                66..90 => Det::The,
                _ => Det::This,
            },
            _ => match draw {
                0..38 => Det::A,
                38..62 => Det::The,
                62..74 => Det::This,
                74..84 if is_owned(noun) => Det::My,
                _ => Det::Count(self.random.pick(QUANTITIES)),
            },
        };
        let plural = det == Det::This && noun.class() != NounClass::Mass && self.random.percent(30);
        self.described(noun, det, plural)
    }

    /// Somebody other than the subject, who is helped, given things or talked to.
    pub(super) fn person(&mut self, subject: &Np) -> Np {
        loop {
            let person = match self.random.below(100) {
                0..22 => Np::Name(self.random.pick_skewed(Name::ALL)),
                22..48 => {
                    let noun = self.random.pick_skewed(MINE);
                    self.described(noun, Det::My, false)
                }
                48..84 => {
                    let noun = self.random.pick_skewed(PEOPLE);
                    let plural = self.random.percent(20);
                    self.described(noun, Det::The, plural)
                }
                84..90 => {
                    let noun = self.random.pick_skewed(PEOPLE);
                    self.described(noun, Det::This, false)
                }
                _ => {
                    let noun = self.random.pick_skewed(PEOPLE);
                    self.described(noun, Det::A, false)
                }
            };
            let is_subject = match (&person, subject) {
                (Np::Noun(p), Np::Noun(s)) => p.noun == s.noun,
                (a, b) => a == b,
            };
            if !is_subject {
                return person;
            }
        }
    }

    pub(super) fn described(&mut self, noun: Noun, det: Det, plural: bool) -> Np {
        Np::Noun(self.phrase(noun, det, plural, 28))
    }

    pub(super) fn phrase(&mut self, noun: Noun, det: Det, plural: bool, share: usize) -> Phrase {
        let fitting = attributes(noun);
        let adjective = (!fitting.is_empty() && self.random.percent(share))
            .then(|| self.random.pick_skewed(fitting));
        Phrase { noun, det, plural: plural || matches!(det, Det::Count(_)), adjective }
    }

    pub(super) fn place(&mut self, verb: Verb) -> Phrase {
        let noun = self.random.pick_skewed(places(verb));
        self.place_phrase(noun)
    }

    pub(super) fn place_phrase(&mut self, noun: Noun) -> Phrase {
        let det = match self.random.below(100) {
            0..14 => Det::This,
            14..24 if is_own_place(noun) => Det::My,
            _ => Det::The,
        };
        self.phrase(noun, det, false, 22)
    }

    pub(super) fn actor(&mut self, verb: Verb, asked: bool) -> Np {
        let by_animal = matches!(verb, Verb::Sleep | Verb::Eat | Verb::Drink | Verb::Play);
        if by_animal && self.random.percent(12) {
            let animal = self.random.pick(&[Noun::Dog, Noun::Cat]);
            let det = self.random.pick(&[Det::The, Det::The, Det::This, Det::My]);
            return self.described(animal, det, false);
        }
        self.somebody(asked)
    }

    pub(super) fn somebody(&mut self, asked: bool) -> Np {
        if asked && self.random.percent(40) {
            return Np::Pronoun(Person::You);
        }
        match self.random.below(100) {
            0..30 => Np::Pronoun(self.pronoun(asked)),
            30..45 => Np::Name(self.random.pick_skewed(Name::ALL)),
            45..60 => {
                let noun = self.random.pick_skewed(MINE);
                self.described(noun, Det::My, false)
            }
            60..82 => {
                let noun = self.random.pick_skewed(PEOPLE);
                let plural = self.random.percent(18);
                self.described(noun, Det::The, plural)
            }
            82..91 => {
                let noun = self.random.pick_skewed(PEOPLE);
                let plural = self.random.percent(30);
                self.described(noun, Det::This, plural)
            }
            _ => {
                let noun = self.random.pick_skewed(PEOPLE);
                let quantity = self.random.pick(QUANTITIES);
                self.described(noun, Det::Count(quantity), true)
            }
        }
    }

    pub(super) fn pronoun(&mut self, asked: bool) -> Person {
        let all = [Person::I, Person::We, Person::He, Person::She, Person::They];
        // Nobody asks what "I" or "we" do.
        self.random.pick(if asked { &all[2..] } else { &all })
    }

    /// Somebody whom "he", "she", "I" or "we" can take up again.
    pub(super) fn protagonist(&mut self) -> Np {
        match self.random.below(100) {
            0..35 => {
                Np::Pronoun(self.random.pick(&[Person::I, Person::He, Person::She, Person::We]))
            }
            35..55 => Np::Name(self.random.pick_skewed(Name::ALL)),
            55..75 => {
                let noun = self.random.pick_skewed(MINE);
                Np::Noun(Phrase { noun, det: Det::My, plural: false, adjective: None })
            }
            _ => {
                let noun = self.random.pick_skewed(ADULTS);
                let det = self.random.pick(&[Det::The, Det::The, Det::This]);
                self.described(noun, det, false)
            }
        }
    }

    /// The same without an attribute: "the tired man is tired" would say too much.
    pub(super) fn plain(&mut self, draw: impl FnOnce(&mut Self) -> Np) -> Np {
        match draw(self) {
            Np::Noun(p) => Np::Noun(Phrase { adjective: None, ..p }),
            other => other,
        }
    }
}

/// What people call theirs.
pub(super) fn is_owned(noun: Noun) -> bool {
    match noun.class() {
        NounClass::Human => noun == Noun::Friend,
        NounClass::Place => is_own_place(noun),
        NounClass::Mass => false,
        NounClass::Kin | NounClass::Animal | NounClass::Thing => true,
    }
}

/// Places that people call theirs.
fn is_own_place(noun: Noun) -> bool {
    matches!(noun, Noun::Room | Noun::House | Noun::Office | Noun::Garden | Noun::Kitchen)
}
