//! Japanese: the verb comes last, particles mark what each phrase does, the polite style ends
//! the sentence and the plain one a subordinate clause, which comes first; no articles, no
//! plural of things, counters after numbers, no spaces.

mod lexicon;
mod verbs;

use super::super::meaning::{
    Act, Clause, Det, Link, Modal, Np, Person, Phrase, Predicate, Quantity, Relation, Sentence,
    Tense,
};
use super::super::vocabulary::{Adjective, Course, Frame, Noun, NounClass, Time, Verb};
use lexicon::Form;

pub fn linearize(sentence: &Sentence) -> String {
    let main = &sentence.main;
    let (topic, rest) = main_clause(main);
    let mut text = String::new();
    match &sentence.subordinate {
        None => text = topic + &rest,
        Some((link, subordinate)) => {
            let clause = subordinate_clause(subordinate, *link, &main.subject);
            // A shared subject is the topic of the whole.
            if subordinate.subject == Np::Same {
                text += &topic;
                text += &clause;
            } else {
                text += &clause;
                text += &topic;
            }
            text += &rest;
        }
    }
    text + if sentence.question { "か。" } else { "。" }
}

fn main_clause(c: &Clause) -> (String, String) {
    // A question word cannot be the topic.
    let particle = if c.subject == Np::Who { "が" } else { "は" };
    let subject = np(&c.subject) + particle;
    let time = time(c);
    let (topic, mut rest) =
        if c.time_first { (time + &subject, String::new()) } else { (subject, time) };
    rest += &complements(c);
    rest += &polite(c);
    (topic, rest)
}

/// A comma keeps "昨日" and "本" apart; "よく" leans on the verb.
fn time(c: &Clause) -> String {
    match c.time {
        None => String::new(),
        Some(Time::Often) => lexicon::time(Time::Often).into(),
        Some(time) => format!("{}、", lexicon::time(time)),
    }
}

fn subordinate_clause(c: &Clause, link: Link, main_subject: &Np) -> String {
    let subject = match &c.subject {
        Np::Same => String::new(),
        other => np(other) + "が",
    };
    let owner = if c.subject == Np::Same { main_subject } else { &c.subject };
    let clause = subject + &time(c) + &complements(c);
    let predicate = plain(c, owner);
    let joint = match (link, &predicate.noun_like) {
        (Link::Because, Some(_)) => "なので",
        (Link::Because, None) => "ので",
        (Link::When, Some(particle)) => {
            return format!("{clause}{}{particle}とき、", predicate.text);
        }
        (Link::When, None) => "とき",
    };
    format!("{clause}{}{joint}、", predicate.text)
}

fn complements(c: &Clause) -> String {
    match &c.predicate {
        Predicate::Act(act) => arguments(act),
        Predicate::Is(_) => String::new(),
        Predicate::Located(relation, place) => {
            let side = match relation {
                Relation::In => "",
                Relation::On => "の上",
                Relation::Under => "の下",
            };
            format!("{}{side}に", phrase(place))
        }
        Predicate::Whereabouts => "どこに".into(),
        Predicate::Has(owned) => format!("{}を", phrase(owned)),
    }
}

fn arguments(act: &Act) -> String {
    let mut text = String::new();
    let mut add = |phrase: String, particle: &str| {
        text += &phrase;
        text += particle;
    };
    if let Some(company) = &act.company {
        add(np(company), "と");
    }
    if let Some(place) = &act.place {
        // Living somewhere is being there, not doing something there.
        add(phrase(place), if act.verb == Verb::Live { "に" } else { "で" });
    }
    if let Some(recipient) = &act.recipient {
        add(np(recipient), "に");
    }
    if let Some(object) = &act.object {
        add(np(object), lexicon::verb(act.verb).particle);
    }
    if let Some(goal) = &act.goal {
        add(phrase(goal), "に");
    }
    text
}

/// Endings of a polite verb.
fn masu(stem: &str, past: bool, negated: bool) -> String {
    let ending = match (past, negated) {
        (false, false) => "ます",
        (false, true) => "ません",
        (true, false) => "ました",
        (true, true) => "ませんでした",
    };
    format!("{stem}{ending}")
}

/// Of いる, which ends in ている and stands for what lives.
fn iru(past: bool, negated: bool) -> &'static str {
    match (past, negated) {
        (false, false) => "いる",
        (false, true) => "いない",
        (true, false) => "いた",
        (true, true) => "いなかった",
    }
}

/// 飼う for animals, 持つ for things; both as a state.
fn owning(owned: &Phrase) -> &'static str {
    if owned.noun.class() == NounClass::Animal { "飼って" } else { "持って" }
}

fn is_animate(subject: &Np) -> bool {
    !matches!(subject, Np::Noun(p) if !p.noun.is_animate())
}

/// The verb says a state or something going on, by ている.
fn takes_te_iru(act: &Act, tense: Tense) -> bool {
    act.verb.course() == Course::State
        // 行っている would be "has gone".
        || (tense == Tense::Present && act.verb.frame() != Frame::Motion)
}

