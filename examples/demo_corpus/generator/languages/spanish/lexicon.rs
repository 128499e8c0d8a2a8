//! Spanish words.

use super::super::super::vocabulary::{Adjective, Name, Noun, Time, Verb};
use super::super::romance::{AdjectiveEntry, Class, Conjugation, NounEntry, forms, listed};

pub fn noun(noun: Noun) -> NounEntry {
    use Noun::*;
    const M: bool = false;
    const F: bool = true;
    let (feminine, singular) = match noun {
        Man => (M, "hombre"),
        Woman => (F, "mujer"),
        Boy => (M, "chico"),
        Girl => (F, "chica"),
        Child => (M, "niño"),
        Teacher => (M, "profesor"),
        Doctor => (M, "médico"),
        Student => (M, "estudiante"),
        Neighbor => (M, "vecino"),
        Friend => (M, "amigo"),
        Mother => (F, "madre"),
        Father => (M, "padre"),
        Brother => (M, "hermano"),
        Sister => (F, "hermana"),
        Grandmother => (F, "abuela"),
        Dog => (M, "perro"),
        Cat => (M, "gato"),
        Horse => (M, "caballo"),
        Bird => (M, "pájaro"),
        Book => (M, "libro"),
        Letter => (F, "carta"),
        Newspaper => (M, "periódico"),
        Car => (M, "coche"),
        Bicycle => (F, "bicicleta"),
        Phone => (M, "teléfono"),
        Computer => (M, "ordenador"),
        Key => (F, "llave"),
        Flower => (F, "flor"),
        Photo => (F, "foto"),
        Table => (F, "mesa"),
        Chair => (F, "silla"),
        Coat => (M, "abrigo"),
        Dress => (M, "vestido"),
        Hat => (M, "sombrero"),
        Bag => (F, "bolsa"),
        Ball => (F, "pelota"),
        Cup => (F, "taza"),
        Apple => (F, "manzana"),
        Cake => (M, "pastel"),
        Picture => (M, "cuadro"),
        Song => (F, "canción"),
        Film => (F, "película"),
        Question => (F, "pregunta"),
        Present => (M, "regalo"),
        Door => (F, "puerta"),
        Window => (F, "ventana"),
        Water => (F, "agua"),
        Milk => (F, "leche"),
        Coffee => (M, "café"),
        Tea => (M, "té"),
        Bread => (M, "pan"),
        Soup => (F, "sopa"),
        Cheese => (M, "queso"),
        Fish => (M, "pescado"),
        Music => (F, "música"),
        School => (F, "escuela"),
        Garden => (M, "jardín"),
        City => (F, "ciudad"),
        Park => (M, "parque"),
        Village => (M, "pueblo"),
        Market => (M, "mercado"),
        Kitchen => (F, "cocina"),
        Library => (F, "biblioteca"),
        Museum => (M, "museo"),
        Station => (F, "estación"),
        Office => (F, "oficina"),
        House => (F, "casa"),
        Room => (F, "habitación"),
        Hotel => (M, "hotel"),
        Restaurant => (M, "restaurante"),
    };
    NounEntry { class: Class { feminine, plural: false }, singular, plural: plural(singular) }
}

/// -s after a vowel, -es after a consonant, where a final stress loses its accent.
fn plural(singular: &str) -> String {
    if let Some(stem) = singular.strip_suffix("ión") {
        format!("{stem}iones")
    } else if let Some(stem) = singular.strip_suffix("ín") {
        format!("{stem}ines")
    } else if singular.ends_with(['a', 'e', 'o', 'é']) {
        format!("{singular}s")
    } else {
        format!("{singular}es")
    }
}

