//! Portuguese words, as in Brazil.

use super::super::super::vocabulary::{Adjective, Name, Noun, Time, Verb};
use super::super::romance::{AdjectiveEntry, Class, Conjugation, NounEntry, forms, listed};

pub fn noun(noun: Noun) -> NounEntry {
    use Noun::*;
    const M: bool = false;
    const F: bool = true;
    let (feminine, singular) = match noun {
        Man => (M, "homem"),
        Woman => (F, "mulher"),
        Boy => (M, "menino"),
        Girl => (F, "menina"),
        Child => (F, "criança"),
        Teacher => (M, "professor"),
        Doctor => (M, "médico"),
        Student => (M, "estudante"),
        Neighbor => (M, "vizinho"),
        Friend => (M, "amigo"),
        Mother => (F, "mãe"),
        Father => (M, "pai"),
        Brother => (M, "irmão"),
        Sister => (F, "irmã"),
        Grandmother => (F, "avó"),
        Dog => (M, "cachorro"),
        Cat => (M, "gato"),
        Horse => (M, "cavalo"),
        Bird => (M, "pássaro"),
        Book => (M, "livro"),
        Letter => (F, "carta"),
        Newspaper => (M, "jornal"),
        Car => (M, "carro"),
        Bicycle => (F, "bicicleta"),
        Phone => (M, "telefone"),
        Computer => (M, "computador"),
        Key => (F, "chave"),
        Flower => (F, "flor"),
        Photo => (F, "foto"),
        Table => (F, "mesa"),
        Chair => (F, "cadeira"),
        Coat => (M, "casaco"),
        Dress => (M, "vestido"),
        Hat => (M, "chapéu"),
        Bag => (F, "bolsa"),
        Ball => (F, "bola"),
        Cup => (F, "xícara"),
        Apple => (F, "maçã"),
        Cake => (M, "bolo"),
        Picture => (M, "quadro"),
        Song => (F, "canção"),
        Film => (M, "filme"),
        Question => (F, "pergunta"),
        Present => (M, "presente"),
        Door => (F, "porta"),
        Window => (F, "janela"),
        Water => (F, "água"),
        Milk => (M, "leite"),
        Coffee => (M, "café"),
        Tea => (M, "chá"),
        Bread => (M, "pão"),
        Soup => (F, "sopa"),
        Cheese => (M, "queijo"),
        Fish => (M, "peixe"),
        Music => (F, "música"),
        School => (F, "escola"),
        Garden => (M, "jardim"),
        City => (F, "cidade"),
        Park => (M, "parque"),
        Village => (F, "aldeia"),
        Market => (M, "mercado"),
        Kitchen => (F, "cozinha"),
        Library => (F, "biblioteca"),
        Museum => (M, "museu"),
        Station => (F, "estação"),
        Office => (M, "escritório"),
        House => (F, "casa"),
        Room => (M, "quarto"),
        Hotel => (M, "hotel"),
        Restaurant => (M, "restaurante"),
    };
    NounEntry { class: Class { feminine, plural: false }, singular, plural: plural(singular) }
}

fn plural(singular: &str) -> String {
    // The endings of the demo's nouns; "irmão" has its own plural.
    for (ending, plural) in
        [("irmão", "irmãos"), ("ão", "ões"), ("em", "ens"), ("im", "ins"), ("al", "ais")]
    {
        if let Some(stem) = singular.strip_suffix(ending) {
            return format!("{stem}{plural}");
        }
    }
    match singular.strip_suffix("el") {
        Some(stem) => format!("{stem}éis"),
        None if singular.ends_with('r') => format!("{singular}es"),
        None => format!("{singular}s"),
    }
}

