//! Turkish words.

use super::super::super::vocabulary::{Adjective, Name, Noun, Time, Verb};
use super::harmony::Stem;

pub fn noun(noun: Noun) -> Stem {
    use Noun::*;
    let fixed = |text| Stem::new(text);
    match noun {
        Man => fixed("adam"),
        Woman => fixed("kadın"),
        Boy => fixed("oğlan"),
        Girl => fixed("kız"),
        Child => Stem::changing("çocuk", "çocuğ"),
        Teacher => fixed("öğretmen"),
        Doctor => fixed("doktor"),
        Student => fixed("öğrenci"),
        Neighbor => fixed("komşu"),
        Friend => fixed("arkadaş"),
        Mother => fixed("anne"),
        Father => fixed("baba"),
        Brother => fixed("erkek kardeş"),
        Sister => fixed("kız kardeş"),
        Grandmother => fixed("büyükanne"),
        Dog => Stem::changing("köpek", "köpeğ"),
        Cat => fixed("kedi"),
        Horse => fixed("at"),
        Bird => fixed("kuş"),
        Book => Stem::changing("kitap", "kitab"),
        Letter => Stem::changing("mektup", "mektub"),
        Newspaper => fixed("gazete"),
        Car => fixed("araba"),
        Bicycle => fixed("bisiklet"),
        Phone => fixed("telefon"),
        Computer => fixed("bilgisayar"),
        Key => fixed("anahtar"),
        Flower => Stem::changing("çiçek", "çiçeğ"),
        Photo => fixed("fotoğraf"),
        Table => fixed("masa"),
        Chair => fixed("sandalye"),
        Coat => fixed("palto"),
        Dress => fixed("elbise"),
        Hat => fixed("şapka"),
        Bag => fixed("çanta"),
        Ball => fixed("top"),
        Cup => fixed("fincan"),
        Apple => fixed("elma"),
        Cake => fixed("pasta"),
        Picture => Stem::changing("resim", "resm"),
        Song => fixed("şarkı"),
        Film => fixed("film"),
        Question => fixed("soru"),
        Present => fixed("hediye"),
        Door => fixed("kapı"),
        Window => fixed("pencere"),
        Water => fixed("su"),
        Milk => fixed("süt"),
        Coffee => fixed("kahve"),
        Tea => fixed("çay"),
        Bread => Stem::changing("ekmek", "ekmeğ"),
        Soup => fixed("çorba"),
        Cheese => fixed("peynir"),
        Fish => Stem::changing("balık", "balığ"),
        Music => Stem::changing("müzik", "müziğ"),
        School => fixed("okul"),
        Garden => fixed("bahçe"),
        City => Stem::changing("şehir", "şehr"),
        Park => fixed("park"),
        Village => fixed("köy"),
        Market => fixed("pazar"),
        Kitchen => Stem::changing("mutfak", "mutfağ"),
        Library => fixed("kütüphane"),
        Museum => fixed("müze"),
        Station => fixed("istasyon"),
        Office => fixed("ofis"),
        House => fixed("ev"),
        Room => fixed("oda"),
        Hotel => fixed("otel"),
        Restaurant => fixed("restoran"),
    }
}

pub struct VerbEntry {
    /// What stands before the verb proper: "yardım" in "yardım etmek".
    pub companion: &'static str,
    pub stem: Stem,
    /// The object takes the dative.
    pub dative: bool,
}

pub fn verb(verb: Verb) -> VerbEntry {
    use Verb::*;
    let (companion, stem) = match verb {
        Read => ("", "oku"),
        Write => ("", "yaz"),
        Buy => ("satın", "al"),
        Sell => ("", "sat"),
        See => ("", "gör"),
        Find => ("", "bul"),
        Lose => ("", "kaybet"),
        SearchFor => ("", "ara"),
        Eat => ("", "ye"),
        Drink => ("", "iç"),
        Prepare => ("", "hazırla"),
        Open => ("", "aç"),
        Close => ("", "kapat"),
        Love => ("", "sev"),
        Know => ("", "tanı"),
        Help => ("yardım", "et"),
        Visit => ("ziyaret", "et"),
        WaitFor => ("", "bekle"),
        Call => ("telefon", "et"),
        Invite => ("davet", "et"),
        Wash => ("", "yıka"),
        Clean => ("", "temizle"),
        Forget => ("", "unut"),
        Understand => ("", "anla"),
        Watch => ("", "izle"),
        ListenTo => ("", "dinle"),
        Sing => ("", "söyle"),
        Repair => ("tamir", "et"),
        Give => ("", "ver"),
        Show => ("", "göster"),
        Send => ("", "gönder"),
        Sleep => ("", "uyu"),
        Work => ("", "çalış"),
        Dance => ("dans", "et"),
        Swim => ("", "yüz"),
        Play => ("", "oyna"),
        Cry => ("", "ağla"),
        Cook => ("yemek", "pişir"),
        Talk => ("", "konuş"),
        Study => ("ders", "çalış"),
        Live => ("", "yaşa"),
        Go => ("", "git"),
        Come => ("", "gel"),
        Return => ("", "dön"),
    };
    let stem = match stem {
        "et" => Stem::changing("et", "ed"),
        "kaybet" => Stem::changing("kaybet", "kaybed"),
        "git" => Stem::changing("git", "gid"),
        plain => Stem::new(plain),
    };
    VerbEntry { companion, stem, dative: matches!(verb, Help | Call) }
}

pub fn adjective(adjective: Adjective) -> &'static str {
    use Adjective::*;
    match adjective {
        Big => "büyük",
        Small => "küçük",
        New => "yeni",
        Old => "eski",
        Red => "kırmızı",
        White => "beyaz",
        Black => "siyah",
        Green => "yeşil",
        Beautiful => "güzel",
        Expensive => "pahalı",
        Cheap => "ucuz",
        Young => "genç",
        Kind => "nazik",
        Famous => "ünlü",
        Tired => "yorgun",
        Happy => "mutlu",
        Sick => "hasta",
        Busy => "yoğun",
        Hungry => "aç",
        Hot => "sıcak",
        Cold => "soğuk",
        Fresh => "taze",
        Quiet => "sakin",
        Clean => "temiz",
        Interesting => "ilginç",
        Strong => "güçlü",
        Long => "uzun",
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
        Time::Yesterday => "dün",
        Time::LastWeek => "geçen hafta",
        Time::Today => "bugün",
        Time::Now => "şimdi",
        Time::EveryDay => "her gün",
        Time::Often => "sık sık",
        Time::InTheMorning => "sabahleyin",
        Time::InTheEvening => "akşamleyin",
        Time::Tomorrow => "yarın",
        Time::NextWeek => "gelecek hafta",
    }
}
