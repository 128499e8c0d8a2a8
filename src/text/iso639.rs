//! Which codes of ISO 639-1, 639-2/B, 639-3 and which English names mean one language. Only
//! hints use this: a model's own codes are never translated behind the user's back.

/// One language a line: code of ISO 639-1, then 639-3, then other codes in use (639-2/B,
/// the individual languages of a macrolanguage as NLLB-200 spells them), then the name.
const TABLE: &str = "\
af afr Afrikaans
am amh Amharic
ar ara arb Arabic
as asm Assamese
ast ast Asturian
ay aym ayr Aymara
az aze azj azb Azerbaijani
ba bak Bashkir
be bel Belarusian
bg bul Bulgarian
bm bam Bambara
bn ben Bengali
bo bod tib Tibetan
br bre Breton
bs bos Bosnian
ca cat Catalan
ceb ceb Cebuano
co cos Corsican
cs ces cze Czech
cv chv Chuvash
cy cym wel Welsh
da dan Danish
de deu ger German
dv div Divehi
dz dzo Dzongkha
ee ewe Ewe
el ell gre Greek
en eng English
eo epo Esperanto
es spa Spanish
et est ekk Estonian
eu eus baq Basque
fa fas pes per prs Persian Farsi
ff ful fuv Fulah
fi fin Finnish
fil fil tl tgl Filipino Tagalog
fj fij Fijian
fo fao Faroese
fr fra fre French
fy fry Frisian
ga gle Irish
gd gla Gaelic
gl glg Galician
gn grn gug Guarani
gu guj Gujarati
ha hau Hausa
he heb iw Hebrew
hi hin Hindi
hr hrv Croatian
hsb hsb Sorbian
ht hat Haitian
hu hun Hungarian
hy hye arm Armenian
id ind in Indonesian
ig ibo Igbo
ilo ilo Ilocano
io ido Ido
is isl ice Icelandic
it ita Italian
ja jpn Japanese
jv jav Javanese
ka kat geo Georgian
kab kab Kabyle
kg kon Kongo
kk kaz Kazakh
km khm Khmer
kn kan Kannada
ko kor Korean
ks kas Kashmiri
ku kur ckb kmr Kurdish
ky kir Kyrgyz
la lat Latin
lb ltz Luxembourgish
lg lug Ganda
li lim Limburgish
ln lin Lingala
lo lao Lao
lt lit Lithuanian
lv lav lvs Latvian
mg mlg plt Malagasy
mi mri mao Maori
mk mkd mac Macedonian
ml mal Malayalam
mn mon khk Mongolian
mr mar Marathi
ms msa zsm may Malay
mt mlt Maltese
my mya bur Burmese
ne nep npi Nepali
nl nld dut Dutch
nn nno no nor Nynorsk Norwegian
no nor nb nob Norwegian Bokmal
ns nso Sotho
ny nya Nyanja
oc oci Occitan
om orm gaz Oromo
or ori ory Odia Oriya
os oss Ossetian
pa pan Punjabi
pl pol Polish
ps pus pbt Pashto
pt por Portuguese
qu que quy Quechua
rn run Rundi
ro ron rum Romanian
ru rus Russian
rw kin Kinyarwanda
sa san Sanskrit
sc srd Sardinian
scn scn Sicilian
sd snd Sindhi
sg sag Sango
si sin Sinhala
sk slk slo Slovak
sl slv Slovenian
sm smo Samoan
sn sna Shona
so som Somali
sq sqi als alb Albanian
sr srp Serbian
ss ssw Swati
st sot Sotho
su sun Sundanese
sv swe Swedish
sw swa swh Swahili
ta tam Tamil
te tel Telugu
tg tgk Tajik
th tha Thai
ti tir Tigrinya
tk tuk Turkmen
tn tsn Tswana
ts tso Tsonga
tr tur Turkish
tt tat Tatar
tw twi Twi
ug uig Uyghur
uk ukr Ukrainian
ur urd Urdu
uz uzb uzn Uzbek
vi vie Vietnamese
wo wol Wolof
xh xho Xhosa
yi yid ydd Yiddish
yo yor Yoruba
yue yue Cantonese
zh zho cmn chi Chinese Mandarin
zu zul Zulu";

/// The language part of a code or name, lower case: `de` of `de_DE`, `deu` of `deu_Latn`,
/// `de` of `__de__`, `german` of `German`.
fn base(code: &str) -> String {
    let code = code.trim_matches('_').to_lowercase();
    code.split(['_', '-', '.', '@', ' ']).next().unwrap_or("").to_string()
}

/// Whether two codes, of any of the systems, mean one language.
pub fn is_same_language(a: &str, b: &str) -> bool {
    let (a, b) = (base(a), base(b));
    if a.is_empty() || b.is_empty() {
        return false;
    }
    a == b
        || TABLE.lines().any(|line| {
            let has = |code: &str| line.split(' ').any(|w| w.eq_ignore_ascii_case(code));
            has(&a) && has(&b)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_two_codes_and_end_with_a_name() {
        for line in TABLE.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(words.len() >= 3, "{line}");
            assert!(words[0].len() <= 3 && words[1].len() == 3, "{line}");
            assert!(words[words.len() - 1].starts_with(char::is_uppercase), "{line}");
        }
        let mut first: Vec<&str> = TABLE.lines().filter_map(|l| l.split(' ').next()).collect();
        let n = first.len();
        first.dedup();
        assert_eq!(first.len(), n);
    }

    #[test]
    fn same_language_across_systems() {
        for (a, b) in [("de", "deu_Latn"), ("zh_CN", "cmn"), ("NO", "nob_Latn"), ("hy", "Armenian")]
        {
            assert!(is_same_language(a, b) && is_same_language(b, a), "{a} {b}");
        }
        for (a, b) in [("de", "nl"), ("", "de"), ("xx", "yy"), ("uk", "ru")] {
            assert!(!is_same_language(a, b), "{a} {b}");
        }
    }
}
