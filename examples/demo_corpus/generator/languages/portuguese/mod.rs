//! Portuguese as in Brazil, on the grammar it shares with Spanish ([`super::romance`]). Its own:
//! "você" with the verb of the third person, prepositions that contract with every article and
//! demonstrative ("no", "nesta", "ao", "à", "debaixo do"), no mark on personal objects.

mod lexicon;

use super::super::meaning::{Det, Np, Person, Sentence};
use super::super::vocabulary::{Noun, Verb};
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
        not: "não",
        who: "quem",
        what: "o que",
        whereabouts: "onde",
        because: "porque",
        when: "quando",
        with: "com",
        inside: "em",
        on: "sobre",
        under: "debaixo de",
        dative_clitics: ["", ""],
        question_opening: "",
        inverts: false,
        hungry: (Auxiliary::Estar, "com fome"),
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
            [["sou", "é", "é", "somos", "são"], ["era", "era", "era", "éramos", "eram"]]
        }
        Auxiliary::Estar => [
            ["estou", "está", "está", "estamos", "estão"],
            ["estava", "estava", "estava", "estávamos", "estavam"],
        ],
        Auxiliary::Have => [
            ["tenho", "tem", "tem", "temos", "têm"],
            ["tinha", "tinha", "tinha", "tínhamos", "tinham"],
        ],
        Auxiliary::Can => [
            ["posso", "pode", "pode", "podemos", "podem"],
            ["podia", "podia", "podia", "podíamos", "podiam"],
        ],
        Auxiliary::Want => [
            ["quero", "quer", "quer", "queremos", "querem"],
            ["queria", "queria", "queria", "queríamos", "queriam"],
        ],
    }
}

/// "Você" shares its verb forms with "ele", so it stays.
fn pronoun(person: Person) -> &'static str {
    match person {
        Person::I | Person::We => "",
        Person::You => "você",
        Person::He => "ele",
        Person::She => "ela",
        Person::They => "eles",
    }
}

fn determiner(det: Det, _: Noun, class: Class) -> &'static str {
    match (det, class.feminine, class.plural) {
        (Det::The, false, false) => "o",
        (Det::The, true, false) => "a",
        (Det::The, false, true) => "os",
        (Det::The, true, true) => "as",
        (Det::A, false, _) => "um",
        (Det::A, true, _) => "uma",
        (Det::Bare, ..) => "",
        (Det::This, false, false) => "este",
        (Det::This, true, false) => "esta",
        (Det::This, false, true) => "estes",
        (Det::This, true, true) => "estas",
        (Det::My, false, false) => "meu",
        (Det::My, true, false) => "minha",
        (Det::My, false, true) => "meus",
        (Det::My, true, true) => "minhas",
        (Det::Count(q), ..) => {
            quantity(q, class, ["dois", "duas"], ["muitos", "muitas"], ["três", "cinco"])
        }
    }
}

fn join(preposition: &str, phrase: &str) -> String {
    let (first, rest) = phrase.split_once(' ').unwrap_or((phrase, ""));
    let is_article = matches!(first, "o" | "a" | "os" | "as");
    let is_this = matches!(first, "este" | "esta" | "estes" | "estas");
    let joined = match preposition {
        "em" if is_article || is_this => format!("n{first}"),
        "debaixo de" if is_article || is_this => format!("debaixo d{first}"),
        "a" if is_article => match first {
            "o" => "ao",
            "a" => "à",
            "os" => "aos",
            _ => "às",
        }
        .into(),
        _ => return format!("{preposition} {phrase}").trim_start().into(),
    };
    format!("{joined} {rest}")
}

/// "Ligar para alguém"; other objects of the demo take no preposition.
fn object_marker(verb: Verb, _: &Np) -> &'static str {
    if verb == Verb::Call { "para" } else { "" }
}