pub fn verb(verb: Verb) -> Conjugation {
    use Verb::*;
    let infinitive = match verb {
        Read => "ler",
        Write => "escrever",
        Buy => "comprar",
        Sell => "vender",
        See | Watch => "ver",
        Find => "encontrar",
        Lose => "perder",
        SearchFor => "procurar",
        Eat => "comer",
        Drink => "beber",
        Prepare => "preparar",
        Open => "abrir",
        Close => "fechar",
        Love => "amar",
        Know => "conhecer",
        Help => "ajudar",
        Visit => "visitar",
        WaitFor => "esperar",
        Call => "ligar",
        Invite => "convidar",
        Wash => "lavar",
        Clean => "limpar",
        Forget => "esquecer",
        Understand => "entender",
        ListenTo => "escutar",
        Sing => "cantar",
        Repair => "consertar",
        Give => "dar",
        Show => "mostrar",
        Send => "enviar",
        Sleep => "dormir",
        Work => "trabalhar",
        Dance => "dançar",
        Swim => "nadar",
        Play => "brincar",
        Cry => "chorar",
        Cook => "cozinhar",
        Talk => "conversar",
        Study => "estudar",
        Live => "morar",
        Go => "ir",
        Come => "vir",
        Return => "voltar",
    };
    let mut c = regular(infinitive);
    match verb {
        Read => c.present = listed(["leio", "lê", "lê", "lemos", "leem"]),
        See | Watch => {
            c.present = listed(["vejo", "vê", "vê", "vemos", "veem"]);
            c.preterite = listed(["vi", "viu", "viu", "vimos", "viram"]);
        }
        Lose => c.present[0] = "perco".into(),
        Know => c.present[0] = "conheço".into(),
        Forget => c.present[0] = "esqueço".into(),
        Sleep => c.present[0] = "durmo".into(),
        Call => c.preterite[0] = "liguei".into(),
        Dance => c.preterite[0] = "dancei".into(),
        Play => c.preterite[0] = "brinquei".into(),
        Give => {
            c.present = listed(["dou", "dá", "dá", "damos", "dão"]);
            c.preterite = listed(["dei", "deu", "deu", "demos", "deram"]);
        }
        Go => {
            c.present = listed(["vou", "vai", "vai", "vamos", "vão"]);
            c.preterite = listed(["fui", "foi", "foi", "fomos", "foram"]);
        }
        Come => {
            c.present = listed(["venho", "vem", "vem", "vimos", "vêm"]);
            c.preterite = listed(["vim", "veio", "veio", "viemos", "vieram"]);
            c.gerund = "vindo".into();
        }
        _ => {}
    }
    c
}

/// In the order "eu", "você", "ele", "nós", "eles"; "você" has the forms of "ele".
fn regular(infinitive: &'static str) -> Conjugation {
    let (stem, vowel) = infinitive.split_at(infinitive.len() - 2);
    let (present, preterite, imperfect) = match vowel {
        "ar" => (
            ["o", "a", "a", "amos", "am"],
            ["ei", "ou", "ou", "amos", "aram"],
            ["ava", "ava", "ava", "ávamos", "avam"],
        ),
        "er" => (
            ["o", "e", "e", "emos", "em"],
            ["i", "eu", "eu", "emos", "eram"],
            ["ia", "ia", "ia", "íamos", "iam"],
        ),
        _ => (
            ["o", "e", "e", "imos", "em"],
            ["i", "iu", "iu", "imos", "iram"],
            ["ia", "ia", "ia", "íamos", "iam"],
        ),
    };
    Conjugation {
        infinitive,
        gerund: format!("{}ndo", infinitive.trim_end_matches('r')),
        present: forms(stem, present),
        preterite: forms(stem, preterite),
        imperfect: forms(stem, imperfect),
        future: forms(infinitive, ["ei", "á", "á", "emos", "ão"]),
    }
}

pub fn adjective(adjective: Adjective) -> AdjectiveEntry {
    use Adjective::*;
    let regular = AdjectiveEntry::regular;
    match adjective {
        Big => regular("grande", false),
        Small => regular("pequeno", false),
        New => regular("novo", false),
        Old => regular("velho", false),
        Red => regular("vermelho", false),
        White => regular("branco", false),
        Black => regular("preto", false),
        Green => regular("verde", false),
        Beautiful => regular("bonito", false),
        Expensive => regular("caro", false),
        Cheap => regular("barato", false),
        Young => AdjectiveEntry::with_plural("jovem", "jovens", false),
        Kind => AdjectiveEntry::with_plural("amável", "amáveis", false),
        Famous => regular("famoso", false),
        Tired => regular("cansado", true),
        Happy => AdjectiveEntry::with_plural("feliz", "felizes", true),
        Sick => regular("doente", true),
        Busy => regular("ocupado", true),
        Hungry => regular("faminto", true),
        Hot => regular("quente", true),
        Cold => regular("frio", true),
        Fresh => regular("fresco", true),
        Quiet => regular("tranquilo", false),
        Clean => regular("limpo", true),
        Interesting => regular("interessante", false),
        Strong => regular("forte", false),
        Long => regular("longo", false),
    }
}

pub fn name(name: Name) -> &'static str {
    match name {
        Name::Anna => "Anna",
        Name::Maria => "Maria",
        Name::Lena => "Lena",
        Name::Tom => "Tom",
        Name::Max => "Max",
        Name::Martin => "Martin",
    }
}

pub fn time(time: Time) -> &'static str {
    match time {
        Time::Yesterday => "ontem",
        Time::LastWeek => "na semana passada",
        Time::Today => "hoje",
        Time::Now => "agora",
        Time::EveryDay => "todos os dias",
        Time::Often => "com frequência",
        Time::InTheMorning => "de manhã",
        Time::InTheEvening => "à noite",
        Time::Tomorrow => "amanhã",
        Time::NextWeek => "na próxima semana",
    }
}
