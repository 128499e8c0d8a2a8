//! The words of the demo as concepts, and what goes with what: which things can be read, which
//! adjectives fit a cup. This keeps generated sentences sensible; how a word is said stands in
//! each language's lexicon.

macro_rules! concepts {
    ($(#[$meta:meta])* $name:ident { $($item:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($item),* }
        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$item),*];
        }
    };
}

concepts! { Name { Anna, Maria, Lena, Tom, Max, Martin } }

concepts! { Noun {
    Man, Woman, Boy, Girl, Child, Teacher, Doctor, Student, Neighbor, Friend,
    Mother, Father, Brother, Sister, Grandmother,
    Dog, Cat, Horse, Bird,
    Book, Letter, Newspaper, Car, Bicycle, Phone, Computer, Key, Flower, Photo, Table, Chair,
    Coat, Dress, Hat, Bag, Ball, Cup, Apple, Cake, Picture, Song, Film, Question, Present,
    Door, Window,
    Water, Milk, Coffee, Tea, Bread, Soup, Cheese, Fish, Music,
    School, Garden, City, Park, Village, Market, Kitchen, Library, Museum, Station, Office,
    House, Room, Hotel, Restaurant,
} }

concepts! { Verb {
    Read, Write, Buy, Sell, See, Find, Lose, SearchFor, Eat, Drink, Prepare, Open, Close,
    Love, Know, Help, Visit, WaitFor, Call, Invite, Wash, Clean, Forget, Understand, Watch,
    ListenTo, Sing, Repair,
    Give, Show, Send,
    Sleep, Work, Dance, Swim, Play, Cry, Cook, Talk, Study, Live,
    Go, Come, Return,
} }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjective {
    Big,
    Small,
    New,
    Old,
    Red,
    White,
    Black,
    Green,
    Beautiful,
    Expensive,
    Cheap,
    Young,
    Kind,
    Famous,
    Tired,
    Happy,
    Sick,
    Busy,
    Hungry,
    Hot,
    Cold,
    Fresh,
    Quiet,
    Clean,
    Interesting,
    Strong,
    Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Yesterday,
    LastWeek,
    Today,
    Now,
    EveryDay,
    Often,
    InTheMorning,
    InTheEvening,
    Tomorrow,
    NextWeek,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NounClass {
    Human,
    /// Family of the speaker: only ever "my ...", in the singular.
    Kin,
    Animal,
    Thing,
    /// Cannot be counted.
    Mass,
    Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    Male,
    Female,
}

impl Name {
    pub fn sex(self) -> Sex {
        match self {
            Self::Anna | Self::Maria | Self::Lena => Sex::Female,
            Self::Tom | Self::Max | Self::Martin => Sex::Male,
        }
    }
}

impl Noun {
    pub fn class(self) -> NounClass {
        match self as usize {
            n if n <= Self::Friend as usize => NounClass::Human,
            n if n <= Self::Grandmother as usize => NounClass::Kin,
            n if n <= Self::Bird as usize => NounClass::Animal,
            n if n <= Self::Window as usize => NounClass::Thing,
            n if n <= Self::Music as usize => NounClass::Mass,
            _ => NounClass::Place,
        }
    }

    pub fn is_human(self) -> bool {
        matches!(self.class(), NounClass::Human | NounClass::Kin)
    }

    pub fn is_animate(self) -> bool {
        self.is_human() || self.class() == NounClass::Animal
    }

    /// Of the person meant, which English pronouns follow; `None` for a child and for things.
    /// The demo's teachers, doctors, students, neighbors and friends are men.
    pub fn sex(self) -> Option<Sex> {
        match self {
            Self::Woman | Self::Girl | Self::Mother | Self::Sister | Self::Grandmother => {
                Some(Sex::Female)
            }
            Self::Child => None,
            _ if self.is_human() => Some(Sex::Male),
            _ => None,
        }
    }
}

/// How a verb builds its clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Somebody does it to one of these.
    Object(&'static [Noun]),
    /// Somebody does it to a person.
    Person,
    /// Somebody passes one of these on to a person.
    Transfer(&'static [Noun]),
    Alone,
    /// Alone, or in somebody's company.
    Together,
    /// At a place that must be named.
    Residence,
    /// To a place.
    Motion,
}

/// How a verb runs in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    Activity,
    /// Never progressive ("knows"), imperfect where a language has one.
    State,
    /// Over at once, so not in the present ("found").
    Event,
}

impl Verb {
    pub fn frame(self) -> Frame {
        use Noun::*;
        const GOODS: &[Noun] = &[
            Book, Newspaper, Car, Bicycle, Phone, Computer, Flower, Table, Chair, Coat, Dress, Hat,
            Bag, Ball, Cup, Apple, Cake, Picture, House, Horse, Milk, Coffee, Tea, Bread, Cheese,
            Fish,
        ];
        const SMALL: &[Noun] = &[Key, Bag, Phone, Hat, Ball, Photo, Letter];
        match self {
            Self::Read => Frame::Object(&[Book, Letter, Newspaper]),
            Self::Write => Frame::Object(&[Letter, Book, Song]),
            Self::Buy | Self::Sell => Frame::Object(GOODS),
            Self::See => Frame::Object(&[
                Man, Woman, Boy, Girl, Child, Teacher, Doctor, Neighbor, Friend, Dog, Cat, Horse,
                Bird, Car, Bicycle, Flower, Picture, House, Garden, Museum, City, Village,
            ]),
            Self::Find => Frame::Object(&[Key, Bag, Phone, Hat, Ball, Photo, Letter, Dog, Cat]),
            Self::Lose => Frame::Object(&[Key, Bag, Phone, Hat, Ball, Photo]),
            Self::SearchFor => {
                Frame::Object(&[Key, Bag, Phone, Hat, Book, Dog, Cat, Friend, Doctor, Child, Hotel])
            }
            Self::Eat => Frame::Object(&[Apple, Cake, Bread, Soup, Cheese, Fish]),
            Self::Drink => Frame::Object(&[Water, Milk, Coffee, Tea]),
            Self::Prepare => Frame::Object(&[Soup, Cake, Tea, Coffee]),
            Self::Open | Self::Close => Frame::Object(&[Door, Window, Bag]),
            Self::Love => Frame::Object(&[
                Mother,
                Father,
                Brother,
                Sister,
                Grandmother,
                Child,
                Woman,
                Man,
                Friend,
                Dog,
                Cat,
                Horse,
            ]),
            Self::Know | Self::Help | Self::Visit | Self::WaitFor | Self::Call | Self::Invite => {
                Frame::Person
            }
            Self::Wash => Frame::Object(&[Car, Cup, Dog, Window, Dress, Horse]),
            Self::Clean => Frame::Object(&[Room, Kitchen, House, Office]),
            Self::Forget => Frame::Object(SMALL),
            Self::Understand => Frame::Object(&[Question, Letter, Book, Film]),
            Self::Watch => Frame::Object(&[Film]),
            Self::ListenTo => Frame::Object(&[Music, Song]),
            Self::Sing => Frame::Object(&[Song]),
            Self::Repair => {
                Frame::Object(&[Car, Bicycle, Phone, Computer, Chair, Table, Door, Window])
            }
            Self::Give => {
                Frame::Transfer(&[Book, Flower, Key, Letter, Photo, Ball, Hat, Apple, Present])
            }
            Self::Show => Frame::Transfer(&[Book, Photo, Picture, Letter, Dress, Phone, House]),
            Self::Send => Frame::Transfer(&[Letter, Book, Photo, Flower, Present]),
            Self::Sleep | Self::Work | Self::Swim | Self::Cry | Self::Cook => Frame::Alone,
            Self::Dance | Self::Play | Self::Talk | Self::Study => Frame::Together,
            Self::Live => Frame::Residence,
            Self::Go | Self::Come | Self::Return => Frame::Motion,
        }
    }

    pub fn course(self) -> Course {
        match self {
            Self::Love | Self::Know | Self::Live => Course::State,
            Self::Come | Self::Understand | Self::See | Self::Find | Self::Lose | Self::Forget => {
                Course::Event
            }
            _ => Course::Activity,
        }
    }
}

/// Where an adjective may stand as an attribute, by what it describes.
pub fn attributes(noun: Noun) -> &'static [Adjective] {
    use Adjective::*;
    use Noun as N;
    match noun {
        N::Man | N::Woman | N::Teacher | N::Doctor | N::Neighbor => {
            &[Young, Kind, Famous, Strong, Sick]
        }
        N::Boy | N::Girl | N::Child => &[Small, Kind, Sick, Happy],
        N::Student | N::Friend => &[New, Young, Kind],
        N::Dog | N::Cat | N::Horse => &[Small, Big, White, Black, Beautiful],
        N::Bird => &[Small, White, Black, Red, Beautiful],
        N::Book | N::Film => &[New, Old, Interesting, Long, Famous],
        N::Letter => &[New, Old, Interesting, Long],
        N::Newspaper => &[New, Old],
        N::Song => &[New, Old, Famous, Beautiful, Long],
        N::Question => &[New, Interesting],
        N::Picture | N::Photo => &[New, Old, Beautiful, Interesting, Small, Big],
        N::Car | N::Bicycle => &[New, Old, Red, White, Black, Green, Expensive, Cheap, Small],
        N::Phone | N::Computer => &[New, Old, Expensive, Cheap, Small, Black],
        N::Key => &[New, Small, Old],
        N::Flower => &[Red, White, Beautiful, Expensive, Small],
        N::Table | N::Chair | N::Door | N::Window => &[New, Old, White, Big, Small, Green],
        N::Coat | N::Dress | N::Hat | N::Bag => {
            &[New, Old, Red, White, Black, Green, Beautiful, Expensive, Cheap]
        }
        N::Ball => &[New, Red, Green, White, Small],
        N::Cup => &[New, Clean, White, Small, Red],
        N::Apple => &[Red, Green, Fresh, Small],
        N::Cake => &[Big, Small, Fresh, Expensive],
        N::Present => &[Expensive, Beautiful, Small, Cheap],
        N::Water => &[Cold, Clean],
        N::Milk => &[Fresh, Cold, Hot],
        N::Coffee | N::Tea => &[Hot, Cold],
        N::Bread | N::Cheese | N::Fish => &[Fresh, Expensive, Cheap],
        N::Soup => &[Hot],
        N::Music => &[Quiet, Beautiful],
        N::City | N::Village => &[Old, Beautiful, Big, Small, Quiet, Famous],
        N::Garden | N::Park => &[Big, Small, Beautiful, Quiet, Old],
        N::School | N::Library | N::Office | N::Station => &[New, Old, Big, Small],
        N::Museum | N::Hotel | N::Restaurant => &[New, Old, Famous, Expensive, Small],
        N::Market | N::Kitchen => &[Big, Small, New, Old],
        N::House | N::Room => &[New, Old, Big, Small, Beautiful, Quiet, Clean],
        N::Mother | N::Father | N::Brother | N::Sister | N::Grandmother => &[],
    }
}

