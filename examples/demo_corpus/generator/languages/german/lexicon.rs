//! German words.

use super::super::super::vocabulary::{Adjective, Name, Noun, Time, Verb};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gender {
    Masculine,
    Feminine,
    Neuter,
}

pub struct NounEntry {
    pub gender: Gender,
    pub singular: &'static str,
    pub plural: &'static str,
    /// Ending of the weak masculines outside the nominative: "den Jungen".
    pub oblique: &'static str,
}

pub fn noun(noun: Noun) -> NounEntry {
    use Gender::{Feminine as F, Masculine as M, Neuter as N};
    use Noun::*;
    let (gender, singular, plural) = match noun {
        Man => (M, "Mann", "Männer"),
        Woman => (F, "Frau", "Frauen"),
        Boy => (M, "Junge", "Jungen"),
        Girl => (N, "Mädchen", "Mädchen"),
        Child => (N, "Kind", "Kinder"),
        Teacher => (M, "Lehrer", "Lehrer"),
        Doctor => (M, "Arzt", "Ärzte"),
        Student => (M, "Student", "Studenten"),
        Neighbor => (M, "Nachbar", "Nachbarn"),
        Friend => (M, "Freund", "Freunde"),
        Mother => (F, "Mutter", "Mütter"),
        Father => (M, "Vater", "Väter"),
        Brother => (M, "Bruder", "Brüder"),
        Sister => (F, "Schwester", "Schwestern"),
        Grandmother => (F, "Großmutter", "Großmütter"),
        Dog => (M, "Hund", "Hunde"),
        Cat => (F, "Katze", "Katzen"),
        Horse => (N, "Pferd", "Pferde"),
        Bird => (M, "Vogel", "Vögel"),
        Book => (N, "Buch", "Bücher"),
        Letter => (M, "Brief", "Briefe"),
        Newspaper => (F, "Zeitung", "Zeitungen"),
        Car => (N, "Auto", "Autos"),
        Bicycle => (N, "Fahrrad", "Fahrräder"),
        Phone => (N, "Telefon", "Telefone"),
        Computer => (M, "Computer", "Computer"),
        Key => (M, "Schlüssel", "Schlüssel"),
        Flower => (F, "Blume", "Blumen"),
        Photo => (N, "Foto", "Fotos"),
        Table => (M, "Tisch", "Tische"),
        Chair => (M, "Stuhl", "Stühle"),
        Coat => (M, "Mantel", "Mäntel"),
        Dress => (N, "Kleid", "Kleider"),
        Hat => (M, "Hut", "Hüte"),
        Bag => (F, "Tasche", "Taschen"),
        Ball => (M, "Ball", "Bälle"),
        Cup => (F, "Tasse", "Tassen"),
        Apple => (M, "Apfel", "Äpfel"),
        Cake => (M, "Kuchen", "Kuchen"),
        Picture => (N, "Bild", "Bilder"),
        Song => (N, "Lied", "Lieder"),
        Film => (M, "Film", "Filme"),
        Question => (F, "Frage", "Fragen"),
        Present => (N, "Geschenk", "Geschenke"),
        Door => (F, "Tür", "Türen"),
        Window => (N, "Fenster", "Fenster"),
        Water => (N, "Wasser", ""),
        Milk => (F, "Milch", ""),
        Coffee => (M, "Kaffee", ""),
        Tea => (M, "Tee", ""),
        Bread => (N, "Brot", ""),
        Soup => (F, "Suppe", ""),
        Cheese => (M, "Käse", ""),
        Fish => (M, "Fisch", ""),
        Music => (F, "Musik", ""),
        School => (F, "Schule", "Schulen"),
        Garden => (M, "Garten", "Gärten"),
        City => (F, "Stadt", "Städte"),
        Park => (M, "Park", "Parks"),
        Village => (N, "Dorf", "Dörfer"),
        Market => (M, "Markt", "Märkte"),
        Kitchen => (F, "Küche", "Küchen"),
        Library => (F, "Bibliothek", "Bibliotheken"),
        Museum => (N, "Museum", "Museen"),
        Station => (M, "Bahnhof", "Bahnhöfe"),
        Office => (N, "Büro", "Büros"),
        House => (N, "Haus", "Häuser"),
        Room => (N, "Zimmer", "Zimmer"),
        Hotel => (N, "Hotel", "Hotels"),
        Restaurant => (N, "Restaurant", "Restaurants"),
    };
    let oblique = match noun {
        Boy | Neighbor => "n",
        Student => "en",
        _ => "",
    };
    NounEntry { gender, singular, plural, oblique }
}

/// Preposition of rest, always with the dative.
pub fn location(noun: Noun) -> &'static str {
    match noun {
        Noun::Market => "auf",
        Noun::Station => "an",
        _ => "in",
    }
}

/// Preposition of a goal: "zu" takes the dative, "in" the accusative.
pub fn goal(noun: Noun) -> &'static str {
    match noun {
        Noun::School | Noun::Market | Noun::Station => "zu",
        _ => "in",
    }
}

/// How the object of a verb is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Government {
    Accusative,
    Dative,
    /// "auf" with the accusative.
    Auf,
}

pub struct VerbEntry {
    /// Separable particle: "rufe ... an", "angerufen", "anrufen".
    pub particle: &'static str,
    /// Without the particle; also the plural of the present.
    pub infinitive: &'static str,
    pub ich: &'static str,
    pub du: &'static str,
    pub er: &'static str,
    /// With the particle.
    pub participle: &'static str,
    /// The perfect is built with "sein" rather than "haben".
    pub with_sein: bool,
    pub government: Government,
}

