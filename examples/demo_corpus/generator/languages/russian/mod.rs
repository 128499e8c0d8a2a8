//! Russian: six cases for nouns and adjectives, no articles, no "be" in the present, a past that
//! agrees in gender, verb pairs for aspect, "у ... есть" for "have".

mod lexicon;
mod verbs;

use super::super::meaning::{
    Act, Agreement, Clause, Det, Link, Modal, Np, Person, Phrase, Predicate, Quantity, Relation,
    Sentence, Tense,
};
use super::super::vocabulary::{Adjective, Noun, Sex, Verb};
use super::{Words, capitalized};
use lexicon::{Declension, Gender};

pub fn linearize(sentence: &Sentence) -> String {
    let main = &sentence.main;
    let mut words = clause(main, &main.subject);
    if let Some((link, subordinate)) = &sentence.subordinate {
        words.push(",");
        words.push(match link {
            Link::Because => "потому что",
            Link::When => "когда",
        });
        words.append(clause(subordinate, &main.subject));
    }
    // A question differs from the statement by its melody alone.
    capitalized(&words.spaced()) + if sentence.question { "?" } else { "." }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Nominative,
    Genitive,
    Dative,
    Accusative,
    Instrumental,
    Prepositional,
}

/// What adjectives and past forms agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    gender: Gender,
    plural: bool,
    animate: bool,
}

/// Indexes tables of masculine, feminine, neuter, plural.
fn slot(class: Class) -> usize {
    match class.gender {
        _ if class.plural => 3,
        Gender::Masculine => 0,
        Gender::Feminine => 1,
        Gender::Neuter => 2,
    }
}

const BE_PAST: [&str; 4] = ["был", "была", "было", "были"];

fn clause(c: &Clause, main_subject: &Np) -> Words {
    let time = c.time.map_or("", lexicon::time);
    let (early, late) = if c.time_first { (time, "") } else { ("", time) };
    let mut words = Words::default();
    words.push(early);
    if let Predicate::Has(owned) = &c.predicate {
        words.append(possession(c, owned, main_subject, late));
        return words;
    }
    let class = class(&c.subject, main_subject);
    let agreement = c.subject.agreement(main_subject);
    let subject = subject(&c.subject, main_subject);
    let past = c.tense == Tense::Past;
    let not = if c.negated { "не" } else { "" };
    let be = if past { BE_PAST[slot(class)] } else { "" };
    match &c.predicate {
        // "Где была собака?", but "где ты был?": what is known comes first.
        Predicate::Whereabouts if matches!(c.subject, Np::Pronoun(_)) => {
            words.append(["где", &subject, be].into_iter().collect());
        }
        Predicate::Whereabouts => words.append(["где", be, &subject].into_iter().collect()),
        Predicate::Is(adjective) => {
            words.append([&subject, late, not, be].into_iter().collect());
            words.push(property(*adjective, class, past));
        }
        Predicate::Located(relation, place) => {
            words.append([&subject, late, not, be].into_iter().collect());
            words.push(location(*relation, place, agreement));
        }
        Predicate::Act(act) => {
            if act.object == Some(Np::What) {
                words.push("что");
            }
            words.append([&subject, late, not].into_iter().collect());
            words.append(verb_group(act, c.tense, agreement, class));
            words.append(arguments(act, agreement));
        }
        Predicate::Has(_) => {}
    }
    words
}

/// "У женщины есть собака": what is owned is the subject, so "be" agrees with it, and what is
/// not there stands in the genitive.
fn possession(c: &Clause, owned: &Phrase, main_subject: &Np, time: &str) -> Words {
    let owner = match &c.subject {
        Np::Same => pronoun_genitive(main_subject),
        Np::Pronoun(_) => pronoun_genitive(&c.subject),
        other => np(other, Case::Genitive, false),
    };
    let past = c.tense == Tense::Past;
    let is_counted = matches!(owned.det, Det::Count(_));
    let be = match (c.negated, past) {
        (true, true) => "не было",
        (true, false) => "нет",
        // Counted things take the impersonal neuter.
        (false, true) if is_counted => "было",
        (false, true) => BE_PAST[slot(phrase_class(owned))],
        (false, false) if owned.det == Det::Count(Quantity::Many) => "",
        (false, false) => "есть",
    };
    let case = if c.negated { Case::Genitive } else { Case::Nominative };
    let owned = phrase(owned, case, &Determination { is_subject: false, by_speaker: false });
    ["у", &owner, time, be, &owned].into_iter().collect()
}

