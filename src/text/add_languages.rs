//! More languages for a tokenizer that exists: marks behind its last id, and entries in the files
//! beside it that list the marks. Everything old keeps its id.

use serde_json::Value;

use super::languages::{Languages, check_language_code, language_of_mark, mark_of};
use crate::error::{Error, ErrorKind, Result};

/// A language's mark in a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub code: String,
    /// As the tokenizer spells it: `__de__` or `deu_Latn`.
    pub token: String,
    pub id: u32,
}

/// A mark that was added, and the one it is spelt, flagged and listed like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMark {
    pub mark: Mark,
    pub sibling: Mark,
}

/// Gives each language a mark with the next id of a `tokenizer.json`. A language comes with the
/// code of the one whose mark is the pattern for its own; without, the last mark is.
///
/// # Errors
/// Usage: a code that the tokenizer has already, that is given twice, or that cannot be a mark in
/// the form of its pattern; a pattern that the tokenizer lacks. Artifact: no marks at all, or a
/// piece of text in the place of a new mark.
pub fn add_languages(tokenizer: &mut Value, new: &[(&str, Option<&str>)]) -> Result<Vec<NewMark>> {
    let marks = marks(tokenizer);
    let languages = Languages::new(marks.iter().map(|m| (m.code.clone(), m.id)));
    let Some(last) = marks.iter().max_by_key(|m| m.id) else {
        return Err(Error::artifact("tokenizer has no language marks").key("added_tokens"));
    };
    let mut out: Vec<NewMark> = Vec::new();
    for &(code, like) in new {
        let sibling = match like {
            Some(like) => {
                let id = languages.find(like, ErrorKind::Usage)?;
                marks.iter().find(|m| m.id == id).unwrap_or(last)
            }
            None => last,
        };
        if languages.contains(code) {
            return Err(Error::usage(format!("the model knows language `{code}` already")));
        }
        if out.iter().any(|n| n.mark.code == code) {
            return Err(Error::usage(format!("language `{code}` is given twice")));
        }
        let token = spelt_like(sibling, code)?;
        let id = u32::try_from(num_ids(tokenizer)).unwrap_or(u32::MAX);
        if has_piece(tokenizer, &token) {
            return Err(Error::artifact(format!("`{token}` is a piece of the tokenizer already"))
                .expected("no such piece, so that it can become a mark"));
        }
        let added =
            NewMark { mark: Mark { code: code.into(), token, id }, sibling: sibling.clone() };
        let tokens = tokenizer.get_mut("added_tokens").and_then(Value::as_array_mut);
        let entry = tokens.as_ref().and_then(|t| t.iter().find_map(|e| added.of_value(e)));
        if let (Some(tokens), Some(entry)) = (tokens, entry) {
            tokens.push(entry);
        }
        out.push(added);
    }
    Ok(out)
}

/// The language marks among the added tokens, in the order of the file.
fn marks(tokenizer: &Value) -> Vec<Mark> {
    let tokens = tokenizer["added_tokens"].as_array();
    let mark = |t: &Value| {
        let token = t["content"].as_str()?;
        let code = language_of_mark(token)?.to_string();
        Some(Mark { code, token: token.to_string(), id: u32::try_from(t["id"].as_u64()?).ok()? })
    };
    tokens.into_iter().flatten().filter_map(mark).collect()
}

fn spelt_like(sibling: &Mark, code: &str) -> Result<String> {
    let bare = sibling.token == sibling.code;
    if !bare {
        check_language_code(code, ErrorKind::Usage)?;
    }
    let token = if bare { code.to_string() } else { mark_of(code) };
    if language_of_mark(&token) != Some(code) {
        return Err(Error::usage(format!("`{code}` cannot be a mark of this tokenizer"))
            .expected(format!("a code in the form of `{}`", sibling.code)));
    }
    Ok(token)
}

/// One more than the largest id.
fn num_ids(tokenizer: &Value) -> u64 {
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
    let added = added.filter_map(|t| t["id"].as_u64()).max().map_or(0, |id| id.saturating_add(1));
    let pieces = match &tokenizer["model"]["vocab"] {
        Value::Object(vocab) => {
            vocab.values().filter_map(Value::as_u64).max().map_or(0, |id| id.saturating_add(1))
        }
        Value::Array(pieces) => pieces.len() as u64,
        _ => 0,
    };
    added.max(pieces)
}

