//! Russian verbs: most come in pairs, the imperfective for what goes on or happens again and
//! again, the perfective for the single completed event.

use super::super::super::vocabulary::Verb;

pub struct VerbEntry {
    pub imperfective: Aspect,
    /// None for activities without an end of their own.
    pub perfective: Option<Aspect>,
}

pub struct Aspect {
    pub infinitive: &'static str,
    /// я, ты, он, мы, они: the present of an imperfective verb, the future of a perfective one.
    pub forms: [String; 5],
    /// Masculine past; the others add to `past_stem`.
    pub past: &'static str,
    pub past_stem: &'static str,
}

impl Aspect {
    pub fn is_reflexive(&self) -> bool {
        self.infinitive.ends_with("ся")
    }
}

/// `forms`: five words. The past stem is the masculine without -ся unless given.
fn aspect(infinitive: &'static str, forms: &str, past: &'static str) -> Aspect {
    let mut words = forms.split(' ').map(String::from);
    let forms = std::array::from_fn(|_| words.next().unwrap_or_default());
    Aspect { infinitive, forms, past, past_stem: past.strip_suffix("ся").unwrap_or(past) }
}

/// First conjugation with an unchanging stem: читаю, читаешь.
fn first(infinitive: &'static str, past: &'static str) -> Aspect {
    let stem = infinitive.strip_suffix("ть").unwrap_or(infinitive);
    let forms = ["ю", "ешь", "ет", "ем", "ют"].map(|ending| format!("{stem}{ending}"));
    Aspect { infinitive, forms, past, past_stem: past }
}

impl Aspect {
    fn with_past_stem(mut self, stem: &'static str) -> Self {
        self.past_stem = stem;
        self
    }
}

