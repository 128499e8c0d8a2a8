//! Russian words other than verbs.

use super::super::super::vocabulary::{Adjective, Name, Noun, Time};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gender {
    Masculine,
    Feminine,
    Neuter,
}

/// Declension types, by the ending of the nominative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declension {
    /// Consonant: стол.
    Hard,
    /// Masculine -ь: учитель; -й: музей.
    Soft,
    /// -а: книга.
    A,
    /// -я: песня.
    Ja,
    /// -ия: фотография.
    Ija,
    /// Feminine -ь: дверь.
    FeminineSoft,
    /// -о: окно.
    O,
    /// -е: платье.
    E,
    /// Never changes: пальто.
    Fixed,
}

pub struct NounEntry {
    pub nominative: &'static str,
    /// Before the endings of the singular; shows the fleeting vowel: отец, отц-.
    pub stem: &'static str,
    pub declension: Declension,
    pub gender: Gender,
    pub plural: PluralEntry,
}

pub struct PluralEntry {
    pub genitive: &'static str,
    /// Nominative, stem, and whether the endings are soft, where they do not follow from the
    /// singular.
    pub irregular: Option<(&'static str, &'static str, bool)>,
}

pub fn noun(noun: Noun) -> NounEntry {
    use Declension::*;
    use Noun::*;
    let (nominative, stem, declension, genitive_plural) = match noun {
        Man => ("мужчина", "мужчин", A, "мужчин"),
        Woman => ("женщина", "женщин", A, "женщин"),
        Boy => ("мальчик", "мальчик", Hard, "мальчиков"),
        Girl => ("девочка", "девочк", A, "девочек"),
        Child => ("ребёнок", "ребёнк", Hard, "детей"),
        Teacher => ("учитель", "учител", Soft, "учителей"),
        Doctor => ("врач", "врач", Hard, "врачей"),
        Student => ("студент", "студент", Hard, "студентов"),
        Neighbor => ("сосед", "сосед", Hard, "соседей"),
        Friend => ("друг", "друг", Hard, "друзей"),
        Mother => ("мать", "матер", FeminineSoft, "матерей"),
        Father => ("отец", "отц", Hard, "отцов"),
        Brother => ("брат", "брат", Hard, "братьев"),
        Sister => ("сестра", "сестр", A, "сестёр"),
        Grandmother => ("бабушка", "бабушк", A, "бабушек"),
        Dog => ("собака", "собак", A, "собак"),
        Cat => ("кошка", "кошк", A, "кошек"),
        Horse => ("лошадь", "лошад", FeminineSoft, "лошадей"),
        Bird => ("птица", "птиц", A, "птиц"),
        Book => ("книга", "книг", A, "книг"),
        Letter => ("письмо", "письм", O, "писем"),
        Newspaper => ("газета", "газет", A, "газет"),
        Car => ("машина", "машин", A, "машин"),
        Bicycle => ("велосипед", "велосипед", Hard, "велосипедов"),
        Phone => ("телефон", "телефон", Hard, "телефонов"),
        Computer => ("компьютер", "компьютер", Hard, "компьютеров"),
        Key => ("ключ", "ключ", Hard, "ключей"),
        Flower => ("цветок", "цветк", Hard, "цветов"),
        Photo => ("фотография", "фотографи", Ija, "фотографий"),
        Table => ("стол", "стол", Hard, "столов"),
        Chair => ("стул", "стул", Hard, "стульев"),
        Coat => ("пальто", "пальто", Fixed, "пальто"),
        Dress => ("платье", "плать", E, "платьев"),
        Hat => ("шляпа", "шляп", A, "шляп"),
        Bag => ("сумка", "сумк", A, "сумок"),
        Ball => ("мяч", "мяч", Hard, "мячей"),
        Cup => ("чашка", "чашк", A, "чашек"),
        Apple => ("яблоко", "яблок", O, "яблок"),
        Cake => ("торт", "торт", Hard, "тортов"),
        Picture => ("картина", "картин", A, "картин"),
        Song => ("песня", "песн", Ja, "песен"),
        Film => ("фильм", "фильм", Hard, "фильмов"),
        Question => ("вопрос", "вопрос", Hard, "вопросов"),
        Present => ("подарок", "подарк", Hard, "подарков"),
        Door => ("дверь", "двер", FeminineSoft, "дверей"),
        Window => ("окно", "окн", O, "окон"),
        Water => ("вода", "вод", A, ""),
        Milk => ("молоко", "молок", O, ""),
        Coffee => ("кофе", "кофе", Fixed, ""),
        Tea => ("чай", "ча", Soft, ""),
        Bread => ("хлеб", "хлеб", Hard, ""),
        Soup => ("суп", "суп", Hard, ""),
        Cheese => ("сыр", "сыр", Hard, ""),
        Fish => ("рыба", "рыб", A, ""),
        Music => ("музыка", "музык", A, ""),
        School => ("школа", "школ", A, "школ"),
        Garden => ("сад", "сад", Hard, "садов"),
        City => ("город", "город", Hard, "городов"),
        Park => ("парк", "парк", Hard, "парков"),
        Village => ("деревня", "деревн", Ja, "деревень"),
        Market => ("рынок", "рынк", Hard, "рынков"),
        Kitchen => ("кухня", "кухн", Ja, "кухонь"),
        Library => ("библиотека", "библиотек", A, "библиотек"),
        Museum => ("музей", "музе", Soft, "музеев"),
        Station => ("вокзал", "вокзал", Hard, "вокзалов"),
        Office => ("офис", "офис", Hard, "офисов"),
        House => ("дом", "дом", Hard, "домов"),
        Room => ("комната", "комнат", A, "комнат"),
        Hotel => ("гостиница", "гостиниц", A, "гостиниц"),
        Restaurant => ("ресторан", "ресторан", Hard, "ресторанов"),
    };
    let irregular = match noun {
        Child => Some(("дети", "дет", true)),
        Teacher => Some(("учителя", "учител", true)),
        Neighbor => Some(("соседи", "сосед", true)),
        Friend => Some(("друзья", "друзь", true)),
        Flower => Some(("цветы", "цвет", false)),
        Chair => Some(("стулья", "стуль", true)),
        Apple => Some(("яблоки", "яблок", false)),
        City => Some(("города", "город", false)),
        House => Some(("дома", "дом", false)),
        _ => None,
    };
    let gender = match (noun, declension) {
        // A man is masculine whatever his ending.
        (Man | Coffee, _) | (_, Hard | Soft) => Gender::Masculine,
        (_, A | Ja | Ija | FeminineSoft) => Gender::Feminine,
        (_, O | E | Fixed) => Gender::Neuter,
    };
    let plural = PluralEntry { genitive: genitive_plural, irregular };
    NounEntry { nominative, stem, declension, gender, plural }
}

