//! Sentences of two clauses that make sense together: reasons and occasions.

use super::super::meaning::{Clause, Link, Modal, Np, Predicate, Sentence, Tense};
use super::super::vocabulary::{Adjective, Frame, MOODS, Noun, Verb};
use super::{Sampler, bare, clause};

impl Sampler<'_> {
    pub(super) fn because_sentence(&mut self) -> Sentence {
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

    pub(super) fn when_sentence(&mut self) -> Sentence {
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
            let thing = self.random.pick_skewed(&things);
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