/// After prepositions the third person begins with "н".
fn pronoun_genitive(owner: &Np) -> String {
    let class = class(owner, owner);
    match owner {
        Np::Pronoun(Person::I) => "меня",
        Np::Pronoun(Person::You) => "тебя",
        Np::Pronoun(Person::We) => "нас",
        _ => ["него", "неё", "него", "них"][slot(class)],
    }
    .into()
}

fn property(adjective: Adjective, class: Class, past: bool) -> String {
    if let Some(short) = lexicon::short_forms(adjective) {
        return short[slot(class)].into();
    }
    match (adjective, past) {
        // "Is tired" is the past of "get tired".
        (Adjective::Tired, false) => ["устал", "устала", "устало", "устали"][slot(class)].into(),
        (_, false) => attribute(adjective, class, Case::Nominative),
        (_, true) => attribute(adjective, class, Case::Instrumental),
    }
}

fn verb_group(act: &Act, tense: Tense, agreement: Agreement, class: Class) -> Words {
    let entry = verbs::verb(act.verb);
    let person = agreement as usize;
    let whole = entry.perfective.as_ref().unwrap_or(&entry.imperfective);
    match (act.modal, tense) {
        (Some(modal), _) => {
            let finite = match modal {
                Modal::Can => ["могу", "можешь", "может", "можем", "могут"],
                Modal::Want => ["хочу", "хочешь", "хочет", "хотим", "хотят"],
            }[person];
            [finite, whole.infinitive].into_iter().collect()
        }
        (None, Tense::Present) => [entry.imperfective.forms[person].as_str()].into_iter().collect(),
        (None, Tense::Habit) => {
            let going = verbs::going_habitually();
            let aspect = if act.verb == Verb::Go { &going } else { &entry.imperfective };
            [aspect.forms[person].as_str()].into_iter().collect()
        }
        (None, Tense::Past) => [past(whole, class)].into_iter().collect(),
        (None, Tense::Future) if entry.perfective.is_some() => {
            [whole.forms[person].as_str()].into_iter().collect()
        }
        (None, Tense::Future) => {
            let will = ["буду", "будешь", "будет", "будем", "будут"][person];
            [will, whole.infinitive].into_iter().collect()
        }
    }
}

fn past(aspect: &verbs::Aspect, class: Class) -> String {
    let ending = ["", "а", "о", "и"][slot(class)];
    match ending {
        "" => aspect.past.into(),
        _ if aspect.is_reflexive() => format!("{}{ending}сь", aspect.past_stem),
        _ => format!("{}{ending}", aspect.past_stem),
    }
}

fn arguments(act: &Act, subject: Agreement) -> Words {
    let by_speaker = subject == Agreement::I;
    let mut words = Words::default();
    if let Some(recipient) = &act.recipient {
        words.push(np(recipient, Case::Dative, by_speaker));
    }
    if let Some(object) = act.object.as_ref().filter(|o| **o != Np::What) {
        let case = match act.verb {
            Verb::Help | Verb::Call => Case::Dative,
            _ => Case::Accusative,
        };
        words.push(np(object, case, by_speaker));
    }
    if let Some(company) = &act.company {
        let company = np(company, Case::Instrumental, by_speaker);
        words.push(if needs_vowel(&company) { "со" } else { "с" });
        words.push(company);
    }
    if let Some(place) = &act.place {
        words.push(location(Relation::In, place, subject));
    }
    if let Some(goal) = &act.goal {
        words.push(lexicon::location(goal.noun));
        let determination = Determination { is_subject: false, by_speaker };
        words.push(phrase(goal, Case::Accusative, &determination));
    }
    words
}

/// "Со студентом": before с, з, ш, ж and another consonant.
fn needs_vowel(next: &str) -> bool {
    let mut letters = next.chars();
    let first = letters.next().is_some_and(|c| "сзшж".contains(c));
    first && letters.next().is_some_and(|c| !"аеёиоуыэюяь".contains(c))
}