pub fn verb(verb: Verb) -> Conjugation {
    use Verb::*;
    let infinitive = match verb {
        Read => "leer",
        Write => "escribir",
        Buy => "comprar",
        Sell => "vender",
        See | Watch => "ver",
        Find => "encontrar",
        Lose => "perder",
        SearchFor => "buscar",
        Eat => "comer",
        Drink => "beber",
        Prepare => "preparar",
        Open => "abrir",
        Close => "cerrar",
        Love => "amar",
        Know => "conocer",
        Help => "ayudar",
        Visit => "visitar",
        WaitFor => "esperar",
        Call => "llamar",
        Invite => "invitar",
        Wash => "lavar",
        Clean => "limpiar",
        Forget => "olvidar",
        Understand => "entender",
        ListenTo => "escuchar",
        Sing => "cantar",
        Repair => "reparar",
        Give => "dar",
        Show => "mostrar",
        Send => "enviar",
        Sleep => "dormir",
        Work => "trabajar",
        Dance => "bailar",
        Swim => "nadar",
        Play => "jugar",
        Cry => "llorar",
        Cook => "cocinar",
        Talk => "hablar",
        Study => "estudiar",
        Live => "vivir",
        Go => "ir",
        Come => "venir",
        Return => "volver",
    };
    let mut c = regular(infinitive);
    // Stem changes, spelling, and the verbs that follow no rule.
    match verb {
        Read => {
            c.preterite = listed(["leí", "leíste", "leyó", "leímos", "leyeron"]);
            c.gerund = "leyendo".into();
        }
        See | Watch => {
            c.present = listed(["veo", "ves", "ve", "vemos", "ven"]);
            c.preterite = listed(["vi", "viste", "vio", "vimos", "vieron"]);
        }
        Find => c.present = stem_change("encuentr", "encontr", ["o", "as", "a", "amos", "an"]),
        Lose => c.present = stem_change("pierd", "perd", ["o", "es", "e", "emos", "en"]),
        Close => c.present = stem_change("cierr", "cerr", ["o", "as", "a", "amos", "an"]),
        Understand => c.present = stem_change("entiend", "entend", ["o", "es", "e", "emos", "en"]),
        Show => c.present = stem_change("muestr", "mostr", ["o", "as", "a", "amos", "an"]),
        Return => c.present = stem_change("vuelv", "volv", ["o", "es", "e", "emos", "en"]),
        Send => c.present = stem_change("enví", "envi", ["o", "as", "a", "amos", "an"]),
        SearchFor => c.preterite[0] = "busqué".into(),
        Know => c.present[0] = "conozco".into(),
        Sleep => {
            c.present = stem_change("duerm", "dorm", ["o", "es", "e", "imos", "en"]);
            c.preterite = listed(["dormí", "dormiste", "durmió", "dormimos", "durmieron"]);
            c.gerund = "durmiendo".into();
        }
        Play => {
            c.present = stem_change("jueg", "jug", ["o", "as", "a", "amos", "an"]);
            c.preterite[0] = "jugué".into();
        }
        Give => {
            c.present = listed(["doy", "das", "da", "damos", "dan"]);
            c.preterite = listed(["di", "diste", "dio", "dimos", "dieron"]);
        }
        Go => {
            c.present = listed(["voy", "vas", "va", "vamos", "van"]);
            c.preterite = listed(["fui", "fuiste", "fue", "fuimos", "fueron"]);
            c.gerund = "yendo".into();
        }
        Come => {
            c.present = listed(["vengo", "vienes", "viene", "venimos", "vienen"]);
            c.preterite = listed(["vine", "viniste", "vino", "vinimos", "vinieron"]);
            c.gerund = "viniendo".into();
            c.future = forms("vendr", FUTURE);
        }
        _ => {}
    }
    c
}

const FUTURE: [&str; 5] = ["é", "ás", "á", "emos", "án"];

fn regular(infinitive: &'static str) -> Conjugation {
    let (stem, vowel) = infinitive.split_at(infinitive.len() - 2);
    let (gerund, present, preterite, imperfect) = match vowel {
        "ar" => (
            "ando",
            ["o", "as", "a", "amos", "an"],
            ["é", "aste", "ó", "amos", "aron"],
            ["aba", "abas", "aba", "ábamos", "aban"],
        ),
        _ => (
            "iendo",
            if vowel == "er" {
                ["o", "es", "e", "emos", "en"]
            } else {
                ["o", "es", "e", "imos", "en"]
            },
            ["í", "iste", "ió", "imos", "ieron"],
            ["ía", "ías", "ía", "íamos", "ían"],
        ),
    };
    Conjugation {
        infinitive,
        gerund: format!("{stem}{gerund}"),
        present: forms(stem, present),
        preterite: forms(stem, preterite),
        imperfect: forms(stem, imperfect),
        future: forms(infinitive, FUTURE),
    }
}

/// Stressed stem everywhere but in "we".
fn stem_change(stressed: &str, unstressed: &str, endings: [&str; 5]) -> [String; 5] {
    let mut changed = forms(stressed, endings);
    changed[3] = format!("{unstressed}{}", endings[3]);
    changed
}

pub fn adjective(adjective: Adjective) -> AdjectiveEntry {
    use Adjective::*;
    let regular = AdjectiveEntry::regular;
    match adjective {
        Big => regular("grande", false),
        Small => regular("pequeño", false),
        New => regular("nuevo", false),
        Old => regular("viejo", false),
        Red => regular("rojo", false),
        White => regular("blanco", false),
        Black => regular("negro", false),
        Green => regular("verde", false),
        Beautiful => regular("bonito", false),
        Expensive => regular("caro", false),
        Cheap => regular("barato", false),
        Young => AdjectiveEntry::with_plural("joven", "jóvenes", false),
        Kind => regular("amable", false),
        Famous => regular("famoso", false),
        Tired => regular("cansado", true),
        Happy => AdjectiveEntry::with_plural("feliz", "felices", true),
        Sick => regular("enfermo", true),
        Busy => regular("ocupado", true),
        Hungry => regular("hambriento", true),
        Hot => regular("caliente", true),
        Cold => regular("frío", true),
        Fresh => regular("fresco", true),
        Quiet => regular("tranquilo", false),
        Clean => regular("limpio", true),
        Interesting => regular("interesante", false),
        Strong => regular("fuerte", false),
        Long => regular("largo", false),
    }
}

pub fn name(name: Name) -> &'static str {
    match name {
        Name::Anna => "Anna",
        Name::Maria => "María",
        Name::Lena => "Lena",
        Name::Tom => "Tom",
        Name::Max => "Max",
        Name::Martin => "Martín",
    }
}

pub fn time(time: Time) -> &'static str {
    match time {
        Time::Yesterday => "ayer",
        Time::LastWeek => "la semana pasada",
        Time::Today => "hoy",
        Time::Now => "ahora",
        Time::EveryDay => "todos los días",
        Time::Often => "a menudo",
        Time::InTheMorning => "por la mañana",
        Time::InTheEvening => "por la noche",
        Time::Tomorrow => "mañana",
        Time::NextWeek => "la próxima semana",
    }
}
