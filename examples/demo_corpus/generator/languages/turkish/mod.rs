//! Turkish: the verb comes last, suffixes carry case, possession, negation, tense and person,
//! and their vowels follow the word before them ([`harmony`]); a definite object is marked, an
//! indefinite one is not; "because" and "when" clauses are nouns made of verbs and stand before
//! the main verb; the pronouns "I", "you" and "we" are left out.

mod harmony;
mod lexicon;

use super::super::meaning::{
    Act, Clause, Det, Link, Modal, Np, Person, Phrase, Predicate, Quantity, Relation, Sentence,
    Tense,
};
use super::super::vocabulary::Course;
use super::Words;
use harmony::{Stem, high, is_vowel, last_vowel};

pub fn linearize(sentence: &Sentence) -> String {
    let main = &sentence.main;
    // Only yes-no questions take the particle "mi".
    let polar = sentence.question && !sentence.asks_for_part();
    let mut words = Words::default();
    let (opening, rest) = clause(main, polar);
    if let Some((link, subordinate)) = &sentence.subordinate {
        let clause = participle_clause(subordinate, *link, &main.subject);
        // A shared subject opens the whole sentence, a subordinate one its own clause.
        if subordinate.subject == Np::Same {
            words.append(opening);
            words.append(clause);
        } else {
            words.append(clause);
            words.append(opening);
        }
    } else {
        words.append(opening);
    }
    words.append(rest);
    let text = words.spaced();
    // The capital of "i" keeps its dot.
    let text = match text.strip_prefix('i') {
        Some(rest) => format!("İ{rest}"),
        None => super::capitalized(&text),
    };
    text + if sentence.question { "?" } else { "." }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Nominative,
    Accusative,
    Dative,
    Locative,
    Genitive,
    /// "-le": with.
    Comitative,
}

impl Case {
    fn pattern(self) -> &'static str {
        match self {
            Self::Nominative => "",
            Self::Accusative => "(y)I",
            Self::Dative => "(y)A",
            Self::Locative => "DA",
            Self::Genitive => "(n)In",
            Self::Comitative => "(y)lA",
        }
    }
}

/// Verb endings: plural nouns take the singular verb, so only "they" is a third plural.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    I,
    You,
    Third,
    We,
    They,
}

fn ending(subject: &Np, main_subject: &Np) -> Ending {
    match subject {
        Np::Pronoun(Person::I) => Ending::I,
        Np::Pronoun(Person::You) => Ending::You,
        Np::Pronoun(Person::We) => Ending::We,
        Np::Pronoun(Person::They) => Ending::They,
        Np::Same if *main_subject != Np::Same => ending(main_subject, main_subject),
        _ => Ending::Third,
    }
}

/// The opening (subject and fronted time) and the rest, between which a participle clause may
/// stand.
fn clause(c: &Clause, polar: bool) -> (Words, Words) {
    let time = c.time.map_or("", lexicon::time);
    let mut opening = Words::default();
    let mut rest = Words::default();
    if c.time_first {
        opening.push(time);
    } else {
        rest.push(time);
    }
    let who = ending(&c.subject, &c.subject);
    if let Predicate::Has(owned) = &c.predicate {
        opening.push(owner(&c.subject));
        rest.append(possessed(owned, who, c.negated));
        rest.push(existence(c, polar));
        return (opening, rest);
    }
    opening.push(np(&c.subject, Case::Nominative));
    match &c.predicate {
        Predicate::Act(act) => {
            rest.append(arguments(act));
            rest.push(lexicon::verb(act.verb).companion);
            rest.push(finite(act, c, who, polar));
        }
        Predicate::Is(adjective) => {
            rest.push(copula(lexicon::adjective(*adjective), c, who, polar));
        }
        Predicate::Located(relation, place) => {
            rest.push(copula(&location(*relation, place), c, who, polar));
        }
        Predicate::Whereabouts => rest.push(copula("nerede", c, who, polar)),
        Predicate::Has(_) => {}
    }
    (opening, rest)
}

/// "Yorgun olduğu için", "geldiğinde": the verb with -DIK, the person as possessor, then what
/// the clause is for. The subject stays in the nominative.
fn participle_clause(c: &Clause, link: Link, main_subject: &Np) -> Words {
    let who = ending(&c.subject, main_subject);
    let mut words = Words::default();
    let time = c.time.map_or("", lexicon::time);
    let be = Stem::new("ol");
    let stem = match &c.predicate {
        Predicate::Has(owned) => {
            words.push(owner(&c.subject));
            words.push(time);
            words.append(possessed(owned, who, c.negated));
            be
        }
        predicate => {
            words.push(np(&c.subject, Case::Nominative));
            words.push(time);
            match predicate {
                Predicate::Act(act) => {
                    let verb = lexicon::verb(act.verb);
                    words.append(arguments(act));
                    words.push(verb.companion);
                    verb.stem
                }
                Predicate::Is(adjective) => {
                    words.push(lexicon::adjective(*adjective));
                    be
                }
                Predicate::Located(relation, place) => {
                    words.push(location(*relation, place));
                    be
                }
                Predicate::Whereabouts | Predicate::Has(_) => be,
            }
        }
    };
    let stem = if c.negated { stem.with("mA") } else { stem };
    // What is owned is the grammatical subject of "there is".
    let who = if matches!(c.predicate, Predicate::Has(_)) { Ending::Third } else { who };
    let participle = stem.with(match who {
        Ending::I => "DIğIm",
        Ending::You => "DIğIn",
        Ending::Third => "DIğI",
        Ending::We => "DIğImIz",
        Ending::They => "DIklArI",
    });
    match link {
        Link::Because => {
            words.push(participle.text());
            words.push("için");
        }
        Link::When => {
            // After the possessive of the third person "n" comes before the case.
            let third = matches!(who, Ending::Third | Ending::They);
            words.push(participle.with(if third { "nDA" } else { "DA" }).text());
        }
    }
    words
}