fn location(relation: Relation, place: &Phrase, subject: Agreement) -> String {
    let (preposition, case) = match relation {
        Relation::In => (lexicon::location(place.noun), Case::Prepositional),
        Relation::On => ("на", Case::Prepositional),
        Relation::Under => ("под", Case::Instrumental),
    };
    let by_speaker = subject == Agreement::I;
    let text = phrase(place, case, &Determination { is_subject: false, by_speaker });
    // "В саду": a locative of its own after "в".
    match text.strip_suffix("саде") {
        Some(start) => format!("{preposition} {start}саду"),
        None => format!("{preposition} {text}"),
    }
}

fn subject(subject: &Np, main_subject: &Np) -> String {
    match subject {
        Np::Same => match main_subject {
            Np::Pronoun(person) => pronoun(*person).into(),
            other => ["он", "она", "оно", "они"][slot(class(other, other))].into(),
        },
        Np::Noun(p) => {
            phrase(p, Case::Nominative, &Determination { is_subject: true, by_speaker: false })
        }
        other => np(other, Case::Nominative, false),
    }
}

fn class(subject: &Np, main_subject: &Np) -> Class {
    let person = |gender, plural| Class { gender, plural, animate: true };
    match subject {
        Np::Pronoun(Person::She) => person(Gender::Feminine, false),
        Np::Pronoun(Person::We | Person::They) => person(Gender::Masculine, true),
        Np::Name(name) if name.sex() == Sex::Female => person(Gender::Feminine, false),
        Np::Noun(p) => phrase_class(p),
        Np::Same if *main_subject != Np::Same => class(main_subject, main_subject),
        // "I" and "you" are men in the demo; "кто" is masculine.
        _ => person(Gender::Masculine, false),
    }
}

fn phrase_class(p: &Phrase) -> Class {
    Class {
        gender: lexicon::noun(p.noun).gender,
        plural: p.plural,
        // Fish on the plate is a thing.
        animate: p.noun.is_animate(),
    }
}

fn pronoun(person: Person) -> &'static str {
    match person {
        Person::I => "я",
        Person::You => "ты",
        Person::He => "он",
        Person::She => "она",
        Person::We => "мы",
        Person::They => "они",
    }
}

/// `by_speaker`: the subject of the clause is "I".
fn np(np: &Np, case: Case, by_speaker: bool) -> String {
    match np {
        // Subjects only: the demo's objects are never pronouns.
        Np::Pronoun(person) => pronoun(*person).into(),
        Np::Name(name) => {
            let (nominative, stem, declension) = lexicon::name(*name);
            match singular_ending(declension, stem, case, true) {
                Some(ending) => format!("{stem}{ending}"),
                None => nominative.into(),
            }
        }
        Np::Noun(p) => phrase(p, case, &Determination { is_subject: false, by_speaker }),
        Np::Who => "кто".into(),
        Np::What => "что".into(),
        Np::Same => String::new(),
    }
}

/// What decides between words for "my" and "many".
struct Determination {
    is_subject: bool,
    /// The subject is "I", so that "my" is the reflexive "свой".
    by_speaker: bool,
}

fn phrase(p: &Phrase, case: Case, determination: &Determination) -> String {
    let class = phrase_class(p);
    let mut words = Words::default();
    if let Det::Count(quantity) = p.det
        && !(quantity == Quantity::Many && determination.is_subject)
    {
        return counted(p, quantity, class, case);
    }
    words.push(match p.det {
        Det::The | Det::A | Det::Bare => String::new(),
        Det::This => pronominal("эт", class, case),
        Det::My if determination.by_speaker => pronominal("сво", class, case),
        Det::My => pronominal("мо", class, case),
        Det::Count(_) => format!("мног{}", adjective_ending(class, case, "к", false)),
    });
    if let Some(adjective) = p.adjective {
        words.push(attribute(adjective, class, case));
    }
    words.push(noun(p.noun, p.plural, case));
    words.spaced()
}

