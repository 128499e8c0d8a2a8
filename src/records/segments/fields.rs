//! The fields of one segment under all their names, and a line of JSON Lines read without building
//! what nobody asks for.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Segment;
use crate::error::{Error, Result};
use crate::io::Line;
use crate::records::parallel::sides;

/// A value of a record, as far as scoring looks at it.
pub(super) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A number or truth value in its JSON spelling.
    Scalar(String),
    List(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::Scalar(_) => "a number or truth value",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(v.to_string())))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
                Ok(Value::Scalar(v.to_string()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Value::Scalar(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Value::Scalar(v.to_string()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
                Ok(Value::Scalar(v.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(v) = seq.next_element()? {
                    list.push(v);
                }
                Ok(Value::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Vec::new();
                while let Some(Key(k)) = map.next_key()? {
                    object.push((k, map.next_value()?));
                }
                Ok(Value::Object(object))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A key, borrowed from the line unless it holds escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_string())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Names that a record may use, in the order of preference.
pub(super) const HYP_NAMES: [&str; 3] = ["hyp", "mt", "translation"];
pub(super) const REF_NAMES: [&str; 3] = ["refs", "tgt", "ref"];

/// Collects the fields of one record, in any order.
#[derive(Default)]
pub(super) struct Collector<'a> {
    kind: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    src_lang: Option<Cow<'a, str>>,
    tgt_lang: Option<Cow<'a, str>>,
    hyps: [Option<Cow<'a, str>>; 3],
    /// `refs`, `tgt`, `ref`; none where the field is absent.
    refs: [Vec<Cow<'a, str>>; 3],
    /// A `translation` object: texts by language.
    translation: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    fields: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Collector<'a> {
    /// Ready for `num_fields` fields beyond the usual ones.
    pub(super) fn new(num_fields: usize) -> Self {
        Self { fields: vec![None; num_fields], ..Self::default() }
    }

    pub(super) fn put(&mut self, name: &str, value: Value<'a>, wanted: &[String]) -> Result<()> {
        let wrong = |value: &Value<'_>, expected: &str| {
            Err(Error::data(format!("field `{name}` is not {expected}"))
                .field(name)
                .found(value.kind())
                .expected(expected.to_string()))
        };
        if let Some(at) = wanted.iter().position(|w| w == name) {
            self.fields[at] = match &value {
                Value::Null => None,
                Value::Text(t) => Some(t.clone()),
                Value::Scalar(t) => Some(Cow::Owned(t.clone())),
                _ => return wrong(&value, "text or a number"),
            };
        }
        match name {
            "id" => match value {
                Value::Null => {}
                Value::Text(t) => self.id = Some(t),
                Value::Scalar(t) => self.id = Some(Cow::Owned(t)),
                _ => return wrong(&value, "text or a number"),
            },
            "refs" => match value {
                Value::Null => {}
                Value::Text(t) => self.refs[0] = vec![t],
                // A null stands for a reference this segment lacks, as in sacrebleu.
                Value::List(list) => {
                    self.refs[0].clear();
                    for v in list {
                        match v {
                            Value::Null => {}
                            Value::Text(t) => self.refs[0].push(t),
                            _ => return wrong(&v, "a list of texts"),
                        }
                    }
                }
                _ => return wrong(&value, "a list of texts"),
            },
            "translation" => match value {
                Value::Object(sides) => {
                    for (language, text) in sides {
                        match text {
                            Value::Text(t) => self.translation.push((language, t)),
                            _ => return wrong(&text, "text by language"),
                        }
                    }
                }
                Value::Text(t) => self.hyps[2] = Some(t),
                Value::Null => {}
                _ => return wrong(&value, "text"),
            },
            _ => {
                let slot = match name {
                    "type" => &mut self.kind,
                    "signature" => &mut self.signature,
                    "src_lang" => &mut self.src_lang,
                    "tgt_lang" => &mut self.tgt_lang,
                    "hyp" => &mut self.hyps[0],
                    "mt" => &mut self.hyps[1],
                    "tgt" | "ref" => {
                        let at = if name == "tgt" { 1 } else { 2 };
                        match value {
                            Value::Null => {}
                            Value::Text(t) => self.refs[at] = vec![t],
                            _ => return wrong(&value, "text"),
                        }
                        return Ok(());
                    }
                    _ => return Ok(()),
                };
                match value {
                    Value::Null => {}
                    Value::Text(t) => *slot = Some(t),
                    _ => return wrong(&value, "text"),
                }
            }
        }
        Ok(())
    }

    /// The segment; `defaults` are source and target of records that name none.
    ///
    /// # Errors
    /// Data: the reference is in a `translation` object that does not say which of its texts it is.
    pub(super) fn finish(mut self, line: u64, defaults: [Option<&str>; 2]) -> Result<Segment<'a>> {
        let mut refs = self.refs.into_iter().find(|r| !r.is_empty()).unwrap_or_default();
        if !self.translation.is_empty() {
            let names: Vec<&str> = self.translation.iter().map(|(l, _)| &**l).collect();
            let own = [self.src_lang.as_deref(), self.tgt_lang.as_deref()];
            match sides(&names, own, defaults) {
                Ok([src, tgt]) => {
                    self.src_lang = Some(self.translation[src].0.clone());
                    self.tgt_lang = Some(self.translation[tgt].0.clone());
                    if refs.is_empty() {
                        refs.push(self.translation.swap_remove(tgt).1);
                    }
                }
                Err(e) if refs.is_empty() => return Err(e),
                // Of other languages than the record's own reference.
                Err(_) => {}
            }
        }
        Ok(Segment {
            id: self.id,
            src_lang: self.src_lang,
            tgt_lang: self.tgt_lang,
            hyp: self.hyps.into_iter().flatten().next(),
            refs,
            fields: self.fields,
            line,
        })
    }

    pub(super) fn is_known(name: &str, wanted: &[String]) -> bool {
        matches!(name, "type" | "signature" | "id" | "src_lang" | "tgt_lang")
            || HYP_NAMES.contains(&name)
            || REF_NAMES.contains(&name)
            || wanted.iter().any(|w| w == name)
    }
}

/// A line of JSON Lines: a segment, or a record of another kind.
pub(super) enum Parsed<'a> {
    Segment(Segment<'a>),
    /// The signature that a `header` carries.
    Other(Option<Cow<'a, str>>),
}

pub(super) fn parse_json<'a>(
    line: &'a Line,
    wanted: &[String],
    defaults: [Option<&str>; 2],
) -> Result<Parsed<'a>> {
    struct Record<'w>(&'w [String]);
    impl<'de> Visitor<'de> for Record<'_> {
        type Value = Result<Collector<'de>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut collector = Collector::new(self.0.len());
            let mut fault = None;
            while let Some(Key(name)) = map.next_key()? {
                if Collector::is_known(&name, self.0) {
                    let value = map.next_value()?;
                    if let (None, Err(e)) = (&fault, collector.put(&name, value, self.0)) {
                        fault = Some(e);
                    }
                } else {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
            Ok(match fault {
                None => Ok(collector),
                Some(e) => Err(e),
            })
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(&line.text);
    let collector = (&mut deserializer)
        .deserialize_map(Record(wanted))
        .and_then(|c| deserializer.end().map(|()| c))
        .map_err(|e| {
            Error::data("not a JSON object")
                .cause(e.to_string())
                .hint("each line must be one object; `--input-format text` reads plain lines")
        })??;
    // A stream may hold a header and a summary; readers pass over kinds they do not know.
    match collector.kind.as_deref() {
        None | Some("translation") => collector.finish(line.number, defaults).map(Parsed::Segment),
        Some(_) => Ok(Parsed::Other(collector.signature)),
    }
}
