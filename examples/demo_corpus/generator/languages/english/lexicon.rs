//! English words.

use super::super::super::vocabulary::{Adjective, Name, Noun, Time, Verb};

pub struct NounEntry {
    pub singular: &'static str,
    pub plural: &'static str,
}

pub fn noun(noun: Noun) -> NounEntry {
    use Noun::*;
    let (singular, plural) = match noun {
        Man => ("man", "men"),
        Woman => ("woman", "women"),
        Boy => ("boy", "boys"),
        Girl => ("girl", "girls"),
        Child => ("child", "children"),
        Teacher => ("teacher", "teachers"),
        Doctor => ("doctor", "doctors"),
        Student => ("student", "students"),
        Neighbor => ("neighbor", "neighbors"),
        Friend => ("friend", "friends"),
        Mother => ("mother", "mothers"),
        Father => ("father", "fathers"),
        Brother => ("brother", "brothers"),
        Sister => ("sister", "sisters"),
        Grandmother => ("grandmother", "grandmothers"),
        Dog => ("dog", "dogs"),
        Cat => ("cat", "cats"),
        Horse => ("horse", "horses"),
        Bird => ("bird", "birds"),
        Book => ("book", "books"),
        Letter => ("letter", "letters"),
        Newspaper => ("newspaper", "newspapers"),
        Car => ("car", "cars"),
        Bicycle => ("bicycle", "bicycles"),
        Phone => ("phone", "phones"),
        Computer => ("computer", "computers"),
        Key => ("key", "keys"),
        Flower => ("flower", "flowers"),
        Photo => ("photo", "photos"),
        Table => ("table", "tables"),
        Chair => ("chair", "chairs"),
        Coat => ("coat", "coats"),
        Dress => ("dress", "dresses"),
        Hat => ("hat", "hats"),
        Bag => ("bag", "bags"),
        Ball => ("ball", "balls"),
        Cup => ("cup", "cups"),
        Apple => ("apple", "apples"),
        Cake => ("cake", "cakes"),
        Picture => ("picture", "pictures"),
        Song => ("song", "songs"),
        Film => ("film", "films"),
        Question => ("question", "questions"),
        Present => ("present", "presents"),
        Door => ("door", "doors"),
        Window => ("window", "windows"),
        Water => ("water", ""),
        Milk => ("milk", ""),
        Coffee => ("coffee", ""),
        Tea => ("tea", ""),
        Bread => ("bread", ""),
        Soup => ("soup", ""),
        Cheese => ("cheese", ""),
        Fish => ("fish", ""),
        Music => ("music", ""),
        School => ("school", "schools"),
        Garden => ("garden", "gardens"),
        City => ("city", "cities"),
        Park => ("park", "parks"),
        Village => ("village", "villages"),
        Market => ("market", "markets"),
        Kitchen => ("kitchen", "kitchens"),
        Library => ("library", "libraries"),
        Museum => ("museum", "museums"),
        Station => ("station", "stations"),
        Office => ("office", "offices"),
        House => ("house", "houses"),
        Room => ("room", "rooms"),
        Hotel => ("hotel", "hotels"),
        Restaurant => ("restaurant", "restaurants"),
    };
    NounEntry { singular, plural }
}

/// The preposition of rest: "at the station" but "in the garden".
pub fn location(noun: Noun) -> &'static str {
    match noun {
        Noun::School | Noun::Market | Noun::Station | Noun::Hotel | Noun::Restaurant => "at",
        _ => "in",
    }
}

pub struct VerbEntry {
    pub base: &'static str,
    pub third: &'static str,
    pub past: &'static str,
    pub ing: &'static str,
    /// Before the object: "wait for".
    pub preposition: &'static str,
}

