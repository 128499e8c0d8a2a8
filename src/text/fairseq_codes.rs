//! The languages of M2M-100's tokenizers, in the order of their marks' ids
//! (transformers: `models/m2m_100/tokenization_m2m_100.py`, `FAIRSEQ_LANGUAGE_CODES`).

/// `language_codes` of tokenizer_config.json when it has none.
pub const DEFAULT: &str = "m2m100";

/// The codes of a list by its name.
pub fn list(name: &str) -> Option<impl Iterator<Item = &'static str>> {
    let codes = match name {
        DEFAULT => M2M100,
        "wmt21" => "en ha is ja cs ru zh de",
        _ => return None,
    };
    Some(codes.split_ascii_whitespace())
}

const M2M100: &str = "\
    af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha \
    he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my \
    ne nl no ns oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi \
    wo xh yi yo zh zu";

#[cfg(test)]
mod tests {
    #[test]
    fn lists_have_the_published_places() {
        let m2m: Vec<&str> = super::list("m2m100").unwrap().collect();
        // From the published added tokens: `__af__` 128004, `__en__` 128022, `__zu__` 128103.
        let place = |code: &str| m2m.iter().position(|c| *c == code);
        assert_eq!(
            (m2m.len(), place("af"), place("en"), place("zu")),
            (100, Some(0), Some(18), Some(99))
        );
        assert_eq!((place("pt"), place("ar")), (Some(71), Some(2)));
        assert_eq!(super::list("wmt21").unwrap().last(), Some("de"));
        assert!(super::list("m2m").is_none());
    }
}