fn has_piece(tokenizer: &Value, token: &str) -> bool {
    let mut added = tokenizer["added_tokens"].as_array().into_iter().flatten();
    let listed = match &tokenizer["model"]["vocab"] {
        Value::Object(vocab) => vocab.contains_key(token),
        Value::Array(pieces) => pieces.iter().any(|p| p[0] == token),
        _ => false,
    };
    listed || added.any(|t| t["content"] == token)
}

impl NewMark {
    /// Adds the mark to every list in `value` that holds its sibling: lists of marks (as text or as
    /// objects with `content`), maps between marks, codes and ids, and lists of all `codes` that
    /// the tokenizer had. Says whether there was one.
    pub fn list_in(&self, value: &mut Value, codes: &[String]) -> bool {
        match value {
            Value::Array(items) => {
                let mut changed = false;
                for item in items.iter_mut() {
                    changed |= self.list_in(item, codes);
                }
                let listed = |code: &String| items.iter().any(|i| i == code);
                let of_codes = codes.len() > 1 && codes.iter().all(listed);
                let entry = items
                    .iter()
                    .filter(|i| !i.is_number())
                    .find_map(|i| self.of_value(i))
                    .or_else(|| of_codes.then(|| self.mark.code.clone().into()));
                if let Some(entry) = entry.filter(|e| !items.contains(e)) {
                    items.push(entry);
                    changed = true;
                }
                changed
            }
            Value::Object(map) => {
                let mut changed = false;
                for value in map.values_mut() {
                    changed |= self.list_in(value, codes);
                }
                let of_entry = |(k, v): (&String, &Value)| {
                    let code = || (*v == self.sibling.code).then(|| self.mark.code.clone().into());
                    Some((self.of_key(k)?, self.of_value(v).or_else(code)?))
                };
                let entries: Vec<(String, Value)> = map.iter().filter_map(of_entry).collect();
                for (key, value) in entries {
                    if !map.contains_key(&key) {
                        map.insert(key, value);
                        changed = true;
                    }
                }
                changed
            }
            _ => false,
        }
    }

    /// What the new mark has where its sibling has this value: token, object of the token, or id.
    fn of_value(&self, value: &Value) -> Option<Value> {
        let Mark { token, id, .. } = &self.sibling;
        match value {
            Value::String(s) if s == token => Some(self.mark.token.clone().into()),
            Value::Number(n) if n.as_u64() == Some((*id).into()) => Some(self.mark.id.into()),
            Value::Object(map) if map.get("content").is_some_and(|c| c == token) => {
                let mut map = map.clone();
                map.insert("content".into(), self.mark.token.clone().into());
                if let Some(id) = map.get_mut("id") {
                    *id = self.mark.id.into();
                }
                Some(map.into())
            }
            _ => None,
        }
    }

