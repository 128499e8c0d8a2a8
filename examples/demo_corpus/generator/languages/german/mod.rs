//! German: the finite verb stands second in a statement, first in a question and last in a
//! subordinate clause, with the rest of the verb closing the main clause; articles, adjectives
//! and some nouns change with case, gender and number; "kein" negates indefinite objects.

mod lexicon;

use super::super::meaning::{
    Act, Agreement, Clause, Det, Link, Modal, Np, Person, Phrase, Predicate, Quantity, Relation,
    Sentence, Tense,
};
use super::super::vocabulary::{Adjective, Sex};
use super::{Words, capitalized};
use lexicon::{Gender, Government};

pub fn linearize(sentence: &Sentence) -> String {
    let main = &sentence.main;
    let order = if sentence.question { Order::Question } else { Order::Statement };
    let mut words = clause(main, &main.subject, order);
    if let Some((link, subordinate)) = &sentence.subordinate {
        words.push(",");
        words.push(match (link, subordinate.tense) {
            (Link::Because, _) => "weil",
            // One event of the past; "wenn" for what happens again and again.
            (Link::When, Tense::Past) => "als",
            (Link::When, _) => "wenn",
        });
        words.append(clause(subordinate, &main.subject, Order::Subordinate));
    }
    capitalized(&words.spaced()) + if sentence.question { "?" } else { "." }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Statement,
    Question,
    Subordinate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Nominative,
    Accusative,
    Dative,
}

/// The two halves of the sentence bracket.
struct VerbGroup {
    finite: String,
    /// Particle, participle or infinitive.
    closing: String,
    /// The closing half is a particle, which a final verb takes back: "anruft".
    separable: bool,
}

fn clause(c: &Clause, main_subject: &Np, order: Order) -> Words {
    let group = verb_group(c, c.subject.agreement(main_subject));
    let subject = subject(&c.subject, main_subject);
    let time = c.time.map_or("", lexicon::time);
    let mut words = Words::default();
    let mut middle = Words::default();
    let opening = match &c.predicate {
        Predicate::Whereabouts => Some("wo"),
        Predicate::Act(act) if act.object == Some(Np::What) => Some("was"),
        _ if c.time_first => Some(time),
        _ => None,
    };
    if !c.time_first {
        middle.push(time);
    }
    middle.append(middle_field(c));
    match order {
        Order::Subordinate => {
            words.push(subject);
            words.append(middle);
            if group.separable {
                words.push(group.closing + &group.finite);
            } else {
                words.push(group.closing);
                words.push(group.finite);
            }
        }
        Order::Statement | Order::Question => {
            // Whatever opens the sentence fills the one place before the finite verb; "who" is
            // subject and opening at once.
            let subject_opens = order == Order::Statement || c.subject == Np::Who;
            match opening {
                Some(opening) => {
                    words.push(opening);
                    words.push(group.finite);
                    words.push(subject);
                }
                None if subject_opens => {
                    words.push(subject);
                    words.push(group.finite);
                }
                None => {
                    words.push(group.finite);
                    words.push(subject);
                }
            }
            words.append(middle);
            words.push(group.closing);
        }
    }
    words
}

/// Between the brackets, after the time: definite objects, "nicht", company, place, indefinite
/// objects, prepositional objects and goals.
fn middle_field(c: &Clause) -> Words {
    let mut words = Words::default();
    let not = if c.negated { "nicht" } else { "" };
    match &c.predicate {
        Predicate::Act(act) => return act_field(act, c.negated),
        Predicate::Is(adjective) => {
            words.push(not);
            words.push(lexicon::adjective(*adjective));
        }
        Predicate::Located(relation, place) => {
            words.push(not);
            words.push(location(*relation, place));
        }
        Predicate::Whereabouts => {}
        Predicate::Has(owned) => words.push(phrase(owned, Case::Accusative, c.negated)),
    }
    words
}

fn act_field(act: &Act, negated: bool) -> Words {
    let mut words = Words::default();
    let mut late_object = String::new();
    let mut is_kein = false;
    if let Some(recipient) = &act.recipient {
        words.push(np(recipient, Case::Dative));
    }
    match act.object.as_ref().filter(|o| **o != Np::What) {
        None => {}
        Some(object) => match lexicon::verb(act.verb).government {
            Government::Auf => late_object = format!("auf {}", np(object, Case::Accusative)),
            Government::Dative => words.push(np(object, Case::Dative)),
            Government::Accusative if object.is_definite() => {
                words.push(np(object, Case::Accusative));
            }
            Government::Accusative => {
                if let Np::Noun(p) = object {
                    is_kein = negated && takes_kein(p.det);
                    late_object = phrase(p, Case::Accusative, negated);
                }
            }
        },
    }
    words.push(if negated && !is_kein { "nicht" } else { "" });
    if let Some(company) = &act.company {
        words.push("mit");
        words.push(np(company, Case::Dative));
    }
    if let Some(place) = &act.place {
        words.push(location(Relation::In, place));
    }
    words.push(late_object);
    if let Some(goal) = &act.goal {
        let preposition = lexicon::goal(goal.noun);
        let case = if preposition == "zu" { Case::Dative } else { Case::Accusative };
        words.push(contracted(preposition, &phrase(goal, case, false)));
    }
    words
}