pub fn verb(verb: Verb) -> VerbEntry {
    use Verb::*;
    let (infinitive, ich, du, er, participle) = match verb {
        Read => ("lesen", "lese", "liest", "liest", "gelesen"),
        Write => ("schreiben", "schreibe", "schreibst", "schreibt", "geschrieben"),
        Buy => ("kaufen", "kaufe", "kaufst", "kauft", "gekauft"),
        Sell => ("verkaufen", "verkaufe", "verkaufst", "verkauft", "verkauft"),
        See => ("sehen", "sehe", "siehst", "sieht", "gesehen"),
        Find => ("finden", "finde", "findest", "findet", "gefunden"),
        Lose => ("verlieren", "verliere", "verlierst", "verliert", "verloren"),
        SearchFor => ("suchen", "suche", "suchst", "sucht", "gesucht"),
        Eat => ("essen", "esse", "isst", "isst", "gegessen"),
        Drink => ("trinken", "trinke", "trinkst", "trinkt", "getrunken"),
        Prepare => ("bereiten", "bereite", "bereitest", "bereitet", "zubereitet"),
        Open => ("öffnen", "öffne", "öffnest", "öffnet", "geöffnet"),
        Close => ("schließen", "schließe", "schließt", "schließt", "geschlossen"),
        Love => ("lieben", "liebe", "liebst", "liebt", "geliebt"),
        Know => ("kennen", "kenne", "kennst", "kennt", "gekannt"),
        Help => ("helfen", "helfe", "hilfst", "hilft", "geholfen"),
        Visit => ("besuchen", "besuche", "besuchst", "besucht", "besucht"),
        WaitFor => ("warten", "warte", "wartest", "wartet", "gewartet"),
        Call => ("rufen", "rufe", "rufst", "ruft", "angerufen"),
        Invite => ("laden", "lade", "lädst", "lädt", "eingeladen"),
        Wash => ("waschen", "wasche", "wäschst", "wäscht", "gewaschen"),
        Clean => ("putzen", "putze", "putzt", "putzt", "geputzt"),
        Forget => ("vergessen", "vergesse", "vergisst", "vergisst", "vergessen"),
        Understand => ("verstehen", "verstehe", "verstehst", "versteht", "verstanden"),
        Watch => ("sehen", "sehe", "siehst", "sieht", "gesehen"),
        ListenTo => ("hören", "höre", "hörst", "hört", "gehört"),
        Sing => ("singen", "singe", "singst", "singt", "gesungen"),
        Repair => ("reparieren", "repariere", "reparierst", "repariert", "repariert"),
        Give => ("geben", "gebe", "gibst", "gibt", "gegeben"),
        Show => ("zeigen", "zeige", "zeigst", "zeigt", "gezeigt"),
        Send => ("schicken", "schicke", "schickst", "schickt", "geschickt"),
        Sleep => ("schlafen", "schlafe", "schläfst", "schläft", "geschlafen"),
        Work => ("arbeiten", "arbeite", "arbeitest", "arbeitet", "gearbeitet"),
        Dance => ("tanzen", "tanze", "tanzt", "tanzt", "getanzt"),
        Swim => ("schwimmen", "schwimme", "schwimmst", "schwimmt", "geschwommen"),
        Play => ("spielen", "spiele", "spielst", "spielt", "gespielt"),
        Cry => ("weinen", "weine", "weinst", "weint", "geweint"),
        Cook => ("kochen", "koche", "kochst", "kocht", "gekocht"),
        Talk => ("sprechen", "spreche", "sprichst", "spricht", "gesprochen"),
        Study => ("lernen", "lerne", "lernst", "lernt", "gelernt"),
        Live => ("wohnen", "wohne", "wohnst", "wohnt", "gewohnt"),
        Go => ("gehen", "gehe", "gehst", "geht", "gegangen"),
        Come => ("kommen", "komme", "kommst", "kommt", "gekommen"),
        Return => ("kehren", "kehre", "kehrst", "kehrt", "zurückgekehrt"),
    };
    let particle = match verb {
        Prepare => "zu",
        Call => "an",
        Invite => "ein",
        Return => "zurück",
        _ => "",
    };
    VerbEntry {
        particle,
        infinitive,
        ich,
        du,
        er,
        participle,
        with_sein: matches!(verb, Swim | Go | Come | Return),
        government: match verb {
            Help => Government::Dative,
            WaitFor => Government::Auf,
            _ => Government::Accusative,
        },
    }
}

/// Stem before endings; as it stands in the predicate, but for "teuer".
pub fn adjective(adjective: Adjective) -> &'static str {
    use Adjective::*;
    match adjective {
        Big => "groß",
        Small => "klein",
        New => "neu",
        Old => "alt",
        Red => "rot",
        White => "weiß",
        Black => "schwarz",
        Green => "grün",
        Beautiful => "schön",
        Expensive => "teuer",
        Cheap => "billig",
        Young => "jung",
        Kind => "freundlich",
        Famous => "berühmt",
        Tired => "müde",
        Happy => "glücklich",
        Sick => "krank",
        Busy => "beschäftigt",
        Hungry => "hungrig",
        Hot => "heiß",
        Cold => "kalt",
        Fresh => "frisch",
        Quiet => "ruhig",
        Clean => "sauber",
        Interesting => "interessant",
        Strong => "stark",
        Long => "lang",
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
        Time::Yesterday => "gestern",
        Time::LastWeek => "letzte Woche",
        Time::Today => "heute",
        Time::Now => "jetzt",
        Time::EveryDay => "jeden Tag",
        Time::Often => "oft",
        Time::InTheMorning => "am Morgen",
        Time::InTheEvening => "am Abend",
        Time::Tomorrow => "morgen",
        Time::NextWeek => "nächste Woche",
    }
}
