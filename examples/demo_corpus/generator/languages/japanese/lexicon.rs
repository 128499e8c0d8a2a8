//! Japanese words.

use super::super::super::vocabulary::{Adjective, Name, Noun, Time, Verb};

pub struct NounEntry {
    pub text: &'static str,
    /// Counts things of this kind after 二, 三 and 五.
    pub counter: &'static str,
}

pub fn noun(noun: Noun) -> NounEntry {
    use Noun::*;
    let (text, counter) = match noun {
        Man => ("男の人", "人"),
        Woman => ("女の人", "人"),
        Boy => ("男の子", "人"),
        Girl => ("女の子", "人"),
        Child => ("子供", "人"),
        Teacher => ("先生", "人"),
        Doctor => ("医者", "人"),
        Student => ("学生", "人"),
        Neighbor => ("隣人", "人"),
        Friend => ("友達", "人"),
        Mother => ("母", "人"),
        Father => ("父", "人"),
        Brother => ("兄", "人"),
        Sister => ("姉", "人"),
        Grandmother => ("祖母", "人"),
        Dog => ("犬", "匹"),
        Cat => ("猫", "匹"),
        Horse => ("馬", "頭"),
        Bird => ("鳥", "羽"),
        Book => ("本", "冊"),
        Letter => ("手紙", "通"),
        Newspaper => ("新聞", "部"),
        Car => ("車", "台"),
        Bicycle => ("自転車", "台"),
        Phone => ("電話", "台"),
        Computer => ("パソコン", "台"),
        Key => ("鍵", "つ"),
        Flower => ("花", "本"),
        Photo => ("写真", "枚"),
        Table => ("テーブル", "つ"),
        Chair => ("椅子", "つ"),
        Coat => ("コート", "着"),
        Dress => ("ドレス", "着"),
        Hat => ("帽子", "つ"),
        Bag => ("かばん", "つ"),
        Ball => ("ボール", "つ"),
        Cup => ("カップ", "つ"),
        Apple => ("りんご", "つ"),
        Cake => ("ケーキ", "つ"),
        Picture => ("絵", "枚"),
        Song => ("歌", "つ"),
        Film => ("映画", "本"),
        Question => ("質問", "つ"),
        Present => ("プレゼント", "つ"),
        Door => ("ドア", "つ"),
        Window => ("窓", "つ"),
        Water => ("水", ""),
        Milk => ("牛乳", ""),
        Coffee => ("コーヒー", ""),
        Tea => ("お茶", ""),
        Bread => ("パン", ""),
        Soup => ("スープ", ""),
        Cheese => ("チーズ", ""),
        Fish => ("魚", ""),
        Music => ("音楽", ""),
        School => ("学校", "つ"),
        Garden => ("庭", "つ"),
        City => ("街", "つ"),
        Park => ("公園", "つ"),
        Village => ("村", "つ"),
        Market => ("市場", "つ"),
        Kitchen => ("台所", "つ"),
        Library => ("図書館", "つ"),
        Museum => ("博物館", "つ"),
        Station => ("駅", "つ"),
        Office => ("オフィス", "つ"),
        House => ("家", "軒"),
        Room => ("部屋", "つ"),
        Hotel => ("ホテル", "つ"),
        Restaurant => ("レストラン", "つ"),
    };
    NounEntry { text, counter }
}

/// Conjugation classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Five-row: the last kana changes (読む, 読み, 読んで).
    Godan,
    /// One-row: る falls (食べる, 食べ, 食べて).
    Ichidan,
    /// する after a noun (掃除する).
    Suru,
    /// 来る.
    Kuru,
}

pub struct VerbEntry {
    /// Dictionary form; the noun alone before する.
    pub text: &'static str,
    pub class: Class,
    /// Marks the object.
    pub particle: &'static str,
}

