//! English: subject, verb, object; "do" where nothing else carries negation or question; the
//! progressive for what is going on now.

mod lexicon;

use super::super::meaning::{
    Act, Agreement, Clause, Det, Link, Modal, Np, Person, Phrase, Predicate, Quantity, Relation,
    Sentence, Tense,
};
use super::super::vocabulary::{Course, Sex, Time};
use super::{Words, capitalized};

pub fn linearize(sentence: &Sentence) -> String {
    let main = &sentence.main;
    let mut words = clause(main, &main.subject, sentence.question);
    if let Some((link, subordinate)) = &sentence.subordinate {
        words.push(match link {
            Link::Because => "because",
            Link::When => "when",
        });
        words.append(clause(subordinate, &main.subject, false));
    }
    capitalized(&words.spaced()) + if sentence.question { "?" } else { "." }
}

/// The verb's parts: what moves before the subject in a question, and the rest.
struct VerbGroup {
    finite: &'static str,
    rest: Words,
}

fn clause(c: &Clause, main_subject: &Np, question: bool) -> Words {
    let agreement = c.subject.agreement(main_subject);
    let asks_subject = c.subject == Np::Who;
    // "Who reads?" needs no "do": the question word is the subject.
    let inverted = question && !asks_subject;
    let group = verb_group(c, agreement, inverted || c.negated);
    let mut words = Words::default();
    if c.time_first
        && let Some(time) = c.time
    {
        words.push(lexicon::time(time));
    }
    match &c.predicate {
        Predicate::Whereabouts => words.push("where"),
        Predicate::Act(act) if act.object == Some(Np::What) => words.push("what"),
        _ => {}
    }
    let subject = subject(&c.subject, main_subject);
    // "often" follows the subject, asked or not: habits are told with simple verbs.
    let often = if c.time == Some(Time::Often) { "often" } else { "" };
    let order =
        if inverted { [group.finite, &subject, often] } else { [&subject, often, group.finite] };
    order.into_iter().for_each(|w| words.push(w));
    if c.negated {
        // "cannot" is one word.
        if group.finite == "can" {
            words.0.pop();
            words.push("cannot");
        } else {
            words.push("not");
        }
    }
    words.append(group.rest);
    match &c.predicate {
        Predicate::Act(act) => words.append(arguments(act)),
        Predicate::Is(adjective) => words.push(lexicon::adjective(*adjective)),
        Predicate::Located(relation, place) => {
            words.push(match relation {
                Relation::In => lexicon::location(place.noun),
                Relation::On => "on",
                Relation::Under => "under",
            });
            words.push(phrase(place));
        }
        Predicate::Whereabouts => {}
        Predicate::Has(owned) => words.push(phrase(owned)),
    }
    if let Some(time) = c.time
        && !c.time_first
        && time != Time::Often
    {
        words.push(lexicon::time(time));
    }
    words
}

fn arguments(act: &Act) -> Words {
    let mut words = Words::default();
    if let Some(object) = &act.object
        && *object != Np::What
    {
        words.push(lexicon::verb(act.verb).preposition);
        words.push(np(object));
    } else if act.object.is_some() {
        // "What is she looking for?"
        words.push(lexicon::verb(act.verb).preposition);
    }
    if let Some(recipient) = &act.recipient {
        words.push("to");
        words.push(np(recipient));
    }
    if let Some(company) = &act.company {
        words.push("with");
        words.push(np(company));
    }
    if let Some(place) = &act.place {
        words.push(lexicon::location(place.noun));
        words.push(phrase(place));
    }
    if let Some(goal) = &act.goal {
        words.push("to");
        words.push(phrase(goal));
    }
    words
}