fn location(relation: Relation, place: &Phrase) -> String {
    let preposition = match relation {
        Relation::In => lexicon::location(place.noun),
        Relation::On => "auf",
        Relation::Under => "unter",
    };
    contracted(preposition, &phrase(place, Case::Dative, false))
}

/// "im", "ins", "am", "zum", "zur": preposition and article grow together.
fn contracted(preposition: &str, phrase: &str) -> String {
    let (article, rest) = phrase.split_once(' ').unwrap_or((phrase, ""));
    let short = match (preposition, article) {
        ("in", "dem") => "im",
        ("in", "das") => "ins",
        ("an", "dem") => "am",
        ("zu", "dem") => "zum",
        ("zu", "der") => "zur",
        _ => return format!("{preposition} {phrase}"),
    };
    format!("{short} {rest}")
}

fn verb_group(c: &Clause, agreement: Agreement) -> VerbGroup {
    let past = c.tense == Tense::Past;
    let simple = |finite: &str| VerbGroup {
        finite: finite.into(),
        closing: String::new(),
        separable: false,
    };
    let act = match &c.predicate {
        Predicate::Is(_) | Predicate::Located(..) | Predicate::Whereabouts => {
            return simple(if past { SEIN_PAST } else { SEIN }[agreement as usize]);
        }
        Predicate::Has(_) => {
            return simple(if past { HABEN_PAST } else { HABEN }[agreement as usize]);
        }
        Predicate::Act(act) => act,
    };
    let verb = lexicon::verb(act.verb);
    let closed = |finite: &str, closing: String| VerbGroup {
        finite: finite.into(),
        closing,
        separable: false,
    };
    let infinitive = format!("{}{}", verb.particle, verb.infinitive);
    match (act.modal, c.tense) {
        (Some(Modal::Can), _) => closed(KOENNEN[agreement as usize], infinitive),
        (Some(Modal::Want), _) => closed(WOLLEN[agreement as usize], infinitive),
        (None, Tense::Future) => closed(WERDEN[agreement as usize], infinitive),
        // The perfect is the past of spoken German.
        (None, Tense::Past) => {
            let auxiliary = if verb.with_sein { SEIN } else { HABEN }[agreement as usize];
            closed(auxiliary, verb.participle.into())
        }
        (None, Tense::Present | Tense::Habit) => VerbGroup {
            finite: match agreement {
                Agreement::I => verb.ich,
                Agreement::You => verb.du,
                Agreement::Third => verb.er,
                Agreement::We | Agreement::Thirds => verb.infinitive,
            }
            .into(),
            closing: verb.particle.into(),
            separable: !verb.particle.is_empty(),
        },
    }
}

// ich, du, er, wir, sie.
const SEIN: [&str; 5] = ["bin", "bist", "ist", "sind", "sind"];
const SEIN_PAST: [&str; 5] = ["war", "warst", "war", "waren", "waren"];
const HABEN: [&str; 5] = ["habe", "hast", "hat", "haben", "haben"];
const HABEN_PAST: [&str; 5] = ["hatte", "hattest", "hatte", "hatten", "hatten"];
const WERDEN: [&str; 5] = ["werde", "wirst", "wird", "werden", "werden"];
const KOENNEN: [&str; 5] = ["kann", "kannst", "kann", "können", "können"];
const WOLLEN: [&str; 5] = ["will", "willst", "will", "wollen", "wollen"];

fn subject(subject: &Np, main_subject: &Np) -> String {
    if *subject != Np::Same {
        return np(subject, Case::Nominative);
    }
    // A pronoun follows the grammatical gender: a girl is "es", a dog "er".
    match main_subject {
        Np::Noun(p) if p.plural => "sie",
        Np::Noun(p) => match lexicon::noun(p.noun).gender {
            Gender::Masculine => "er",
            Gender::Feminine => "sie",
            Gender::Neuter => "es",
        },
        Np::Name(name) => match name.sex() {
            Sex::Male => "er",
            Sex::Female => "sie",
        },
        Np::Pronoun(person) => pronoun(*person),
        Np::Same | Np::Who | Np::What => "es",
    }
    .into()
}

