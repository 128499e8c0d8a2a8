//! Draws meanings: which kinds of sentence there are, how often, and what fits together.

use super::meaning::{
    Act, Clause, Det, Link, Modal, Np, Person, Phrase, Predicate, Quantity, Relation, Sentence,
    Tense,
};
use super::random::Random;
use super::vocabulary::{
    Adjective, Course, Frame, MOODS, Name, Noun, NounClass, POSSESSIONS, Time, Verb, attributes,
    is_habitual, places, properties,
};

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
const ANIMALS: &[Noun] = &[Noun::Dog, Noun::Cat, Noun::Horse, Noun::Bird];
const QUANTITIES: &[Quantity] =
    &[Quantity::Two, Quantity::Three, Quantity::Five, Quantity::Many, Quantity::Two];

/// What a sentence asks, if it asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Statement,
    YesNo,
    Who,
    What,
}

struct Sampler<'a> {
    random: &'a mut Random,
}

impl Sampler<'_> {
    fn act_sentence(&mut self) -> Sentence {
        let verb = self.random.pick(Verb::ALL);
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
        let mut act = Act {
            verb,
            modal: None,
            object: None,
            recipient: None,
            company: None,
            place: None,
            goal: None,
        };
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

    /// A noun of the list that is not the subject's.
    fn other(&mut self, nouns: &[Noun], subject: &Np) -> Noun {
        loop {
            let noun = self.random.pick(nouns);
            if !matches!(subject, Np::Noun(p) if p.noun == noun) {
                return noun;
            }
        }
    }

    fn object(&mut self, noun: Noun) -> Np {
        let draw = self.random.below(100);
        let det = match noun.class() {
            NounClass::Kin => Det::My,
            NounClass::Mass => match draw {
                0..66 => Det::Bare,
                66..90 => Det::The,
                _ => Det::This,
            },
            class => match draw {
                0..38 => Det::A,
                38..62 => Det::The,
                62..74 => Det::This,
                74..84 if class != NounClass::Place || is_own_place(noun) => Det::My,
                _ => Det::Count(self.random.pick(QUANTITIES)),
            },
        };
        let plural = det == Det::This && noun.class() != NounClass::Mass && self.random.percent(30);
        self.described(noun, det, plural)
    }

    /// Somebody other than the subject, who is helped, given things or talked to.
    fn person(&mut self, subject: &Np) -> Np {
        loop {
            let person = match self.random.below(100) {
                0..22 => Np::Name(self.random.pick(Name::ALL)),
                22..48 => {
                    let noun = self.random.pick(MINE);
                    self.described(noun, Det::My, false)
                }
                48..84 => {
                    let noun = self.random.pick(PEOPLE);
                    let plural = self.random.percent(20);
                    self.described(noun, Det::The, plural)
                }
                84..90 => {
                    let noun = self.random.pick(PEOPLE);
                    self.described(noun, Det::This, false)
                }
                _ => {
                    let noun = self.random.pick(PEOPLE);
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

    fn described(&mut self, noun: Noun, det: Det, plural: bool) -> Np {
        Np::Noun(self.phrase(noun, det, plural, 28))
    }

    fn phrase(&mut self, noun: Noun, det: Det, plural: bool, share: usize) -> Phrase {
        let fitting = attributes(noun);
        let adjective =
            (!fitting.is_empty() && self.random.percent(share)).then(|| self.random.pick(fitting));
        Phrase { noun, det, plural: plural || matches!(det, Det::Count(_)), adjective }
    }

    fn place(&mut self, verb: Verb) -> Phrase {
        let noun = self.random.pick(places(verb));
        self.place_phrase(noun)
    }

    fn place_phrase(&mut self, noun: Noun) -> Phrase {
        let det = match self.random.below(100) {
            0..14 => Det::This,
            14..24 if is_own_place(noun) => Det::My,
            _ => Det::The,
        };
        self.phrase(noun, det, false, 22)
    }

    fn actor(&mut self, verb: Verb, asked: bool) -> Np {
        let by_animal = matches!(verb, Verb::Sleep | Verb::Eat | Verb::Drink | Verb::Play);
        if by_animal && self.random.percent(12) {
            let animal = self.random.pick(&[Noun::Dog, Noun::Cat]);
            let det = self.random.pick(&[Det::The, Det::The, Det::This, Det::My]);
            return self.described(animal, det, false);
        }
        self.somebody(asked)
    }

    fn somebody(&mut self, asked: bool) -> Np {
        if asked && self.random.percent(40) {
            return Np::Pronoun(Person::You);
        }
        match self.random.below(100) {
            0..30 => Np::Pronoun(self.pronoun(asked)),
            30..45 => Np::Name(self.random.pick(Name::ALL)),
            45..60 => {
                let noun = self.random.pick(MINE);
                self.described(noun, Det::My, false)
            }
            60..82 => {
                let noun = self.random.pick(PEOPLE);
                let plural = self.random.percent(18);
                self.described(noun, Det::The, plural)
            }
            82..91 => {
                let noun = self.random.pick(PEOPLE);
                let plural = self.random.percent(30);
                self.described(noun, Det::This, plural)
            }
            _ => {
                let noun = self.random.pick(PEOPLE);
                let quantity = self.random.pick(QUANTITIES);
                self.described(noun, Det::Count(quantity), true)
            }
        }
    }

    fn pronoun(&mut self, asked: bool) -> Person {
        let all = [Person::I, Person::We, Person::He, Person::She, Person::They];
        // Nobody asks what "I" or "we" do.
        self.random.pick(if asked { &all[2..] } else { &all })
    }

    fn property_sentence(&mut self) -> Sentence {
        let question = self.random.percent(14);
        let (subject, adjective) = match self.random.below(100) {
            0..45 => {
                let subject = self.plain(|s| s.somebody(question));
                let adjective = match &subject {
                    Np::Noun(p) => self.random.pick(properties(p.noun)),
                    _ => self.random.pick(MOODS),
                };
                (subject, adjective)
            }
            draw => {
                let nouns = if draw < 55 { ANIMALS } else { &Noun::ALL[Noun::Book as usize..] };
                let noun = self.random.pick(nouns);
                let det = self.random.pick(&[Det::The, Det::The, Det::This, Det::My]);
                let det = match (det, noun.class()) {
                    (Det::My, NounClass::Mass) => Det::The,
                    (Det::My, NounClass::Place) if !is_own_place(noun) => Det::The,
                    (det, _) => det,
                };
                let subject = Np::Noun(Phrase { noun, det, plural: false, adjective: None });
                (subject, self.random.pick(properties(noun)))
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

    /// The same without an attribute: "the tired man is tired" would say too much.
    fn plain(&mut self, draw: impl FnOnce(&mut Self) -> Np) -> Np {
        match draw(self) {
            Np::Noun(p) => Np::Noun(Phrase { adjective: None, ..p }),
            other => other,
        }
    }

    fn location_sentence(&mut self) -> Sentence {
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
                let thing = self.random.pick(SMALL);
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
            let spot = self.random.pick(spots);
            Predicate::Located(relation, self.place_phrase(spot))
        };
        let time = if predicate == Predicate::Whereabouts && tense == Tense::Present {
            None
        } else {
            time
        };
        simple(question, subject, tense, false, predicate, time)
    }

    fn possession_sentence(&mut self) -> Sentence {
        let question = self.random.percent(16);
        let subject = self.somebody(question);
        let tense = if self.random.percent(72) { Tense::Present } else { Tense::Past };
        let negated = !question && self.random.percent(20);
        let owned = self.possession(!negated && !question);
        simple(question, subject, tense, negated, Predicate::Has(owned), None)
    }

    fn possession(&mut self, may_count: bool) -> Phrase {
        let noun = self.random.pick(POSSESSIONS);
        let counted = may_count && self.random.percent(35);
        let det = if counted { Det::Count(self.random.pick(QUANTITIES)) } else { Det::A };
        self.phrase(noun, det, false, 40)
    }

    /// Somebody whom "he", "she", "I" or "we" can take up again.
    fn protagonist(&mut self) -> Np {
        match self.random.below(100) {
            0..35 => {
                Np::Pronoun(self.random.pick(&[Person::I, Person::He, Person::She, Person::We]))
            }
            35..55 => Np::Name(self.random.pick(Name::ALL)),
            55..75 => {
                let noun = self.random.pick(MINE);
                Np::Noun(Phrase { noun, det: Det::My, plural: false, adjective: None })
            }
            _ => {
                let noun = self.random.pick(ADULTS);
                let det = self.random.pick(&[Det::The, Det::The, Det::This]);
                self.described(noun, det, false)
            }
        }
    }

    fn because_sentence(&mut self) -> Sentence {
        let subject = self.protagonist();
        let present = Tense::Present;
        let (main, subordinate) = match self.random.below(6) {
            // Happy with what one has, found, bought or whom one meets.
            0 => {
                let reason = match self.random.below(3) {
                    0 => clause(Np::Same, present, Predicate::Has(self.possession(true))),
                    1 => {
                        let verb = self.random.pick(&[Verb::Find, Verb::Buy, Verb::Sell]);
                        self.deed(verb, Tense::Past)
                    }
                    _ => self.arrival(&subject),
                };
                (clause(subject, present, Predicate::Is(Adjective::Happy)), reason)
            }
            1 => {
                let verbs = [Verb::Work, Verb::Dance, Verb::Swim, Verb::Study, Verb::Cook];
                let verb = self.random.pick(&verbs);
                let tired = Predicate::Is(Adjective::Tired);
                (clause(subject, present, tired), self.deed(verb, Tense::Past))
            }
            // What one does not do, or cannot.
            2 => {
                let verbs =
                    [Verb::Work, Verb::Swim, Verb::Dance, Verb::Study, Verb::Cook, Verb::Come];
                let verb = self.random.pick(&verbs);
                let mut act = bare(verb);
                let can = verb == Verb::Come || self.random.percent(50);
                act.modal = can.then_some(Modal::Can);
                let mut main = clause(subject, present, Predicate::Act(act));
                main.negated = true;
                let moods = [Adjective::Sick, Adjective::Tired, Adjective::Busy];
                let mood = self.random.pick(&moods);
                (main, clause(Np::Same, present, Predicate::Is(mood)))
            }
            3 => {
                let (verb, mood) = self.random.pick(&[
                    (Verb::Sleep, Adjective::Tired),
                    (Verb::Cry, Adjective::Sick),
                    (Verb::Eat, Adjective::Hungry),
                    (Verb::Sing, Adjective::Happy),
                    (Verb::Dance, Adjective::Happy),
                ]);
                let mut main = self.deed(verb, present);
                main.subject = subject;
                (main, clause(Np::Same, present, Predicate::Is(mood)))
            }
            4 => {
                let loss = self.deed(Verb::Lose, Tense::Past);
                (clause(subject, Tense::Past, Predicate::Act(bare(Verb::Cry))), loss)
            }
            _ => {
                let verbs = [Verb::Prepare, Verb::Write, Verb::Clean, Verb::Repair, Verb::Work];
                let verb = self.random.pick(&verbs);
                let busy = Predicate::Is(Adjective::Busy);
                (clause(subject, present, busy), self.deed(verb, present))
            }
        };
        Sentence { question: false, main, subordinate: Some((Link::Because, subordinate)) }
    }

    fn when_sentence(&mut self) -> Sentence {
        let subject = self.protagonist();
        let (main, subordinate) = match self.random.below(3) {
            0 => {
                let arrival = self.arrival(&subject);
                let mood = self.random.pick(MOODS);
                (clause(subject, Tense::Past, Predicate::Is(mood)), arrival)
            }
            1 => {
                let arrival = self.arrival(&subject);
                let verb = self.random.pick(&[Verb::Open, Verb::Close, Verb::Find, Verb::Prepare]);
                let mut main = self.deed(verb, Tense::Past);
                main.subject = subject;
                (main, arrival)
            }
            _ => {
                let verbs = [Verb::ListenTo, Verb::Drink, Verb::Sing, Verb::Eat, Verb::Read];
                let verb = self.random.pick(&verbs);
                let mut main = self.deed(verb, Tense::Habit);
                main.subject = subject;
                let predicate = if self.random.percent(50) {
                    Predicate::Is(self.random.pick(MOODS))
                } else {
                    Predicate::Act(bare(self.random.pick(&[Verb::Work, Verb::Cook, Verb::Study])))
                };
                (main, clause(Np::Same, Tense::Habit, predicate))
            }
        };
        Sentence { question: false, main, subordinate: Some((Link::When, subordinate)) }
    }

    /// The same subject with a verb and its object.
    fn deed(&mut self, verb: Verb, tense: Tense) -> Clause {
        let mut act = bare(verb);
        if let Frame::Object(things) = verb.frame() {
            let things: Vec<Noun> = things.iter().copied().filter(|n| !n.is_human()).collect();
            let thing = self.random.pick(&things);
            act.object = Some(self.object(thing));
        }
        clause(Np::Same, tense, Predicate::Act(act))
    }

    /// Somebody else came or returned.
    fn arrival(&mut self, subject: &Np) -> Clause {
        let verb = self.random.pick(&[Verb::Come, Verb::Return]);
        let mut act = bare(verb);
        act.goal = self.random.percent(45).then(|| self.place(verb));
        loop {
            let visitor = self.protagonist();
            let fits = match (&visitor, subject) {
                (Np::Pronoun(_), _) => false,
                (Np::Noun(a), Np::Noun(b)) => a.noun != b.noun,
                (a, b) => a != b,
            };
            if fits {
                return clause(visitor, Tense::Past, Predicate::Act(act));
            }
        }
    }
}

/// What dogs and cats eat and drink.
fn animal_food(verb: Verb) -> &'static [Noun] {
    if verb == Verb::Drink { &[Noun::Water, Noun::Milk] } else { &[Noun::Fish, Noun::Bread] }
}

/// Places that people call theirs.
fn is_own_place(noun: Noun) -> bool {
    matches!(noun, Noun::Room | Noun::House | Noun::Office | Noun::Garden | Noun::Kitchen)
}

fn make_definite(act: &mut Act) {
    if let Some(Np::Noun(p)) = &mut act.object
        && p.det == Det::A
    {
        p.det = Det::The;
    }
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