    fn of_key(&self, key: &str) -> Option<String> {
        let Mark { code, token, id } = &self.sibling;
        if key == token {
            return Some(self.mark.token.clone());
        }
        if key == code {
            return Some(self.mark.code.clone());
        }
        (key == id.to_string()).then(|| self.mark.id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(id: u32, content: &str) -> Value {
        json!({"id": id, "content": content, "lstrip": true, "special": true})
    }

    fn m2m() -> Value {
        json!({
            "added_tokens": [token(0, "<s>"), token(3, "__de__"), token(4, "__ru__")],
            "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "b": 2}, "merges": []},
        })
    }

    fn nllb() -> Value {
        json!({
            "added_tokens": [token(0, "<s>"), token(2, "deu_Latn"), token(3, "rus_Cyrl"),
                             token(4, "<mask>")],
            "model": {"type": "Unigram", "vocab": [["<s>", 0.0], ["a", -1.5]]},
        })
    }

    #[test]
    fn marks_follow_the_last_id_in_the_form_of_their_siblings() {
        let mut t = m2m();
        let new = add_languages(&mut t, &[("nl", Some("de")), ("pt_BR", None)]).unwrap();
        assert_eq!(new[0].mark, Mark { code: "nl".into(), token: "__nl__".into(), id: 5 });
        assert_eq!((&*new[0].sibling.code, &*new[1].sibling.code), ("de", "ru"));
        let mut expected = m2m();
        let added = expected["added_tokens"].as_array_mut().unwrap();
        added.extend([token(5, "__nl__"), token(6, "__pt_BR__")]);
        assert_eq!(t, expected);

        // Special tokens may stand behind the marks.
        let mut t = nllb();
        let new = add_languages(&mut t, &[("bul_Cyrl", Some("rus_Cyrl"))]).unwrap();
        assert_eq!((&*new[0].mark.token, new[0].mark.id), ("bul_Cyrl", 5));
        assert_eq!(t["added_tokens"][4], token(5, "bul_Cyrl"));
        assert_eq!(t["model"], nllb()["model"]);

        // The vocabulary may be longer than the added tokens.
        let mut t = nllb();
        t["model"]["vocab"] = json!([["<s>", 0], ["a", 0], ["b", 0], ["c", 0], ["d", 0], ["e", 0]]);
        assert_eq!(add_languages(&mut t, &[("nld_Latn", None)]).unwrap()[0].mark.id, 6);
    }

    #[test]
    fn what_cannot_be_added_is_said() {
        for (mut tokenizer, new, code, text) in [
            (m2m(), vec![("de", Some("ru"))], 2, "knows language `de` already"),
            (m2m(), vec![("nl", Some("de")), ("nl", None)], 2, "`nl` is given twice"),
            (m2m(), vec![("nl", Some("deu"))], 2, "did you mean `de`?"),
            (m2m(), vec![("nl", Some("de")), ("af", Some("nl"))], 2, "unknown language `nl`"),
            (m2m(), vec![("pt-BR", Some("de"))], 2, "write `pt_BR`"),
            (m2m(), vec![("", None)], 2, "cannot be a language code"),
            (nllb(), vec![("nl", Some("deu_Latn"))], 2, "in the form of `deu_Latn`"),
            (nllb(), vec![("nl", None)], 2, "in the form of `rus_Cyrl`"),
            (json!({"added_tokens": [], "model": {}}), vec![("nl", None)], 4, "no language marks"),
        ] {
            let e = add_languages(&mut tokenizer, &new).unwrap_err();
            assert_eq!(e.exit_code() as i32, code, "{e}");
            assert!(e.to_string().contains(text), "{e}");
        }
        let mut taken = m2m();
        taken["model"]["vocab"]["__nl__"] = 7.into();
        let e = add_languages(&mut taken, &[("nl", None)]).unwrap_err();
        assert_eq!(e.exit_code() as i32, 4);
    }

    #[test]
    fn lists_get_the_mark_and_nothing_else_does() {
        let new = add_languages(&mut m2m(), &[("nl", Some("de"))]).unwrap().remove(0);
        let codes = ["de".to_string(), "ru".to_string()];
        let list = |mut v: Value| {
            let changed = new.list_in(&mut v, &codes);
            (changed, v)
        };
        for (before, after) in [
            (json!(["__ru__", "__de__"]), json!(["__ru__", "__de__", "__nl__"])),
            (
                json!([{"content": "__de__", "id": 3, "x": 1}]),
                json!([{"content": "__de__", "id": 3, "x": 1}, {"content": "__nl__", "id": 5, "x": 1}]),
            ),
            (json!({"ru": 4, "de": 3}), json!({"ru": 4, "de": 3, "nl": 5})),
            (json!({"__de__": 3}), json!({"__de__": 3, "__nl__": 5})),
            (json!({"de": "__de__"}), json!({"de": "__de__", "nl": "__nl__"})),
            (json!({"3": "de"}), json!({"3": "de", "5": "nl"})),
            (
                json!({"3": {"content": "__de__"}}),
                json!({"3": {"content": "__de__"}, "5": {"content": "__nl__"}}),
            ),
            (json!({"a": [{"de": 3}]}), json!({"a": [{"de": 3, "nl": 5}]})),
            (json!(["en", "ru", "de"]), json!(["en", "ru", "de", "nl"])),
        ] {
            assert_eq!(list(before), (true, after.clone()));
            assert_eq!(list(after.clone()), (false, after), "listed already");
        }
        for other in [
            json!([3, 4]),
            json!(["__ru__", 3]),
            json!(["de"]),
            json!({"de": 4, "src_lang": "__de__", "3": 7}),
            json!("__de__"),
            json!(null),
        ] {
            assert_eq!(list(other.clone()), (false, other));
        }
    }
}
