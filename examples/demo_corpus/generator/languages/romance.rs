//! What Spanish and Portuguese share: articles and adjectives that agree in gender and number,
//! adjectives after the noun, subject pronouns that the verb makes needless, two verbs for "be",
//! a preterite for events beside an imperfect for states, and prepositions that swallow articles.
//! Each language fills in [`Romance`].

use super::super::meaning::{
    Act, Clause, Det, Link, Modal, Np, Person, Phrase, Predicate, Quantity, Relation, Sentence,
    Tense,
};
use super::super::vocabulary::{Adjective, Course, Frame, Name, Noun, Sex, Time, Verb};
use super::{Words, capitalized};

/// One language of the two.
pub struct Romance {
    pub noun: fn(Noun) -> NounEntry,
    pub adjective: fn(Adjective) -> AdjectiveEntry,
    pub verb: fn(Verb) -> Conjugation,
    pub name: fn(Name) -> &'static str,
    pub time: fn(Time) -> &'static str,
    pub pronoun: fn(Person) -> &'static str,
    pub determiner: fn(Det, Noun, Class) -> &'static str,
    pub words: &'static FunctionWords,
    /// Joins a preposition to the phrase after it: "en el", but "no" and "al".
    pub join: fn(&str, &str) -> String,
    /// Preposition of a direct object: Spanish marks persons.
    pub object_marker: fn(Verb, &Np) -> &'static str,
}