pub fn verb(verb: Verb) -> VerbEntry {
    use Class::*;
    use Verb::*;
    let (text, class) = match verb {
        Read => ("読む", Godan),
        Write => ("書く", Godan),
        Buy => ("買う", Godan),
        Sell => ("売る", Godan),
        See | Watch => ("見る", Ichidan),
        Find => ("見つける", Ichidan),
        Lose => ("なくす", Godan),
        SearchFor => ("探す", Godan),
        Eat => ("食べる", Ichidan),
        Drink => ("飲む", Godan),
        Prepare => ("用意", Suru),
        Open => ("開ける", Ichidan),
        Close => ("閉める", Ichidan),
        Love => ("愛す", Godan),
        Know => ("知る", Godan),
        Help => ("手伝う", Godan),
        Visit => ("訪ねる", Ichidan),
        WaitFor => ("待つ", Godan),
        Call => ("電話", Suru),
        Invite => ("招待", Suru),
        Wash => ("洗う", Godan),
        Clean => ("掃除", Suru),
        Forget => ("忘れる", Ichidan),
        Understand => ("理解", Suru),
        ListenTo => ("聞く", Godan),
        Sing => ("歌う", Godan),
        Repair => ("修理", Suru),
        Give => ("あげる", Ichidan),
        Show => ("見せる", Ichidan),
        Send => ("送る", Godan),
        Sleep => ("寝る", Ichidan),
        Work => ("働く", Godan),
        Dance => ("踊る", Godan),
        Swim => ("泳ぐ", Godan),
        Play => ("遊ぶ", Godan),
        Cry => ("泣く", Godan),
        Cook => ("料理", Suru),
        Talk => ("話す", Godan),
        Study => ("勉強", Suru),
        Live => ("住む", Godan),
        Go => ("行く", Godan),
        Come => ("来る", Kuru),
        Return => ("戻る", Godan),
    };
    VerbEntry { text, class, particle: if verb == Call { "に" } else { "を" } }
}

/// How an adjective is conjugated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 高い.
    I,
    /// 静か: な before a noun.
    Na,
    /// A noun: の before a noun.
    No,
    /// A verb whose result lasts: 疲れた before a noun, 疲れている in the predicate.
    Te,
}

/// The stem, without い, な, の, た.
pub fn adjective(adjective: Adjective) -> (&'static str, Form) {
    use Adjective::*;
    match adjective {
        Big => ("大き", Form::I),
        Small => ("小さ", Form::I),
        New => ("新し", Form::I),
        Old => ("古", Form::I),
        Red => ("赤", Form::I),
        White => ("白", Form::I),
        Black => ("黒", Form::I),
        Green => ("緑", Form::No),
        Beautiful => ("美し", Form::I),
        Expensive => ("高", Form::I),
        Cheap => ("安", Form::I),
        Young => ("若", Form::I),
        Kind => ("親切", Form::Na),
        Famous => ("有名", Form::Na),
        Tired => ("疲れ", Form::Te),
        Happy => ("幸せ", Form::Na),
        Sick => ("病気", Form::No),
        Busy => ("忙し", Form::I),
        Hungry => ("お腹が空い", Form::Te),
        Hot => ("熱", Form::I),
        Cold => ("冷た", Form::I),
        Fresh => ("新鮮", Form::Na),
        Quiet => ("静か", Form::Na),
        Clean => ("きれい", Form::Na),
        Interesting => ("面白", Form::I),
        Strong => ("強", Form::I),
        Long => ("長", Form::I),
    }
}

pub fn name(name: Name) -> &'static str {
    match name {
        Name::Anna => "アンナ",
        Name::Maria => "マリア",
        Name::Lena => "レナ",
        Name::Tom => "トム",
        Name::Max => "マックス",
        Name::Martin => "マーティン",
    }
}

pub fn time(time: Time) -> &'static str {
    match time {
        Time::Yesterday => "昨日",
        Time::LastWeek => "先週",
        Time::Today => "今日",
        Time::Now => "今",
        Time::EveryDay => "毎日",
        Time::Often => "よく",
        Time::InTheMorning => "朝",
        Time::InTheEvening => "夜",
        Time::Tomorrow => "明日",
        Time::NextWeek => "来週",
    }
}