/// What may be said of a subject with "is".
pub fn properties(noun: Noun) -> &'static [Adjective] {
    use Adjective::*;
    match noun.class() {
        NounClass::Human | NounClass::Kin => {
            &[Tired, Happy, Sick, Busy, Hungry, Kind, Young, Strong, Famous]
        }
        NounClass::Animal => &[Big, Small, White, Black, Hungry, Strong, Beautiful, Sick, Tired],
        _ => attributes(noun),
    }
}

/// Properties of people that pass: what "because" and "when" clauses speak of.
pub const MOODS: &[Adjective] =
    &[Adjective::Tired, Adjective::Happy, Adjective::Sick, Adjective::Busy, Adjective::Hungry];

/// What people own in the demo.
pub const POSSESSIONS: &[Noun] = &[
    Noun::Dog,
    Noun::Cat,
    Noun::Horse,
    Noun::Bird,
    Noun::Book,
    Noun::Car,
    Noun::Bicycle,
    Noun::Phone,
    Noun::Computer,
    Noun::Key,
    Noun::Table,
    Noun::Coat,
    Noun::Dress,
    Noun::Hat,
    Noun::Bag,
    Noun::Ball,
    Noun::Picture,
    Noun::Garden,
    Noun::House,
    Noun::Office,
    Noun::Room,
];