/// Company, place, goal and objects, in the order before the verb: what is new comes last.
fn arguments(act: &Act) -> Words {
    let mut words = Words::default();
    if let Some(company) = &act.company {
        words.push(np(company, Case::Comitative));
    }
    if let Some(place) = &act.place {
        words.push(phrase(place, Case::Locative));
    }
    let object = act.object.as_ref().map(|object| {
        let case = match object {
            _ if lexicon::verb(act.verb).dative => Case::Dative,
            object if object.is_definite() => Case::Accusative,
            _ => Case::Nominative,
        };
        np(object, case)
    });
    let recipient = act.recipient.as_ref().map(|r| np(r, Case::Dative));
    let definite = act.object.as_ref().is_some_and(Np::is_definite);
    let pair = if definite { [object, recipient] } else { [recipient, object] };
    pair.into_iter().flatten().for_each(|w| words.push(w));
    if let Some(goal) = &act.goal {
        words.push(phrase(goal, Case::Dative));
    }
    words
}

fn finite(act: &Act, c: &Clause, who: Ending, polar: bool) -> String {
    let stem = lexicon::verb(act.verb).stem;
    let past_state = c.tense == Tense::Past && act.verb.course() == Course::State;
    match (act.modal, c.tense) {
        (Some(Modal::Want), _) => {
            let infinitive = stem.with("mAk");
            let want = Stem::new(if c.negated { "istemiyor" } else { "istiyor" });
            format!("{} {}", infinitive.text(), with_person(&want, who, polar))
        }
        (Some(Modal::Can), _) if c.negated => before_y(&stem)
            .with(match who {
                Ending::I => "(y)AmAm",
                Ending::You => "(y)AmAzsIn",
                Ending::Third => "(y)AmAz",
                Ending::We => "(y)AmAyIz",
                Ending::They => "(y)AmAzlAr",
            })
            .text()
            .into(),
        (Some(Modal::Can), _) => with_person(&before_y(&stem).with("(y)Abilir"), who, polar),
        // A state of the past lasted: "seviyordu".
        (None, Tense::Past) if past_state => {
            let stem = progressive(&stem, c.negated);
            match who {
                Ending::They => past(&stem.with("lAr"), Ending::Third, polar),
                _ => past(&stem, who, polar),
            }
        }
        (None, Tense::Present | Tense::Habit) => {
            with_person(&progressive(&stem, c.negated), who, polar)
        }
        (None, Tense::Past) => past(&if c.negated { stem.with("mA") } else { stem }, who, polar),
        (None, Tense::Future) => {
            let stem = if c.negated { stem.with("mA") } else { before_y(&stem) };
            let base = stem.with("(y)AcAk");
            match who {
                // The k softens before a vowel.
                Ending::I | Ending::We if !polar => {
                    let soft = stem.with("(y)AcAğ");
                    soft.with(if who == Ending::I { "Im" } else { "Iz" }).text().into()
                }
                _ => with_person(&base, who, polar),
            }
        }
    }
}

/// "Yemek" is "yi-" before the buffer y: "yiyecek".
fn before_y(stem: &Stem) -> Stem {
    if stem.text() == "ye" { Stem::new("yi") } else { stem.clone() }
}

/// -Iyor: a final vowel of the stem gives way to it ("bekle": "bekliyor").
fn progressive(stem: &Stem, negated: bool) -> Stem {
    if negated {
        return stem.with("mIyor");
    }
    let text = stem.text();
    match text.strip_suffix(is_vowel) {
        None => stem.with("Iyor"),
        Some(short) => {
            let guide = if short.contains(is_vowel) { short } else { text };
            Stem::new(&format!("{short}{}yor", high(last_vowel(guide))))
        }
    }
}

/// Personal endings of verbs that are nouns by origin; in a question the particle carries them.
fn with_person(base: &Stem, who: Ending, polar: bool) -> String {
    let person = match who {
        Ending::I => "(y)Im",
        Ending::You => "sIn",
        Ending::Third => "",
        Ending::We => "(y)Iz",
        Ending::They => "lAr",
    };
    if !polar {
        return base.with(person).text().into();
    }
    // "Okuyorlar mı", but "okuyor musun".
    let base = if who == Ending::They { base.with("lAr") } else { base.clone() };
    let particle = particle(base.text());
    let particle = if who == Ending::They { particle } else { particle.with(person) };
    format!("{} {}", base.text(), particle.text())
}