pub fn verb(verb: Verb) -> VerbEntry {
    use Verb::*;
    let pair = |imperfective, perfective| VerbEntry { imperfective, perfective: Some(perfective) };
    let single = |imperfective| VerbEntry { imperfective, perfective: None };
    match verb {
        Read => pair(first("читать", "читал"), first("прочитать", "прочитал")),
        Write => pair(
            aspect("писать", "пишу пишешь пишет пишем пишут", "писал"),
            aspect("написать", "напишу напишешь напишет напишем напишут", "написал"),
        ),
        Buy => pair(
            first("покупать", "покупал"),
            aspect("купить", "куплю купишь купит купим купят", "купил"),
        ),
        Sell => pair(
            aspect("продавать", "продаю продаёшь продаёт продаём продают", "продавал"),
            aspect("продать", "продам продашь продаст продадим продадут", "продал"),
        ),
        See => pair(
            aspect("видеть", "вижу видишь видит видим видят", "видел"),
            aspect("увидеть", "увижу увидишь увидит увидим увидят", "увидел"),
        ),
        Find => pair(
            aspect("находить", "нахожу находишь находит находим находят", "находил"),
            aspect("найти", "найду найдёшь найдёт найдём найдут", "нашёл").with_past_stem("нашл"),
        ),
        Lose => pair(first("терять", "терял"), first("потерять", "потерял")),
        SearchFor => single(aspect("искать", "ищу ищешь ищет ищем ищут", "искал")),
        Eat => pair(
            aspect("есть", "ем ешь ест едим едят", "ел"),
            aspect("съесть", "съем съешь съест съедим съедят", "съел"),
        ),
        Drink => pair(
            aspect("пить", "пью пьёшь пьёт пьём пьют", "пил"),
            aspect("выпить", "выпью выпьешь выпьет выпьем выпьют", "выпил"),
        ),
        Prepare => pair(
            aspect("готовить", "готовлю готовишь готовит готовим готовят", "готовил"),
            aspect(
                "приготовить",
                "приготовлю приготовишь приготовит приготовим приготовят",
                "приготовил",
            ),
        ),
        Open => pair(
            first("открывать", "открывал"),
            aspect("открыть", "открою откроешь откроет откроем откроют", "открыл"),
        ),
        Close => pair(
            first("закрывать", "закрывал"),
            aspect("закрыть", "закрою закроешь закроет закроем закроют", "закрыл"),
        ),
        Love => single(aspect("любить", "люблю любишь любит любим любят", "любил")),
        Know => single(first("знать", "знал")),
        Help => pair(
            first("помогать", "помогал"),
            aspect("помочь", "помогу поможешь поможет поможем помогут", "помог")
                .with_past_stem("помогл"),
        ),
        Visit => pair(
            first("навещать", "навещал"),
            aspect("навестить", "навещу навестишь навестит навестим навестят", "навестил"),
        ),
        WaitFor => single(aspect("ждать", "жду ждёшь ждёт ждём ждут", "ждал")),
        Call => pair(
            aspect("звонить", "звоню звонишь звонит звоним звонят", "звонил"),
            aspect("позвонить", "позвоню позвонишь позвонит позвоним позвонят", "позвонил"),
        ),
        Invite => pair(
            first("приглашать", "приглашал"),
            aspect("пригласить", "приглашу пригласишь пригласит пригласим пригласят", "пригласил"),
        ),
        Wash => pair(
            aspect("мыть", "мою моешь моет моем моют", "мыл"),
            aspect("вымыть", "вымою вымоешь вымоет вымоем вымоют", "вымыл"),
        ),
        Clean => pair(
            first("убирать", "убирал"),
            aspect("убрать", "уберу уберёшь уберёт уберём уберут", "убрал"),
        ),
        Forget => pair(
            first("забывать", "забывал"),
            aspect("забыть", "забуду забудешь забудет забудем забудут", "забыл"),
        ),
        Understand => pair(
            first("понимать", "понимал"),
            aspect("понять", "пойму поймёшь поймёт поймём поймут", "понял"),
        ),
        Watch => pair(
            aspect("смотреть", "смотрю смотришь смотрит смотрим смотрят", "смотрел"),
            aspect("посмотреть", "посмотрю посмотришь посмотрит посмотрим посмотрят", "посмотрел"),
        ),
        ListenTo => pair(first("слушать", "слушал"), first("послушать", "послушал")),
        Sing => pair(
            aspect("петь", "пою поёшь поёт поём поют", "пел"),
            aspect("спеть", "спою споёшь споёт споём споют", "спел"),
        ),
        Repair => pair(
            aspect("чинить", "чиню чинишь чинит чиним чинят", "чинил"),
            aspect("починить", "починю починишь починит починим починят", "починил"),
        ),
        Give => pair(
            aspect("давать", "даю даёшь даёт даём дают", "давал"),
            aspect("дать", "дам дашь даст дадим дадут", "дал"),
        ),
        Show => pair(
            first("показывать", "показывал"),
            aspect("показать", "покажу покажешь покажет покажем покажут", "показал"),
        ),
        Send => pair(
            aspect("посылать", "посылаю посылаешь посылает посылаем посылают", "посылал"),
            aspect("послать", "пошлю пошлёшь пошлёт пошлём пошлют", "послал"),
        ),
        Sleep => single(aspect("спать", "сплю спишь спит спим спят", "спал")),
        Work => single(first("работать", "работал")),
        Dance => single(aspect("танцевать", "танцую танцуешь танцует танцуем танцуют", "танцевал")),
        Swim => single(first("плавать", "плавал")),
        Play => single(first("играть", "играл")),
        Cry => single(aspect("плакать", "плачу плачешь плачет плачем плачут", "плакал")),
        Cook => single(aspect("готовить", "готовлю готовишь готовит готовим готовят", "готовил")),
        Talk => single(first("разговаривать", "разговаривал")),
        Study => single(aspect(
            "заниматься",
            "занимаюсь занимаешься занимается занимаемся занимаются",
            "занимался",
        )),
        Live => single(aspect("жить", "живу живёшь живёт живём живут", "жил")),
        Go => pair(
            aspect("идти", "иду идёшь идёт идём идут", "шёл").with_past_stem("шл"),
            aspect("пойти", "пойду пойдёшь пойдёт пойдём пойдут", "пошёл").with_past_stem("пошл"),
        ),
        Come => pair(
            aspect("приходить", "прихожу приходишь приходит приходим приходят", "приходил"),
            aspect("прийти", "приду придёшь придёт придём придут", "пришёл")
                .with_past_stem("пришл"),
        ),
        Return => pair(
            aspect(
                "возвращаться",
                "возвращаюсь возвращаешься возвращается возвращаемся возвращаются",
                "возвращался",
            ),
            aspect("вернуться", "вернусь вернёшься вернётся вернёмся вернутся", "вернулся"),
        ),
    }
}

/// "Идти" is one walk in one direction; going there again and again is "ходить".
pub fn going_habitually() -> Aspect {
    aspect("ходить", "хожу ходишь ходит ходим ходят", "ходил")
}