/// After a numeral: "две новые книги" (two to four: genitive singular, the adjective in the
/// plural), "пять новых книг" (genitive plural). Only subjects, owners and direct objects are
/// counted.
fn counted(p: &Phrase, quantity: Quantity, class: Class, case: Case) -> String {
    let feminine = class.gender == Gender::Feminine;
    // Two and three borrow the genitive for what lives, as adjectives do.
    let genitive = without_accusative(class, case) == Case::Genitive;
    let numeral = match (quantity, genitive) {
        (Quantity::Two, true) => "двух",
        (Quantity::Three, true) => "трёх",
        (Quantity::Two, false) if feminine => "две",
        (Quantity::Two, false) => "два",
        (Quantity::Three, false) => "три",
        (Quantity::Five, _) if case == Case::Genitive => "пяти",
        (Quantity::Five, _) => "пять",
        (Quantity::Many, _) if case == Case::Genitive => "многих",
        (Quantity::Many, _) => "много",
    };
    let is_small = matches!(quantity, Quantity::Two | Quantity::Three) && !genitive;
    let many = Class { plural: true, ..class };
    let adjective_case = if is_small && feminine { Case::Nominative } else { Case::Genitive };
    let mut words = Words::default();
    words.push(numeral);
    if let Some(adjective) = p.adjective {
        words.push(attribute(adjective, many, adjective_case));
    }
    words.push(noun(p.noun, !is_small, Case::Genitive));
    words.spaced()
}

fn noun(noun: Noun, plural: bool, case: Case) -> String {
    let entry = lexicon::noun(noun);
    if plural {
        return plural_noun(noun, &entry, case);
    }
    match singular_ending(entry.declension, entry.stem, case, noun.is_animate()) {
        Some(ending) => format!("{}{ending}", entry.stem),
        None => entry.nominative.into(),
    }
}

/// `None`: the form of the nominative.
fn singular_ending(
    declension: Declension,
    stem: &str,
    case: Case,
    animate: bool,
) -> Option<&'static str> {
    use Case::*;
    // "Книги", not "книгы": the spelling rule after velars and sibilants.
    let y = if takes_i(stem) { "и" } else { "ы" };
    Some(match (declension, case) {
        (_, Nominative) | (Declension::Fixed, _) => return None,
        (Declension::Hard, Accusative) if animate => "а",
        (Declension::Soft, Accusative) if animate => "я",
        (Declension::Hard | Declension::Soft, Accusative) => return None,
        (Declension::FeminineSoft | Declension::O | Declension::E, Accusative) => return None,
        (Declension::Hard | Declension::O, Genitive) => "а",
        (Declension::Hard | Declension::O, Dative) => "у",
        (Declension::Hard | Declension::O, Instrumental) => "ом",
        (Declension::Hard | Declension::O, Prepositional) => "е",
        (Declension::Soft | Declension::E, Genitive) => "я",
        (Declension::Soft | Declension::E, Dative) => "ю",
        (Declension::Soft | Declension::E, Instrumental) => "ем",
        (Declension::Soft | Declension::E, Prepositional) => "е",
        (Declension::A, Genitive) => y,
        (Declension::A, Accusative) => "у",
        // "Птицей", without stress after ц.
        (Declension::A, Instrumental) if stem.ends_with('ц') => "ей",
        (Declension::A, Instrumental) => "ой",
        (Declension::A | Declension::Ja, Dative | Prepositional) => "е",
        (Declension::Ja, Genitive) => "и",
        (Declension::Ija, Genitive | Dative | Prepositional) => "и",
        (Declension::Ja | Declension::Ija, Accusative) => "ю",
        (Declension::Ja | Declension::Ija, Instrumental) => "ей",
        (Declension::FeminineSoft, Instrumental) => "ью",
        (Declension::FeminineSoft, _) => "и",
    })
}

fn takes_i(stem: &str) -> bool {
    stem.ends_with(['г', 'к', 'х', 'ж', 'ш', 'ч', 'щ'])
}