fn past(base: &Stem, who: Ending, polar: bool) -> String {
    let word = base.with(match who {
        Ending::I => "DIm",
        Ending::You => "DIn",
        Ending::Third => "DI",
        Ending::We => "DIk",
        Ending::They => "DIlAr",
    });
    if polar {
        format!("{} {}", word.text(), particle(word.text()).text())
    } else {
        word.text().into()
    }
}

/// "mi" after the word it harmonizes with.
fn particle(before: &str) -> Stem {
    Stem::new(&format!("m{}", high(last_vowel(before))))
}

/// A predicate without a verb: "yorgunum", "bahçedeydi", "yorgun değil", "yorgun musun".
fn copula(base: &str, c: &Clause, who: Ending, polar: bool) -> String {
    let is_past = c.tense == Tense::Past;
    let person = match (is_past, who) {
        (false, Ending::I) => "(y)Im",
        (false, Ending::You) => "sIn",
        (false, Ending::We) => "(y)Iz",
        (false, Ending::Third | Ending::They) => "",
        (true, Ending::I) => "(y)DIm",
        (true, Ending::You) => "(y)DIn",
        (true, Ending::We) => "(y)DIk",
        (true, Ending::Third | Ending::They) => "(y)DI",
    };
    if c.negated {
        format!("{base} {}", Stem::new("değil").with(person).text())
    } else if polar {
        format!("{base} {}", particle(base).with(person).text())
    } else {
        Stem::new(base).with(person).text().into()
    }
}

/// "There is", "there is not".
fn existence(c: &Clause, polar: bool) -> String {
    copula(
        if c.negated { "yok" } else { "var" },
        &Clause { negated: false, ..c.clone() },
        Ending::Third,
        polar,
    )
}

/// The possessor stands in the genitive; its ending on the thing makes a pronoun needless but
/// in the third person.
fn owner(subject: &Np) -> String {
    match subject {
        Np::Pronoun(Person::He | Person::She) => "onun".into(),
        Np::Pronoun(Person::They) => "onların".into(),
        Np::Pronoun(_) | Np::Same => String::new(),
        other => np(other, Case::Genitive),
    }
}

fn possessed(p: &Phrase, owner: Ending, negated: bool) -> Words {
    let mut words = Words::default();
    // What is not there needs no "bir".
    let needless = negated && p.det == Det::A && p.adjective.is_none();
    if !needless {
        words.append(determiners(p));
    }
    let stem = lexicon::noun(p.noun);
    words.push(
        stem.with(match owner {
            Ending::I => "(I)m",
            Ending::You => "(I)n",
            Ending::Third | Ending::They => "(s)I",
            Ending::We => "(I)mIz",
        })
        .text(),
    );
    words
}

fn location(relation: Relation, place: &Phrase) -> String {
    match relation {
        Relation::In => phrase(place, Case::Locative),
        Relation::On => format!("{} üstünde", phrase(place, Case::Genitive)),
        Relation::Under => format!("{} altında", phrase(place, Case::Genitive)),
    }
}

fn np(np: &Np, case: Case) -> String {
    match np {
        Np::Pronoun(Person::I | Person::You | Person::We) | Np::Same => String::new(),
        Np::Pronoun(Person::He | Person::She) => "o".into(),
        Np::Pronoun(Person::They) => "onlar".into(),
        Np::Name(name) if case == Case::Nominative => lexicon::name(*name).into(),
        Np::Name(name) => Stem::new(lexicon::name(*name)).with_apostrophe(case.pattern()),
        Np::Noun(p) => phrase(p, case),
        Np::Who => "kim".into(),
        Np::What => "ne".into(),
    }
}

/// Everything before the noun: "bu yeni", "yeni bir", "iki yeni".
fn determiners(p: &Phrase) -> Words {
    let adjective = p.adjective.map_or("", lexicon::adjective);
    let (before, after) = match p.det {
        Det::This => ("bu", ""),
        Det::A => ("", "bir"),
        Det::The | Det::Bare | Det::My => ("", ""),
        Det::Count(Quantity::Two) => ("iki", ""),
        Det::Count(Quantity::Three) => ("üç", ""),
        Det::Count(Quantity::Five) => ("beş", ""),
        Det::Count(Quantity::Many) => ("birçok", ""),
    };
    [before, adjective, after].into_iter().collect()
}

fn phrase(p: &Phrase, case: Case) -> String {
    let mut words = determiners(p);
    let mut stem = lexicon::noun(p.noun);
    // A number has said "more than one" already.
    if p.plural && !matches!(p.det, Det::Count(_)) {
        stem = stem.with("lAr");
    }
    if p.det == Det::My {
        stem = stem.with("(I)m");
    }
    if case != Case::Nominative {
        stem = stem.with(case.pattern());
    }
    words.push(stem.text());
    words.spaced()
}
