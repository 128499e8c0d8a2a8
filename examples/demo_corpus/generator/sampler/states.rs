//! Sentences about how, where and with what somebody or something is.

use super::super::meaning::{Det, Np, Phrase, Predicate, Relation, Sentence, Tense};
use super::super::vocabulary::{MOODS, Noun, POSSESSIONS, Time, properties};
use super::phrases::{QUANTITIES, is_owned};
use super::{Sampler, simple};

const ANIMALS: &[Noun] = &[Noun::Dog, Noun::Cat, Noun::Horse, Noun::Bird];

impl Sampler<'_> {
    pub(super) fn property_sentence(&mut self) -> Sentence {
        let question = self.random.percent(14);
        let (subject, adjective) = match self.random.below(100) {
            0..45 => {
                let subject = self.plain(|s| s.somebody(question));
                let adjective = match &subject {
                    Np::Noun(p) => self.random.pick_skewed(properties(p.noun)),
                    _ => self.random.pick(MOODS),
                };
                (subject, adjective)
            }
            draw => {
                let nouns = if draw < 55 { ANIMALS } else { &Noun::ALL[Noun::Book as usize..] };
                let noun = self.random.pick_skewed(nouns);
                let det = self.random.pick(&[Det::The, Det::The, Det::This, Det::My]);
                let det = if det == Det::My && !is_owned(noun) { Det::The } else { det };
                let subject = Np::Noun(Phrase { noun, det, plural: false, adjective: None });
                (subject, self.random.pick_skewed(properties(noun)))
            }
        };
        let tense = if self.random.percent(65) { Tense::Present } else { Tense::Past };
        let negated = !question && self.random.percent(16);
        let passes = MOODS.contains(&adjective);
        let time = match tense {
            Tense::Present if passes && self.random.percent(15) => Some(Time::Today),
            Tense::Past if passes && self.random.percent(25) => Some(Time::Yesterday),
            _ => None,
        };
        simple(question, subject, tense, negated, Predicate::Is(adjective), time)
    }

    pub(super) fn location_sentence(&mut self) -> Sentence {
        use Noun::*;
        const SMALL: &[Noun] =
            &[Book, Letter, Newspaper, Phone, Key, Photo, Hat, Bag, Ball, Cup, Apple];
        const INDOORS: &[Noun] = &[Kitchen, Room, House, Office, Garden];
        const ANYWHERE: &[Noun] = &[
            School, Garden, City, Park, Village, Market, Kitchen, Library, Museum, Station, Office,
            House, Room, Hotel, Restaurant,
        ];
        let draw = self.random.below(100);
        let question = self.random.percent(25);
        let (subject, relation, spots): (Np, Relation, &[Noun]) = match draw {
            0..45 => (self.somebody(question), Relation::In, ANYWHERE),
            45..62 => {
                let animal = self.random.pick(&[Dog, Cat, Bird]);
                let det = self.random.pick(&[Det::The, Det::The, Det::My, Det::This]);
                let relation =
                    self.random.pick(&[Relation::In, Relation::In, Relation::On, Relation::Under]);
                let spots = if relation == Relation::In { INDOORS } else { &[Table, Chair] };
                (self.described(animal, det, false), relation, spots)
            }
            _ => {
                let thing = self.random.pick_skewed(SMALL);
                let det = self.random.pick(&[Det::The, Det::The, Det::My, Det::This]);
                let relation =
                    self.random.pick(&[Relation::In, Relation::On, Relation::On, Relation::Under]);
                let spots = if relation == Relation::In { INDOORS } else { &[Table, Chair] };
                (self.described(thing, det, false), relation, spots)
            }
        };
        let tense = if self.random.percent(60) { Tense::Present } else { Tense::Past };
        let time = match tense {
            Tense::Present if self.random.percent(10) => Some(Time::Now),
            Tense::Past if self.random.percent(25) => Some(Time::Yesterday),
            _ => None,
        };
        let predicate = if question && self.random.percent(60) {
            Predicate::Whereabouts
        } else {
            let spot = self.random.pick_skewed(spots);
            Predicate::Located(relation, self.place_phrase(spot))
        };
        let time = if predicate == Predicate::Whereabouts && tense == Tense::Present {
            None
        } else {
            time
        };
        simple(question, subject, tense, false, predicate, time)
    }

    pub(super) fn possession_sentence(&mut self) -> Sentence {
        let question = self.random.percent(16);
        let subject = self.somebody(question);
        let tense = if self.random.percent(72) { Tense::Present } else { Tense::Past };
        let negated = !question && self.random.percent(20);
        let owned = self.possession(!negated && !question);
        simple(question, subject, tense, negated, Predicate::Has(owned), None)
    }

    pub(super) fn possession(&mut self, may_count: bool) -> Phrase {
        let noun = self.random.pick_skewed(POSSESSIONS);
        let counted = may_count && self.random.percent(35);
        let det = if counted { Det::Count(self.random.pick(QUANTITIES)) } else { Det::A };
        self.phrase(noun, det, false, 40)
    }
}