fn pronoun(person: Person) -> &'static str {
    match person {
        Person::I => "ich",
        Person::You => "du",
        Person::He => "er",
        Person::She | Person::They => "sie",
        Person::We => "wir",
    }
}

fn np(np: &Np, case: Case) -> String {
    match np {
        // Subjects only: the demo's objects are never pronouns.
        Np::Pronoun(person) => pronoun(*person).into(),
        Np::Name(name) => lexicon::name(*name).into(),
        Np::Noun(p) => phrase(p, case, false),
        Np::Who => "wer".into(),
        Np::What => "was".into(),
        Np::Same => String::new(),
    }
}

/// "kein" stands where "ein" or no article would.
fn takes_kein(det: Det) -> bool {
    matches!(det, Det::A | Det::Bare)
}

fn phrase(p: &Phrase, case: Case, negated: bool) -> String {
    let entry = lexicon::noun(p.noun);
    let class = Class { gender: entry.gender, plural: p.plural };
    let kein = negated && takes_kein(p.det);
    let det = match p.det {
        _ if kein => format!("k{}", ein_word("ein", class, case)),
        Det::The => definite("d", class, case),
        Det::This => definite("dies", class, case),
        Det::A => ein_word("ein", class, case),
        Det::My => ein_word("mein", class, case),
        Det::Bare => String::new(),
        Det::Count(quantity) => match quantity {
            Quantity::Two => "zwei",
            Quantity::Three => "drei",
            Quantity::Five => "fünf",
            Quantity::Many => "viele",
        }
        .into(),
    };
    let inflection = match p.det {
        Det::The | Det::This => Inflection::Weak,
        Det::A | Det::My => Inflection::Mixed,
        Det::Bare if kein => Inflection::Mixed,
        Det::Bare | Det::Count(_) => Inflection::Strong,
    };
    let mut words = Words::default();
    words.push(det);
    if let Some(adjective) = p.adjective {
        words.push(attribute(adjective, inflection, class, case));
    }
    words.push(noun(&entry, p.plural, case));
    words.spaced()
}

fn noun(entry: &lexicon::NounEntry, plural: bool, case: Case) -> String {
    match (plural, case) {
        // The dative plural adds -n, but not to -n or to the -s of loans.
        (true, Case::Dative) if !entry.plural.ends_with(['n', 's']) => format!("{}n", entry.plural),
        (true, _) => entry.plural.into(),
        (false, Case::Nominative) => entry.singular.into(),
        (false, _) => format!("{}{}", entry.singular, entry.oblique),
    }
}

/// What articles and adjectives agree with.
#[derive(Clone, Copy)]
struct Class {
    gender: Gender,
    plural: bool,
}

/// Endings of "dieser", and of adjectives that stand without an article.
fn strong_ending(class: Class, case: Case) -> &'static str {
    match (class.plural, class.gender, case) {
        (true, _, Case::Dative) => "en",
        (true, ..) => "e",
        (false, Gender::Masculine, Case::Nominative) => "er",
        (false, Gender::Masculine, Case::Accusative) => "en",
        (false, Gender::Masculine | Gender::Neuter, Case::Dative) => "em",
        (false, Gender::Neuter, _) => "es",
        (false, Gender::Feminine, Case::Dative) => "er",
        (false, Gender::Feminine, _) => "e",
    }
}

fn definite(stem: &str, class: Class, case: Case) -> String {
    match (stem, strong_ending(class, case)) {
        ("d", "e") => "die".into(),
        ("d", "es") => "das".into(),
        (stem, ending) => format!("{stem}{ending}"),
    }
}

/// "ein", "mein", "kein": without ending where the gender stays open.
fn ein_word(stem: &str, class: Class, case: Case) -> String {
    let bare = !class.plural
        && match class.gender {
            Gender::Masculine => case == Case::Nominative,
            Gender::Neuter => case != Case::Dative,
            Gender::Feminine => false,
        };
    format!("{stem}{}", if bare { "" } else { strong_ending(class, case) })
}

/// How much the article has already said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inflection {
    Weak,
    Mixed,
    Strong,
}

fn attribute(adjective: Adjective, inflection: Inflection, class: Class, case: Case) -> String {
    let stem = match lexicon::adjective(adjective) {
        "teuer" => "teur",
        stem => stem.strip_suffix('e').unwrap_or(stem),
    };
    let distinctive = strong_ending(class, case);
    let direct =
        case == Case::Nominative || (case == Case::Accusative && class.gender != Gender::Masculine);
    let ending = match inflection {
        Inflection::Strong => distinctive,
        _ if class.plural || !direct => "en",
        // "der neue", "die neue", "das neue"
        Inflection::Weak => "e",
        // "ein neuer", "eine neue", "ein neues"
        Inflection::Mixed => distinctive,
    };
    format!("{stem}{ending}")
}