fn plural_noun(noun: Noun, entry: &lexicon::NounEntry, case: Case) -> String {
    if entry.declension == Declension::Fixed {
        return entry.nominative.into();
    }
    let (nominative, stem, soft) = match entry.plural.irregular {
        Some((nominative, stem, soft)) => (nominative.to_string(), stem, soft),
        None => {
            let (ending, soft) = match entry.declension {
                Declension::Hard | Declension::A => {
                    (if takes_i(entry.stem) { "и" } else { "ы" }, false)
                }
                Declension::O => ("а", false),
                Declension::E => ("я", true),
                _ => ("и", true),
            };
            (format!("{}{ending}", entry.stem), entry.stem, soft)
        }
    };
    let vowel = if soft { "я" } else { "а" };
    match case {
        Case::Accusative if noun.is_animate() => entry.plural.genitive.into(),
        Case::Nominative | Case::Accusative => nominative,
        Case::Genitive => entry.plural.genitive.into(),
        Case::Dative => format!("{stem}{vowel}м"),
        // Two old instrumentals: детьми, лошадьми.
        Case::Instrumental if matches!(noun, Noun::Child | Noun::Horse) => format!("{stem}ьми"),
        Case::Instrumental => format!("{stem}{vowel}ми"),
        Case::Prepositional => format!("{stem}{vowel}х"),
    }
}

fn attribute(adjective: Adjective, class: Class, case: Case) -> String {
    let entry = lexicon::adjective(adjective);
    format!("{}{}", entry.stem, adjective_ending(class, case, entry.stem, entry.stressed))
}

/// Only the feminine singular has an accusative of its own; what lives borrows the genitive, the
/// rest the nominative.
fn without_accusative(class: Class, case: Case) -> Case {
    let own = !class.plural && class.gender == Gender::Feminine;
    let borrows_genitive = class.animate && (class.plural || class.gender == Gender::Masculine);
    match case {
        Case::Accusative if borrows_genitive => Case::Genitive,
        Case::Accusative if !own => Case::Nominative,
        other => other,
    }
}

/// Endings of the hard adjective under the spelling rules: ы gives и after velars and sibilants,
/// an unstressed о gives е after sibilants.
fn adjective_ending(class: Class, case: Case, stem: &str, stressed: bool) -> String {
    use Case::*;
    let i = takes_i(stem);
    let y = if i { "и" } else { "ы" };
    let sibilant = stem.ends_with(['ж', 'ш', 'ч', 'щ']);
    let o = if sibilant && !stressed { "е" } else { "о" };
    match (slot(class), without_accusative(class, case)) {
        (3, Nominative | Accusative) => format!("{y}е"),
        (3, Genitive | Prepositional) => format!("{y}х"),
        (3, Dative) => format!("{y}м"),
        (3, Instrumental) => format!("{y}ми"),
        (1, Nominative) => "ая".into(),
        (1, Accusative) => "ую".into(),
        (1, _) => format!("{o}й"),
        (0, Nominative | Accusative) if stressed => "ой".into(),
        (0, Nominative | Accusative) => format!("{y}й"),
        (_, Nominative | Accusative) => format!("{o}е"),
        (_, Genitive) => format!("{o}го"),
        (_, Dative) => format!("{o}му"),
        (_, Instrumental) => format!("{y}м"),
        (_, Prepositional) => format!("{o}м"),
    }
}

/// "этот", "мой", "свой": pronouns that decline between noun and adjective.
fn pronominal(stem: &str, class: Class, case: Case) -> String {
    use Case::*;
    let is_this = stem == "эт";
    let (this, my) = match (slot(class), without_accusative(class, case)) {
        (0, Nominative | Accusative) => ("от", "й"),
        (1, Nominative) => ("а", "я"),
        (1, Accusative) => ("у", "ю"),
        (1, _) => ("ой", "ей"),
        (3, Nominative | Accusative) => ("и", "и"),
        (3, Genitive | Prepositional) => ("их", "их"),
        (3, Dative) => ("им", "им"),
        (3, Instrumental) => ("ими", "ими"),
        (_, Nominative | Accusative) => ("о", "ё"),
        (_, Genitive) => ("ого", "его"),
        (_, Dative) => ("ому", "ему"),
        (_, Instrumental) => ("им", "им"),
        (_, Prepositional) => ("ом", "ём"),
    };
    format!("{stem}{}", if is_this { this } else { my })
}
