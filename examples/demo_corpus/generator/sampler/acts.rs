//! Sentences about what people do: one verb with what belongs to it.

use super::super::meaning::{Act, Clause, Det, Modal, Np, Predicate, Sentence, Tense};
use super::super::vocabulary::{Course, Frame, Noun, NounClass, Time, Verb, is_habitual, places};
use super::{Sampler, bare};

/// Half of all sentences use one of these.
const EVERYDAY_VERBS: &[Verb] = &[
    Verb::Read,
    Verb::Buy,
    Verb::See,
    Verb::Eat,
    Verb::Drink,
    Verb::Open,
    Verb::Love,
    Verb::Help,
    Verb::Visit,
    Verb::Give,
    Verb::Work,
    Verb::Sleep,
    Verb::Play,
    Verb::Live,
    Verb::Go,
    Verb::Come,
];

/// What a sentence asks, if it asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Statement,
    YesNo,
    Who,
    What,
}

impl Sampler<'_> {
    pub(super) fn act_sentence(&mut self) -> Sentence {
        let verbs = if self.random.percent(50) { EVERYDAY_VERBS } else { Verb::ALL };
        let verb = self.random.pick(verbs);
        let mood = self.mood(verb);
        let modal = self.modal(verb);
        let tense = if modal.is_some() { Tense::Present } else { self.tense(verb) };
        let subject = match mood {
            Mood::Who => Np::Who,
            _ => self.actor(verb, mood != Mood::Statement),
        };
        let mut act = self.arguments(verb, &subject, tense, mood == Mood::What);
        act.modal = modal;
        let counts = matches!(&act.object, Some(Np::Noun(p)) if matches!(p.det, Det::Count(_)));
        let is_bound = tense == Tense::Habit
            || mood != Mood::Statement
            || counts
            || act.company.is_some()
            || (act.place.is_some() && verb != Verb::Live);
        let negated = !is_bound && self.random.percent(if modal.is_some() { 30 } else { 15 });
        // One loves, understands, or fails to find, a certain thing.
        let is_certain = verb.course() == Course::State || verb == Verb::Understand;
        if is_certain || (negated && verb.course() == Course::Event) {
            make_definite(&mut act);
        }
        let time =
            if modal.is_some() || verb.course() == Course::State { None } else { self.time(tense) };
        let can_open = !matches!(time, None | Some(Time::Now | Time::EveryDay | Time::Often));
        let time_first = can_open && mood == Mood::Statement && self.random.percent(25);
        let predicate = Predicate::Act(act);
        Sentence {
            question: mood != Mood::Statement,
            main: Clause { subject, tense, negated, predicate, time, time_first },
            subordinate: None,
        }
    }

    fn mood(&mut self, verb: Verb) -> Mood {
        let asks_things = match verb.frame() {
            Frame::Object(_) => !matches!(verb, Verb::Love | Verb::See | Verb::Watch),
            Frame::Transfer(_) => true,
            _ => false,
        };
        match self.random.below(100) {
            0..10 => Mood::YesNo,
            10..13 => Mood::Who,
            13..18 if asks_things => Mood::What,
            _ => Mood::Statement,
        }
    }

    fn modal(&mut self, verb: Verb) -> Option<Modal> {
        let is_willed = !matches!(verb, Verb::Lose | Verb::Forget | Verb::Cry);
        if verb.course() == Course::State || !is_willed || !self.random.percent(12) {
            return None;
        }
        Some(self.random.pick(&[Modal::Can, Modal::Want]))
    }

    fn tense(&mut self, verb: Verb) -> Tense {
        let draw = self.random.below(100);
        match verb.course() {
            Course::State if draw < 75 => Tense::Present,
            Course::State => Tense::Past,
            Course::Event if draw < 25 && matches!(verb, Verb::See | Verb::Come | Verb::Find) => {
                Tense::Future
            }
            Course::Event => Tense::Past,
            Course::Activity => match draw {
                0..35 => Tense::Present,
                35..55 if is_habitual(verb) => Tense::Habit,
                35..86 => Tense::Past,
                _ => Tense::Future,
            },
        }
    }

    /// Habits and the future always say when: some languages show them in no other way.
    fn time(&mut self, tense: Tense) -> Option<Time> {
        let draw = self.random.below(100);
        match tense {
            Tense::Present => match draw {
                0..20 => Some(Time::Now),
                20..28 => Some(Time::Today),
                _ => None,
            },
            Tense::Habit => Some(self.random.pick(&[
                Time::EveryDay,
                Time::Often,
                Time::InTheMorning,
                Time::InTheEvening,
            ])),
            Tense::Past => match draw {
                0..24 => Some(Time::Yesterday),
                24..38 => Some(Time::LastWeek),
                38..48 => Some(Time::Today),
                _ => None,
            },
            Tense::Future => Some(self.random.pick(&[Time::Tomorrow, Time::NextWeek])),
        }
    }

    fn arguments(&mut self, verb: Verb, subject: &Np, tense: Tense, asks_what: bool) -> Act {
        let mut act = bare(verb);
        let mut place_share = 25;
        match verb.frame() {
            Frame::Object(_) | Frame::Transfer(_) if asks_what => act.object = Some(Np::What),
            Frame::Object(things) | Frame::Transfer(things) => {
                let by_animal =
                    matches!(subject, Np::Noun(p) if p.noun.class() == NounClass::Animal);
                let things = if by_animal { animal_food(verb) } else { things };
                let thing = self.other(things, subject);
                act.object = Some(self.object(thing));
                if thing.class() == NounClass::Place {
                    place_share = 0;
                }
            }
            Frame::Person => {
                act.object = Some(self.person(subject));
                place_share = 15;
            }
            Frame::Together if self.random.percent(40) || verb == Verb::Talk => {
                act.company = Some(if verb == Verb::Play && self.random.percent(35) {
                    let animal = self.other(&[Noun::Dog, Noun::Cat], subject);
                    let det = self.random.pick(&[Det::The, Det::My, Det::This]);
                    self.described(animal, det, false)
                } else {
                    self.person(subject)
                });
            }
            Frame::Residence => place_share = 100,
            Frame::Alone | Frame::Together => place_share = 40,
            Frame::Motion => {
                // "Went yesterday" alone would leave out where.
                let needs_goal = verb == Verb::Go || self.random.percent(60);
                act.goal = needs_goal.then(|| self.place(verb));
                place_share = 0;
            }
        }
        if let Frame::Transfer(_) = verb.frame() {
            act.recipient = Some(self.person(subject));
        }
        let is_short = act.recipient.is_none() && tense != Tense::Future;
        if !places(verb).is_empty() && is_short && self.random.percent(place_share) {
            act.place = Some(self.place(verb));
        }
        act
    }
}

/// What dogs and cats eat and drink.
fn animal_food(verb: Verb) -> &'static [Noun] {
    if verb == Verb::Drink { &[Noun::Water, Noun::Milk] } else { &[Noun::Fish, Noun::Bread] }
}

fn make_definite(act: &mut Act) {
    if let Some(Np::Noun(p)) = &mut act.object
        && matches!(p.det, Det::A | Det::Count(_))
    {
        p.det = Det::The;
    }
}
