//! Ranks by language, resource group and module: what `2;2;8` and `high=2,de=4,*=8` mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::formats::neurons::split_pair;
use crate::formats::peft::is_suffix;
use crate::formats::placement::Placement;

/// Resource groups of the published notation, in its order.
const TIERS: [&str; 4] = ["high", "medium", "low", "very-low"];

/// The rank of every adapter, and of modules that have one of their own.
pub struct Ranks {
    by_adapter: BTreeMap<String, usize>,
    by_module: BTreeMap<String, usize>,
}

/// A rank as it is written.
pub fn parse_rank(text: &str) -> Result<usize> {
    match text.trim().parse::<usize>() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(Error::usage(format!("`{}` is not a rank", text.trim()))
            .expected("a whole number above 0")),
    }
}

/// Items of `--lora-rank`: ranks by name, and ranks without one.
struct Rules<'a> {
    named: BTreeMap<&'a str, usize>,
    positional: Vec<usize>,
}

impl<'a> Rules<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let mut rules = Self { named: BTreeMap::new(), positional: Vec::new() };
        for item in text.split([';', ',']).map(str::trim) {
            match item.split_once('=') {
                Some((name, rank)) => {
                    let name = name.trim();
                    if rules.named.insert(name, parse_rank(rank)?).is_some() {
                        return Err(Error::usage(format!("the rank of `{name}` is given twice")));
                    }
                }
                None => rules.positional.push(parse_rank(item)?),
            }
        }
        Ok(rules)
    }
}

impl Ranks {
    /// Reads the rules of all adapters of a placement; `label` gives the resource group of a
    /// language. Of an adapter's languages the one with the largest rank counts.
    ///
    /// # Errors
    /// Usage: a rule that decides nothing, or an adapter without a rank.
    pub fn resolve(
        text: &str,
        modules: &[String],
        placement: &Placement,
        label: &dyn Fn(&str) -> Result<Option<String>>,
    ) -> Result<Self> {
        let flag = |e: Error| e.flag("--lora-rank");
        let by_module = module_ranks(modules, placement)?;
        let Rules { mut named, positional } = Rules::parse(text).map_err(flag)?;
        let mut labels: BTreeMap<&str, String> = BTreeMap::new();
        for lang in placement.languages.keys() {
            if let Some(own) = label(lang)? {
                labels.insert(lang, own);
            }
        }
        let mut used: BTreeSet<&str> = ["*"].into();
        let mut default = named.get("*").copied();
        match positional.as_slice() {
            [] => {}
            [one] => {
                if default.replace(*one).is_some() {
                    return Err(flag(Error::usage("the rank of `*` is given twice")));
                }
            }
            several => {
                let tiers: Vec<&str> =
                    TIERS.into_iter().filter(|t| labels.values().any(|own| own == t)).collect();
                if tiers.len() != several.len() {
                    return Err(flag(
                        Error::usage("as many ranks as labels are needed")
                            .found(format!(
                                "{} ranks, labels {}",
                                several.len(),
                                if tiers.is_empty() { "(none)".into() } else { tiers.join(", ") }
                            ))
                            .expected(
                                "one rank each for high, medium, low and very-low, as far as \
                                 there are languages",
                            )
                            .hint(
                                "`--lora-groups FILE` labels languages; `label=R` gives the rank \
                                 of a label",
                            ),
                    ));
                }
                for (tier, rank) in tiers.into_iter().zip(several) {
                    named.entry(tier).or_insert(*rank);
                    used.insert(tier);
                }
            }
        }
        let mut by_adapter = BTreeMap::new();
        for adapter in &placement.adapters {
            if let Some((name, rank)) = named.get_key_value(adapter.as_str()) {
                used.insert(name);
                by_adapter.insert(adapter.clone(), *rank);
                continue;
            }
            let members = members(placement, adapter);
            let mut ranks: Vec<usize> = Vec::new();
            for &lang in &members {
                let own = labels.get(lang).map(String::as_str);
                let found = named.get_key_value(lang).or_else(|| named.get_key_value(own?));
                if let Some((name, rank)) = found {
                    used.insert(name);
                    ranks.push(*rank);
                } else if let Some(rank) = default {
                    ranks.push(rank);
                } else {
                    return Err(flag(
                        Error::usage(format!("language `{lang}` has no rank"))
                            .found(match own {
                                Some(own) => format!("its label is `{own}`"),
                                None => "it has no label".into(),
                            })
                            .hint(format!(
                                "add `,{lang}=R`, or `,*=R` for all others; `--lora-groups FILE` \
                                 gives languages labels"
                            )),
                    ));
                }
            }
            if members.is_empty() {
                ranks.extend(default);
            }
            let rank = ranks.into_iter().max().ok_or_else(|| {
                flag(
                    Error::usage(format!("adapter `{adapter}` has no rank"))
                        .hint("give one number for all"),
                )
            })?;
            by_adapter.insert(adapter.clone(), rank);
        }
        if let Some(name) = named.keys().find(|n| !used.contains(*n)) {
            let known = placement.languages.keys().map(String::as_str);
            let known: BTreeSet<&str> = known.chain(labels.values().map(String::as_str)).collect();
            return Err(flag(
                Error::usage(format!("no language or label is called `{name}`"))
                    .expected(known.iter().copied().collect::<Vec<_>>().join(", "))
                    .suggest(name, known),
            ));
        }
        Ok(Self { by_adapter, by_module })
    }