/// "на" with what was once open ground, "в" with the rest; both for rest and for motion.
pub fn location(noun: Noun) -> &'static str {
    match noun {
        Noun::Market | Noun::Kitchen | Noun::Station => "на",
        _ => "в",
    }
}

pub fn name(name: Name) -> (&'static str, &'static str, Declension) {
    match name {
        Name::Anna => ("Анна", "Анн", Declension::A),
        Name::Maria => ("Мария", "Мари", Declension::Ija),
        Name::Lena => ("Лена", "Лен", Declension::A),
        Name::Tom => ("Том", "Том", Declension::Hard),
        Name::Max => ("Макс", "Макс", Declension::Hard),
        Name::Martin => ("Мартин", "Мартин", Declension::Hard),
    }
}

pub struct AdjectiveEntry {
    pub stem: &'static str,
    /// Stressed endings: молодой.
    pub stressed: bool,
}

pub fn adjective(adjective: Adjective) -> AdjectiveEntry {
    use Adjective::*;
    let (stem, stressed) = match adjective {
        Big => ("больш", true),
        Small => ("маленьк", false),
        New => ("нов", false),
        Old => ("стар", false),
        Red => ("красн", false),
        White => ("бел", false),
        Black => ("чёрн", false),
        Green => ("зелён", false),
        Beautiful => ("красив", false),
        Expensive => ("дорог", true),
        Cheap => ("дешёв", false),
        Young => ("молод", true),
        Kind => ("добр", false),
        Famous => ("известн", false),
        Tired => ("уставш", false),
        Happy => ("счастлив", false),
        Sick => ("больн", true),
        Busy => ("занят", false),
        Hungry => ("голодн", false),
        Hot => ("горяч", false),
        Cold => ("холодн", false),
        Fresh => ("свеж", false),
        Quiet => ("тих", false),
        Clean => ("чист", false),
        Interesting => ("интересн", false),
        Strong => ("сильн", false),
        Long => ("длинн", false),
    };
    AdjectiveEntry { stem, stressed }
}

/// Short forms (masculine, feminine, neuter, plural) where these are the usual predicate.
pub fn short_forms(adjective: Adjective) -> Option<[&'static str; 4]> {
    match adjective {
        Adjective::Happy => Some(["счастлив", "счастлива", "счастливо", "счастливы"]),
        Adjective::Sick => Some(["болен", "больна", "больно", "больны"]),
        Adjective::Busy => Some(["занят", "занята", "занято", "заняты"]),
        Adjective::Hungry => Some(["голоден", "голодна", "голодно", "голодны"]),
        _ => None,
    }
}

pub fn time(time: Time) -> &'static str {
    match time {
        Time::Yesterday => "вчера",
        Time::LastWeek => "на прошлой неделе",
        Time::Today => "сегодня",
        Time::Now => "сейчас",
        Time::EveryDay => "каждый день",
        Time::Often => "часто",
        Time::InTheMorning => "утром",
        Time::InTheEvening => "вечером",
        Time::Tomorrow => "завтра",
        Time::NextWeek => "на следующей неделе",
    }
}
