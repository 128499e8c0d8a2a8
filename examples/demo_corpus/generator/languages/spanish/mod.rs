//! Spanish, on the grammar it shares with Portuguese ([`super::romance`]). Its own: "a" before
//! a person as object, a clitic that announces the recipient ("le da un libro al niño"), only
//! two contractions ("al", "del"), the verb before the subject after "qué".

mod lexicon;

use super::super::meaning::{Det, Np, Person, Sentence};
use super::super::vocabulary::{Noun, NounClass, Verb};
use super::romance::{Auxiliary, Class, FunctionWords, Romance, quantity};

static GRAMMAR: Romance = Romance {
    noun: lexicon::noun,
    adjective: lexicon::adjective,
    verb: lexicon::verb,
    name: lexicon::name,
    time: lexicon::time,
    pronoun,
    determiner,
    words: &FunctionWords {
        not: "no",
        who: "quién",
        what: "qué",
        whereabouts: "dónde",
        because: "porque",
        when: "cuando",
        with: "con",
        inside: "en",
        on: "sobre",
        under: "debajo de",
        dative_clitics: ["le", "les"],
        question_opening: "¿",
        inverts: true,
        hungry: (Auxiliary::Have, "hambre"),
    },
    join,
    object_marker,
};

pub fn linearize(sentence: &Sentence) -> String {
    GRAMMAR.linearize(sentence, auxiliary)
}

/// Present and imperfect.
fn auxiliary(which: Auxiliary) -> [[&'static str; 5]; 2] {
    match which {
        Auxiliary::Ser => {
            [["soy", "eres", "es", "somos", "son"], ["era", "eras", "era", "éramos", "eran"]]
        }
        Auxiliary::Estar => [
            ["estoy", "estás", "está", "estamos", "están"],
            ["estaba", "estabas", "estaba", "estábamos", "estaban"],
        ],
        Auxiliary::Have => [
            ["tengo", "tienes", "tiene", "tenemos", "tienen"],
            ["tenía", "tenías", "tenía", "teníamos", "tenían"],
        ],
        Auxiliary::Can => [
            ["puedo", "puedes", "puede", "podemos", "pueden"],
            ["podía", "podías", "podía", "podíamos", "podían"],
        ],
        Auxiliary::Want => [
            ["quiero", "quieres", "quiere", "queremos", "quieren"],
            ["quería", "querías", "quería", "queríamos", "querían"],
        ],
    }
}

/// The verb's ending says "I", "you" and "we".
fn pronoun(person: Person) -> &'static str {
    match person {
        Person::I | Person::You | Person::We => "",
        Person::He => "él",
        Person::She => "ella",
        Person::They => "ellos",
    }
}

fn determiner(det: Det, noun: Noun, class: Class) -> &'static str {
    match (det, class.feminine, class.plural) {
        // "el agua": before a stressed "a" the article is "el", the gender stays feminine.
        (Det::The, true, false) if noun == Noun::Water => "el",
        (Det::The, false, false) => "el",
        (Det::The, true, false) => "la",
        (Det::The, false, true) => "los",
        (Det::The, true, true) => "las",
        (Det::A, false, _) => "un",
        (Det::A, true, _) => "una",
        (Det::Bare, ..) => "",
        (Det::This, false, false) => "este",
        (Det::This, true, false) => "esta",
        (Det::This, false, true) => "estos",
        (Det::This, true, true) => "estas",
        (Det::My, _, false) => "mi",
        (Det::My, _, true) => "mis",
        (Det::Count(q), ..) => {
            quantity(q, class, ["dos", "dos"], ["muchos", "muchas"], ["tres", "cinco"])
        }
    }
}

fn join(preposition: &str, phrase: &str) -> String {
    match phrase.strip_prefix("el ") {
        Some(rest) if preposition == "a" => format!("al {rest}"),
        Some(rest) if preposition == "debajo de" => format!("debajo del {rest}"),
        _ => format!("{preposition} {phrase}").trim_start().into(),
    }
}

/// Persons as direct objects take "a"; so do animals that are loved.
fn object_marker(verb: Verb, object: &Np) -> &'static str {
    match object {
        Np::Name(_) => "a",
        Np::Noun(p) if p.noun.is_human() => "a",
        Np::Noun(p) if verb == Verb::Love && p.noun.class() == NounClass::Animal => "a",
        _ => "",
    }
}