    /// Whether a module has a rank of its own.
    pub fn is_of_module(&self, path: &str) -> bool {
        self.by_module.keys().any(|name| is_suffix(path, name))
    }

    /// The rank of an adapter at a module, given by full path; 0 for an adapter that is not there.
    pub fn of(&self, adapter: &str, path: &str) -> usize {
        let own = self.by_module.iter().filter(|(name, _)| is_suffix(path, name));
        // The longest name says most.
        let own = own.max_by_key(|(name, _)| name.len()).map(|(_, rank)| *rank);
        own.or_else(|| self.by_adapter.get(adapter).copied()).unwrap_or(0)
    }
}

/// Languages behind an adapter; one of a direction has those of its directions.
fn members<'a>(placement: &'a Placement, adapter: &str) -> BTreeSet<&'a str> {
    let own = placement.languages.iter().filter(|(_, l)| l.adapter == adapter);
    let own = own.map(|(code, _)| code.as_str());
    let pairs = placement.directions.iter().filter(|(_, a)| *a == adapter);
    let pairs = pairs.filter_map(|(pair, _)| split_pair(pair)).flat_map(|(s, t)| [s, t]);
    own.chain(pairs).collect()
}

fn module_ranks(texts: &[String], placement: &Placement) -> Result<BTreeMap<String, usize>> {
    let flag = |e: Error| e.flag("--lora-module-rank");
    let mut out: BTreeMap<String, usize> = BTreeMap::new();
    for text in texts {
        let (name, rank) = text
            .split_once('=')
            .ok_or_else(|| flag(Error::usage(format!("`{text}` is not MODULE=R"))))?;
        if !placement.modules().any(|(.., m, _)| is_suffix(m, name)) {
            let own: BTreeSet<&str> = placement.modules().map(|(_, _, m, _)| m).collect();
            return Err(flag(
                Error::usage(format!("no update is at a module `{name}`"))
                    .expected(own.iter().copied().collect::<Vec<_>>().join(", "))
                    .suggest(name, own),
            ));
        }
        let rank = parse_rank(rank).map_err(flag)?;
        if out.insert(name.to_string(), rank).is_some() {
            return Err(flag(Error::usage(format!("the rank of `{name}` is given twice"))));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::placement::{Index, Layer};
    use crate::methods::placement_for;

    fn placement(index: Index, share: &dyn Fn(&str) -> Result<String>) -> Placement {
        let layer: Layer = ["fc1", "self_attn.q_proj", "encoder_attn.q_proj"]
            .map(|m| (m.to_string(), index))
            .into();
        let placement = Placement { encoder: vec![layer], ..Placement::default() };
        let pairs = [("en", "de"), ("de", "en"), ("en", "hi"), ("hi", "en")];
        let pairs: Vec<_> = pairs.map(|(s, t)| (s.to_string(), t.to_string())).into();
        placement_for(placement, &pairs, &[], share).unwrap()
    }

    fn label(lang: &str) -> Result<Option<String>> {
        Ok(match lang {
            "de" => Some("high".into()),
            "hi" => Some("low".into()),
            _ => None,
        })
    }

    #[test]
    fn rules_by_group_language_and_module() {
        let own = |l: &str| Ok(l.to_string());
        let p = placement(Index::Source, &own);
        let rank = |text: &str, modules: &[&str]| {
            let modules: Vec<String> = modules.iter().map(|m| m.to_string()).collect();
            Ranks::resolve(text, &modules, &p, &label)
        };
        let fc1 = "model.encoder.layers.0.fc1";
        let q = "model.encoder.layers.0.self_attn.q_proj";
        let r = rank("2;8;en=3", &["q_proj=4", "self_attn.q_proj=5"]).unwrap();
        assert_eq!(["de", "hi", "en"].map(|a| r.of(a, fc1)), [2, 8, 3]);
        assert_eq!(r.of("hi", q), 5, "the longer name wins");
        assert_eq!(r.of("hi", "model.encoder.layers.0.encoder_attn.q_proj"), 4);
        let r = rank("low=8,de=1,*=4", &[]).unwrap();
        assert_eq!(["de", "hi", "en"].map(|a| r.of(a, fc1)), [1, 8, 4]);
        assert_eq!(rank("6", &[]).unwrap().of("en", fc1), 6);
        for (text, says) in [
            ("2;8", "`en` has no rank"),
            ("2;2;8", "as many ranks as labels"),
            ("0", "not a rank"),
            ("x", "not a rank"),
            ("4,hig=2", "did you mean `high`"),
            ("4,de=2,de=3", "`de` is given twice"),
            ("4;*=3", "`*` is given twice"),
        ] {
            let e = rank(text, &[]).err().unwrap().to_string();
            assert!(e.contains(says), "{text}: {e}");
        }
        assert!(rank("4", &["fc3=2"]).err().unwrap().to_string().contains("did you mean `fc1`"));
        // Shared and direction adapters: the largest rank of their languages, dashes or not.
        let family = |l: &str| Ok(if l == "hi" { "Indo-Aryan" } else { "West" }.to_string());
        let p = placement(Index::Direction, &family);
        let r = Ranks::resolve("high=2;low=8;*=1", &[], &p, &label).unwrap();
        assert_eq!(r.of("West-Indo-Aryan", fc1), 8);
        assert_eq!(r.of("West-West", fc1), 2);
    }
}