/// `supported`: negated or asked, so that a simple verb needs "do".
fn verb_group(c: &Clause, agreement: Agreement, supported: bool) -> VerbGroup {
    let past = c.tense == Tense::Past;
    let plain = |finite| VerbGroup { finite, rest: Words::default() };
    match &c.predicate {
        Predicate::Is(_) | Predicate::Located(..) | Predicate::Whereabouts => {
            plain(be(agreement, past))
        }
        Predicate::Has(_) if supported => support("have", agreement, past),
        Predicate::Has(_) => plain(match (past, agreement) {
            (true, _) => "had",
            (false, Agreement::Third) => "has",
            (false, _) => "have",
        }),
        Predicate::Act(act) => {
            let verb = lexicon::verb(act.verb);
            match (act.modal, c.tense) {
                (Some(Modal::Can), _) => auxiliary("can", &[verb.base]),
                (Some(Modal::Want), _) if supported => {
                    let mut group = support("want", agreement, past);
                    group.rest.append(["to", verb.base].into_iter().collect());
                    group
                }
                (Some(Modal::Want), _) => {
                    let finite = if agreement == Agreement::Third { "wants" } else { "want" };
                    auxiliary(finite, &["to", verb.base])
                }
                (None, Tense::Future) => auxiliary("will", &[verb.base]),
                (None, Tense::Present) if act.verb.course() != Course::State => {
                    auxiliary(be(agreement, false), &[verb.ing])
                }
                _ if supported => support(verb.base, agreement, past),
                _ => plain(match (past, agreement) {
                    (true, _) => verb.past,
                    (false, Agreement::Third) => verb.third,
                    (false, _) => verb.base,
                }),
            }
        }
    }
}

fn auxiliary(finite: &'static str, rest: &[&'static str]) -> VerbGroup {
    VerbGroup { finite, rest: rest.iter().copied().collect() }
}

fn support(base: &'static str, agreement: Agreement, past: bool) -> VerbGroup {
    let finite = match (past, agreement) {
        (true, _) => "did",
        (false, Agreement::Third) => "does",
        (false, _) => "do",
    };
    VerbGroup { finite, rest: [base].into_iter().collect() }
}

fn be(agreement: Agreement, past: bool) -> &'static str {
    match (past, agreement) {
        (false, Agreement::I) => "am",
        (false, Agreement::Third) => "is",
        (false, _) => "are",
        (true, Agreement::I | Agreement::Third) => "was",
        (true, _) => "were",
    }
}

fn subject(subject: &Np, main_subject: &Np) -> String {
    match subject {
        Np::Pronoun(person) => pronoun(*person).into(),
        // The demo's anaphors follow the sex of people; animals and things are "it".
        Np::Same => match main_subject {
            Np::Pronoun(person) => pronoun(*person).into(),
            Np::Name(name) => of_sex(Some(name.sex())).into(),
            Np::Noun(p) if p.plural => "they".into(),
            Np::Noun(p) => of_sex(p.noun.sex()).into(),
            _ => "it".into(),
        },
        other => np(other),
    }
}

fn of_sex(sex: Option<Sex>) -> &'static str {
    match sex {
        Some(Sex::Male) => "he",
        Some(Sex::Female) => "she",
        None => "it",
    }
}

fn pronoun(person: Person) -> &'static str {
    match person {
        Person::I => "I",
        Person::You => "you",
        Person::He => "he",
        Person::She => "she",
        Person::We => "we",
        Person::They => "they",
    }
}

fn np(np: &Np) -> String {
    match np {
        Np::Pronoun(person) => pronoun(*person).into(),
        Np::Name(name) => lexicon::name(*name).into(),
        Np::Noun(p) => phrase(p),
        Np::Who => "who".into(),
        Np::What => "what".into(),
        Np::Same => "it".into(),
    }
}

fn phrase(p: &Phrase) -> String {
    let entry = lexicon::noun(p.noun);
    let mut words = Words::default();
    let adjective = p.adjective.map_or("", lexicon::adjective);
    let noun = if p.plural { entry.plural } else { entry.singular };
    let next = if adjective.is_empty() { noun } else { adjective };
    words.push(match p.det {
        Det::The => "the",
        // No word of the demo begins with a silent "h" or a consonantal "u".
        Det::A if next.starts_with(['a', 'e', 'i', 'o', 'u']) => "an",
        Det::A => "a",
        Det::Bare => "",
        Det::This if p.plural => "these",
        Det::This => "this",
        Det::My => "my",
        Det::Count(Quantity::Two) => "two",
        Det::Count(Quantity::Three) => "three",
        Det::Count(Quantity::Five) => "five",
        Det::Count(Quantity::Many) => "many",
    });
    words.push(adjective);
    words.push(noun);
    words.spaced()
}