/// Where somebody would do it; for motions, where they lead.
pub fn places(verb: Verb) -> &'static [Noun] {
    use Noun::*;
    match verb {
        Verb::Read | Verb::Write => &[Library, Garden, Park, Room, Office],
        Verb::Buy | Verb::Sell => &[Market, City, Village],
        Verb::See | Verb::Find | Verb::Lose | Verb::SearchFor => {
            &[Park, Station, School, Garden, City, Library, Market, Museum]
        }
        Verb::Eat | Verb::Drink => &[Restaurant, Kitchen, Garden, Park, Hotel],
        Verb::Prepare | Verb::Cook => &[Kitchen, House, Restaurant],
        Verb::WaitFor => &[Station, Hotel, Restaurant, Park, School, Museum],
        Verb::Sing => &[Garden, School, Park, Kitchen],
        Verb::ListenTo => &[Room, Park, Kitchen, Garden],
        Verb::Sleep => &[House, Room, Hotel, Garden],
        Verb::Work => {
            &[School, Garden, Kitchen, Library, Museum, Station, Office, Hotel, Restaurant, Market]
        }
        Verb::Dance => &[Park, Hotel, Restaurant, Garden],
        Verb::Play => &[Garden, Park, School, House, Room],
        Verb::Cry => &[Room, Kitchen, School, Garden],
        Verb::Talk => &[Park, Office, Restaurant, Station, Kitchen, Garden],
        Verb::Study => &[School, Library, Room, Office, House],
        Verb::Live => &[City, Village, House, Hotel],
        Verb::Go | Verb::Come | Verb::Return => &[
            School, City, Park, Village, Market, Kitchen, Library, Museum, Station, Office, Hotel,
            Restaurant, Garden,
        ],
        _ => &[],
    }
}

/// Done every day without surprise.
pub fn is_habitual(verb: Verb) -> bool {
    use Verb::*;
    matches!(
        verb,
        Read | Write
            | Eat
            | Drink
            | Prepare
            | Help
            | Visit
            | WaitFor
            | Call
            | Wash
            | Clean
            | Watch
            | ListenTo
            | Sing
            | Work
            | Dance
            | Swim
            | Play
            | Cook
            | Talk
            | Study
            | Go
    )
}