pub fn verb(verb: Verb) -> VerbEntry {
    use Verb::*;
    let (base, third, past, ing, preposition) = match verb {
        Read => ("read", "reads", "read", "reading", ""),
        Write => ("write", "writes", "wrote", "writing", ""),
        Buy => ("buy", "buys", "bought", "buying", ""),
        Sell => ("sell", "sells", "sold", "selling", ""),
        See => ("see", "sees", "saw", "seeing", ""),
        Find => ("find", "finds", "found", "finding", ""),
        Lose => ("lose", "loses", "lost", "losing", ""),
        SearchFor => ("look", "looks", "looked", "looking", "for"),
        Eat => ("eat", "eats", "ate", "eating", ""),
        Drink => ("drink", "drinks", "drank", "drinking", ""),
        Prepare => ("prepare", "prepares", "prepared", "preparing", ""),
        Open => ("open", "opens", "opened", "opening", ""),
        Close => ("close", "closes", "closed", "closing", ""),
        Love => ("love", "loves", "loved", "loving", ""),
        Know => ("know", "knows", "knew", "knowing", ""),
        Help => ("help", "helps", "helped", "helping", ""),
        Visit => ("visit", "visits", "visited", "visiting", ""),
        WaitFor => ("wait", "waits", "waited", "waiting", "for"),
        Call => ("call", "calls", "called", "calling", ""),
        Invite => ("invite", "invites", "invited", "inviting", ""),
        Wash => ("wash", "washes", "washed", "washing", ""),
        Clean => ("clean", "cleans", "cleaned", "cleaning", ""),
        Forget => ("forget", "forgets", "forgot", "forgetting", ""),
        Understand => ("understand", "understands", "understood", "understanding", ""),
        Watch => ("watch", "watches", "watched", "watching", ""),
        ListenTo => ("listen", "listens", "listened", "listening", "to"),
        Sing => ("sing", "sings", "sang", "singing", ""),
        Repair => ("repair", "repairs", "repaired", "repairing", ""),
        Give => ("give", "gives", "gave", "giving", ""),
        Show => ("show", "shows", "showed", "showing", ""),
        Send => ("send", "sends", "sent", "sending", ""),
        Sleep => ("sleep", "sleeps", "slept", "sleeping", ""),
        Work => ("work", "works", "worked", "working", ""),
        Dance => ("dance", "dances", "danced", "dancing", ""),
        Swim => ("swim", "swims", "swam", "swimming", ""),
        Play => ("play", "plays", "played", "playing", ""),
        Cry => ("cry", "cries", "cried", "crying", ""),
        Cook => ("cook", "cooks", "cooked", "cooking", ""),
        Talk => ("talk", "talks", "talked", "talking", ""),
        Study => ("study", "studies", "studied", "studying", ""),
        Live => ("live", "lives", "lived", "living", ""),
        Go => ("go", "goes", "went", "going", ""),
        Come => ("come", "comes", "came", "coming", ""),
        Return => ("return", "returns", "returned", "returning", ""),
    };
    VerbEntry { base, third, past, ing, preposition }
}

pub fn adjective(adjective: Adjective) -> &'static str {
    use Adjective::*;
    match adjective {
        Big => "big",
        Small => "small",
        New => "new",
        Old => "old",
        Red => "red",
        White => "white",
        Black => "black",
        Green => "green",
        Beautiful => "beautiful",
        Expensive => "expensive",
        Cheap => "cheap",
        Young => "young",
        Kind => "kind",
        Famous => "famous",
        Tired => "tired",
        Happy => "happy",
        Sick => "sick",
        Busy => "busy",
        Hungry => "hungry",
        Hot => "hot",
        Cold => "cold",
        Fresh => "fresh",
        Quiet => "quiet",
        Clean => "clean",
        Interesting => "interesting",
        Strong => "strong",
        Long => "long",
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
        Time::Yesterday => "yesterday",
        Time::LastWeek => "last week",
        Time::Today => "today",
        Time::Now => "now",
        Time::EveryDay => "every day",
        Time::Often => "often",
        Time::InTheMorning => "in the morning",
        Time::InTheEvening => "in the evening",
        Time::Tomorrow => "tomorrow",
        Time::NextWeek => "next week",
    }
}