fn polite(c: &Clause) -> String {
    let past = c.tense == Tense::Past;
    let act = match &c.predicate {
        Predicate::Is(adjective) => return polite_adjective(*adjective, past, c.negated),
        Predicate::Located(..) | Predicate::Whereabouts => {
            return masu(if is_animate(&c.subject) { "い" } else { "あり" }, past, c.negated);
        }
        Predicate::Has(owned) => return masu(&format!("{}い", owning(owned)), past, c.negated),
        Predicate::Act(act) => act,
    };
    let verb = lexicon::verb(act.verb);
    match act.modal {
        Some(Modal::Can) => {
            masu(&format!("{}ことができ", verbs::dictionary(&verb)), past, c.negated)
        }
        Some(Modal::Want) => {
            let stem = verbs::masu_stem(&verb);
            // One's own wish, or the hearer's, is felt; another's only shows.
            let felt = matches!(c.subject, Np::Pronoun(Person::I | Person::You | Person::We));
            match (felt, c.negated) {
                (true, false) => format!("{stem}たいです"),
                (true, true) => format!("{stem}たくないです"),
                (false, negated) => masu(&format!("{stem}たがってい"), past, negated),
            }
        }
        // Not knowing is 知りません, without ている.
        None if act.verb == Verb::Know && c.negated && !past => {
            masu(&verbs::masu_stem(&verb), false, true)
        }
        None if takes_te_iru(act, c.tense) => {
            masu(&format!("{}い", verbs::te(&verb)), past, c.negated)
        }
        None => masu(&verbs::masu_stem(&verb), past, c.negated),
    }
}

fn polite_adjective(adjective: Adjective, past: bool, negated: bool) -> String {
    let (stem, form) = lexicon::adjective(adjective);
    let ending = match (form, past, negated) {
        (Form::Te, ..) => return masu(&format!("{stem}てい"), past, negated),
        (Form::I, false, false) => "いです",
        (Form::I, false, true) => "くないです",
        (Form::I, true, false) => "かったです",
        (Form::I, true, true) => "くなかったです",
        (_, false, false) => "です",
        (_, false, true) => "ではありません",
        (_, true, false) => "でした",
        (_, true, true) => "ではありませんでした",
    };
    format!("{stem}{ending}")
}

/// A predicate in the plain style.
struct Plain {
    text: String,
    /// A noun or な-adjective in the present, with what joins it to とき.
    noun_like: Option<&'static str>,
}

fn plain(c: &Clause, subject: &Np) -> Plain {
    let past = c.tense == Tense::Past;
    let text = match &c.predicate {
        Predicate::Is(adjective) => return plain_adjective(*adjective, past, c.negated),
        Predicate::Located(..) | Predicate::Whereabouts if is_animate(subject) => {
            iru(past, c.negated).into()
        }
        Predicate::Located(..) | Predicate::Whereabouts => match (past, c.negated) {
            (false, false) => "ある",
            (false, true) => "ない",
            (true, false) => "あった",
            (true, true) => "なかった",
        }
        .into(),
        Predicate::Has(owned) => format!("{}{}", owning(owned), iru(past, c.negated)),
        Predicate::Act(act) => {
            let verb = lexicon::verb(act.verb);
            match (past, c.negated) {
                _ if takes_te_iru(act, c.tense) => {
                    format!("{}{}", verbs::te(&verb), iru(past, c.negated))
                }
                (false, false) => verbs::dictionary(&verb),
                (false, true) => verbs::nai_stem(&verb) + "ない",
                (true, false) => verbs::ta(&verb),
                (true, true) => verbs::nai_stem(&verb) + "なかった",
            }
        }
    };
    Plain { text, noun_like: None }
}

fn plain_adjective(adjective: Adjective, past: bool, negated: bool) -> Plain {
    let (stem, form) = lexicon::adjective(adjective);
    let ending = match (form, past, negated) {
        (Form::Te, ..) => {
            return Plain { text: format!("{stem}て{}", iru(past, negated)), noun_like: None };
        }
        (Form::I, false, false) => "い",
        (Form::I, false, true) => "くない",
        (Form::I, true, false) => "かった",
        (Form::I, true, true) => "くなかった",
        (_, false, false) => {
            let particle = if form == Form::Na { "な" } else { "の" };
            return Plain { text: stem.into(), noun_like: Some(particle) };
        }
        (_, false, true) => "ではない",
        (_, true, false) => "だった",
        (_, true, true) => "ではなかった",
    };
    Plain { text: format!("{stem}{ending}"), noun_like: None }
}

fn np(np: &Np) -> String {
    match np {
        Np::Pronoun(person) => match person {
            Person::I => "私",
            Person::You => "あなた",
            Person::He => "彼",
            Person::She => "彼女",
            Person::We => "私たち",
            Person::They => "彼ら",
        }
        .into(),
        Np::Name(name) => lexicon::name(*name).into(),
        Np::Noun(p) => phrase(p),
        Np::Who => "誰".into(),
        Np::What => "何".into(),
        Np::Same => String::new(),
    }
}

fn phrase(p: &Phrase) -> String {
    let entry = lexicon::noun(p.noun);
    let people = p.noun.is_human();
    let det = match p.det {
        Det::The | Det::A | Det::Bare => String::new(),
        // People show their number themselves.
        Det::This if p.plural && !people => "これらの".into(),
        Det::This => "この".into(),
        Det::My => "私の".into(),
        Det::Count(Quantity::Many) if people => "大勢の".into(),
        Det::Count(Quantity::Many) => "たくさんの".into(),
        Det::Count(Quantity::Two) => format!("二{}の", entry.counter),
        Det::Count(Quantity::Three) => format!("三{}の", entry.counter),
        Det::Count(Quantity::Five) => format!("五{}の", entry.counter),
    };
    let adjective = p.adjective.map_or_else(String::new, attribute);
    let marks_plural = people && p.plural && !matches!(p.det, Det::Count(_));
    // 友達 already ends in the plural's たち.
    let plural = if marks_plural && p.noun != Noun::Friend { "たち" } else { "" };
    format!("{det}{adjective}{}{plural}", entry.text)
}

fn attribute(adjective: Adjective) -> String {
    let (stem, form) = lexicon::adjective(adjective);
    let ending = match form {
        Form::I => "い",
        Form::Na => "な",
        Form::No => "の",
        Form::Te => "た",
    };
    format!("{stem}{ending}")
}