pub struct FunctionWords {
    pub not: &'static str,
    pub who: &'static str,
    pub what: &'static str,
    pub whereabouts: &'static str,
    pub because: &'static str,
    pub when: &'static str,
    pub with: &'static str,
    pub inside: &'static str,
    pub on: &'static str,
    pub under: &'static str,
    /// Clitic that announces a recipient, singular and plural; empty where there is none.
    pub dative_clitics: [&'static str; 2],
    /// Opens a question.
    pub question_opening: &'static str,
    /// The verb comes before the subject after every question word ("¿Qué compró la mujer?").
    /// Otherwise only a noun waits until after "where is" ("O que a mulher comprou?").
    pub inverts: bool,
    /// "Is hungry": verb and complement.
    pub hungry: (Auxiliary, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auxiliary {
    Ser,
    Estar,
    Have,
    Can,
    Want,
}

pub struct NounEntry {
    pub class: Class,
    pub singular: &'static str,
    pub plural: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    pub feminine: bool,
    pub plural: bool,
}

/// Masculine and feminine singular, masculine and feminine plural.
pub struct AdjectiveEntry {
    pub forms: [String; 4],
    /// "estar": a passing state; otherwise "ser".
    pub passing: bool,
}

impl AdjectiveEntry {
    /// From the masculine: -o changes, anything else only takes a plural.
    pub fn regular(masculine: &str, passing: bool) -> Self {
        let forms = match masculine.strip_suffix('o') {
            Some(stem) => ["o", "a", "os", "as"].map(|ending| format!("{stem}{ending}")),
            None => {
                let plural = format!("{masculine}s");
                [masculine.into(), masculine.into(), plural.clone(), plural]
            }
        };
        Self { forms, passing }
    }

    pub fn with_plural(singular: &str, plural: &str, passing: bool) -> Self {
        Self { forms: [singular.into(), singular.into(), plural.into(), plural.into()], passing }
    }

    fn form(&self, class: Class) -> &str {
        &self.forms[usize::from(class.feminine) + 2 * usize::from(class.plural)]
    }
}

/// Forms in the order of [`Agreement`].
pub struct Conjugation {
    pub infinitive: &'static str,
    pub gerund: String,
    pub present: [String; 5],
    pub preterite: [String; 5],
    pub imperfect: [String; 5],
    pub future: [String; 5],
}

pub fn forms(stem: &str, endings: [&str; 5]) -> [String; 5] {
    endings.map(|ending| format!("{stem}{ending}"))
}

pub fn listed(forms: [&str; 5]) -> [String; 5] {
    forms.map(String::from)
}

impl Romance {
    /// `auxiliary`: present and imperfect of the verbs that clauses are built around.
    pub fn linearize(
        &self,
        sentence: &Sentence,
        auxiliary: fn(Auxiliary) -> [[&'static str; 5]; 2],
    ) -> String {
        let builder = Builder { grammar: self, auxiliary, main_subject: &sentence.main.subject };
        let mut words = builder.clause(&sentence.main, sentence.question);
        if let Some((link, subordinate)) = &sentence.subordinate {
            words.push(match link {
                Link::Because => self.words.because,
                Link::When => self.words.when,
            });
            words.append(builder.clause(subordinate, false));
        }
        let text = capitalized(&words.spaced());
        if sentence.question {
            format!("{}{text}?", self.words.question_opening)
        } else {
            text + "."
        }
    }
}

struct Builder<'a> {
    grammar: &'a Romance,
    auxiliary: fn(Auxiliary) -> [[&'static str; 5]; 2],
    main_subject: &'a Np,
}

impl Builder<'_> {
    fn clause(&self, c: &Clause, question: bool) -> Words {
        let function = self.grammar.words;
        let time = c.time.map_or("", self.grammar.time);
        let subject = self.subject(&c.subject);
        let mut words = Words::default();
        let mut verb = Words::default();
        verb.push(if c.negated { function.not } else { "" });
        let (finite, rest) = self.verb_group(c);
        verb.push(finite);
        verb.append(rest);
        if c.time_first {
            words.push(time);
        }
        let asks_what = matches!(&c.predicate,
            Predicate::Act(act) if act.object == Some(Np::What));
        let asks_where = c.predicate == Predicate::Whereabouts;
        words.push(match question {
            true if asks_where => function.whereabouts,
            true if asks_what => function.what,
            _ => "",
        });
        let is_pronoun = matches!(c.subject, Np::Pronoun(_));
        if (function.inverts && asks_what) || (asks_where && (function.inverts || !is_pronoun)) {
            words.append(verb);
            words.push(subject);
        } else {
            words.push(subject);
            words.append(verb);
        }
        words.append(self.complements(c));
        if !c.time_first {
            words.push(time);
        }
        words
    }

    fn complements(&self, c: &Clause) -> Words {
        let function = self.grammar.words;
        let mut words = Words::default();
        match &c.predicate {
            Predicate::Is(Adjective::Hungry) => words.push(function.hungry.1),
            Predicate::Is(adjective) => {
                let class = self.class(&c.subject);
                words.push((self.grammar.adjective)(*adjective).form(class));
            }
            Predicate::Located(relation, place) => {
                let preposition = match relation {
                    Relation::In => function.inside,
                    Relation::On => function.on,
                    Relation::Under => function.under,
                };
                words.push((self.grammar.join)(preposition, &self.phrase(place)));
            }
            Predicate::Whereabouts => {}
            // "No tiene coche": what is not owned needs no article.
            Predicate::Has(p) if c.negated && p.det == Det::A && p.adjective.is_none() => {
                words.push((self.grammar.noun)(p.noun).singular);
            }
            Predicate::Has(owned) => words.push(self.phrase(owned)),
            Predicate::Act(act) => words.append(self.arguments(act)),
        }
        words
    }

    fn arguments(&self, act: &Act) -> Words {
        let function = self.grammar.words;
        let join = self.grammar.join;
        let mut words = Words::default();
        if let Some(object) = act.object.as_ref().filter(|o| **o != Np::What) {
            let marker = (self.grammar.object_marker)(act.verb, object);
            words.push(join(marker, &self.np(object)));
        }
        if let Some(recipient) = &act.recipient {
            words.push(join("a", &self.np(recipient)));
        }
        if let Some(company) = &act.company {
            words.push(join(function.with, &self.np(company)));
        }
        if let Some(place) = &act.place {
            words.push(join(function.inside, &self.phrase(place)));
        }
        if let Some(goal) = &act.goal {
            words.push(join("a", &self.phrase(goal)));
        }
        words
    }

    /// The finite verb with its clitic, and what follows it: gerund or infinitive.
    fn verb_group(&self, c: &Clause) -> (String, Words) {
        let agreement = c.subject.agreement(self.main_subject);
        let index = agreement as usize;
        let past = c.tense == Tense::Past;
        let auxiliary = |which| (self.auxiliary)(which)[usize::from(past)][index].to_string();
        let act = match &c.predicate {
            Predicate::Is(Adjective::Hungry) => {
                return (auxiliary(self.grammar.words.hungry.0), Words::default());
            }
            Predicate::Is(adjective) => {
                let passing = (self.grammar.adjective)(*adjective).passing;
                let which = if passing { Auxiliary::Estar } else { Auxiliary::Ser };
                return (auxiliary(which), Words::default());
            }
            Predicate::Located(..) | Predicate::Whereabouts => {
                return (auxiliary(Auxiliary::Estar), Words::default());
            }
            Predicate::Has(_) => return (auxiliary(Auxiliary::Have), Words::default()),
            Predicate::Act(act) => act,
        };
        let verb = (self.grammar.verb)(act.verb);
        let is_state = act.verb.course() == Course::State;
        // Motion is told in the simple present: "va a la escuela".
        let progressive =
            c.tense == Tense::Present && !is_state && act.verb.frame() != Frame::Motion;
        let (finite, rest) = match (act.modal, c.tense) {
            (Some(modal), _) => {
                let which = if modal == Modal::Can { Auxiliary::Can } else { Auxiliary::Want };
                (auxiliary(which), verb.infinitive.to_string())
            }
            (None, Tense::Present) if progressive => (auxiliary(Auxiliary::Estar), verb.gerund),
            (None, Tense::Present | Tense::Habit) => (verb.present[index].clone(), String::new()),
            (None, Tense::Past) if is_state => (verb.imperfect[index].clone(), String::new()),
            (None, Tense::Past) => (verb.preterite[index].clone(), String::new()),
            (None, Tense::Future) => (verb.future[index].clone(), String::new()),
        };
        let clitic = match &act.recipient {
            Some(Np::Noun(p)) if p.plural => self.grammar.words.dative_clitics[1],
            Some(_) => self.grammar.words.dative_clitics[0],
            None => "",
        };
        let mut group = Words::default();
        group.push(clitic);
        group.push(finite);
        (group.spaced(), [rest].into_iter().collect())
    }

    fn subject(&self, subject: &Np) -> String {
        match subject {
            Np::Same => String::new(),
            other => self.np(other),
        }
    }

    fn np(&self, np: &Np) -> String {
        match np {
            Np::Pronoun(person) => (self.grammar.pronoun)(*person).into(),
            Np::Name(name) => (self.grammar.name)(*name).into(),
            Np::Noun(p) => self.phrase(p),
            Np::Who => self.grammar.words.who.into(),
            Np::What => self.grammar.words.what.into(),
            Np::Same => String::new(),
        }
    }

    fn phrase(&self, p: &Phrase) -> String {
        let entry = (self.grammar.noun)(p.noun);
        let class = Class { plural: p.plural, ..entry.class };
        let mut words = Words::default();
        words.push((self.grammar.determiner)(p.det, p.noun, class));
        words.push(if p.plural { entry.plural.as_str() } else { entry.singular });
        if let Some(adjective) = p.adjective {
            words.push((self.grammar.adjective)(adjective).form(class));
        }
        words.spaced()
    }

    /// What a predicate adjective agrees with; "I" and "you" are men in the demo.
    fn class(&self, subject: &Np) -> Class {
        let singular = |feminine| Class { feminine, plural: false };
        match subject {
            Np::Pronoun(Person::She) => singular(true),
            Np::Pronoun(Person::We | Person::They) => Class { feminine: false, plural: true },
            Np::Name(name) => singular(name.sex() == Sex::Female),
            Np::Noun(p) => Class { plural: p.plural, ..(self.grammar.noun)(p.noun).class },
            Np::Same if *self.main_subject != Np::Same => self.class(self.main_subject),
            _ => singular(false),
        }
    }
}

/// Numerals that both languages leave unchanged or change for gender.
pub fn quantity(
    quantity: Quantity,
    class: Class,
    two: [&'static str; 2],
    many: [&'static str; 2],
    numerals: [&'static str; 2],
) -> &'static str {
    let gender = usize::from(class.feminine);
    match quantity {
        Quantity::Two => two[gender],
        Quantity::Three => numerals[0],
        Quantity::Five => numerals[1],
        Quantity::Many => many[gender],
    }
}
