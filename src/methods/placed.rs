//! Whose adapters a direction uses, LoRA and bottleneck adapters alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::formats::placement::{Index, Language, Layer, Placement, SHARED, check_name};

/// What to do for a language or direction without an adapter.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownLanguage {
    /// Stop
    #[default]
    Error,
    /// Use the base model where its adapter would stand
    Base,
}

/// The adapters of one layer; those it has no use for are left out, so that layers that do the same
/// for two directions are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerUse {
    pub(super) source: Option<String>,
    pub(super) target: Option<String>,
    pub(super) direction: Option<String>,
    pub(super) shared: bool,
    /// From a hyper-network: unlike a layer of the base model, also where no language matters.
    pub(super) generated: bool,
}

impl LayerUse {
    pub(super) fn of(&self, index: Index) -> Option<&str> {
        match index {
            Index::Source => self.source.as_deref(),
            Index::Target => self.target.as_deref(),
            Index::Direction => self.direction.as_deref(),
            Index::Shared => self.shared.then_some(SHARED),
            Index::Mixed(_) => None,
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let kinds = [Index::Source, Index::Target, Index::Direction, Index::Shared];
        kinds.into_iter().filter_map(|kind| self.of(kind))
    }
}

/// The adapters a direction uses, by layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetUse {
    pub encoder: Vec<LayerUse>,
    pub decoder: Vec<LayerUse>,
}

impl SetUse {
    /// Names of all adapters in use, each once, sorted.
    pub fn names(&self) -> BTreeSet<&str> {
        let layers = self.encoder.iter().chain(&self.decoder);
        layers.flat_map(LayerUse::names).collect()
    }
}

/// Which of source, target, direction and all the modules of a layer ask for.
fn asks(layer: &Layer) -> [bool; 4] {
    let any = |f: fn(Index) -> bool| layer.values().any(|i| f(*i));
    [
        any(|i| matches!(i, Index::Source | Index::Mixed(_))),
        any(|i| matches!(i, Index::Target | Index::Mixed(_))),
        any(|i| i == Index::Direction),
        any(|i| i == Index::Shared),
    ]
}

impl Placement {
    /// The adapters of a direction. `what` they are is said in errors: a LoRA, an adapter.
    ///
    /// # Errors
    /// Data: a language or direction has none and `unknown` says to stop.
    pub fn choose(
        &self,
        what: &str,
        src: &str,
        tgt: &str,
        unknown: UnknownLanguage,
    ) -> Result<SetUse> {
        let pair = format!("{src}-{tgt}");
        let only = &self.only;
        if !only.is_empty() && !only.contains(&pair) {
            if unknown == UnknownLanguage::Base {
                return Ok(SetUse::default());
            }
            let have: Vec<&str> = only.iter().map(String::as_str).collect();
            return Err(
                Error::data(format!("direction `{pair}` has no {what}")).expected(have.join(", "))
            );
        }
        let layer = |layer: &Layer| -> Result<LayerUse> {
            let [source, target, direction, shared] = asks(layer);
            let mut out = LayerUse { shared, ..LayerUse::default() };
            if source {
                out.source = self.language(what, src, ("source", |l| l.source), unknown)?;
            }
            if target {
                out.target = self.language(what, tgt, ("target", |l| l.target), unknown)?;
            }
            if direction {
                out.direction = self.direction(what, src, tgt, unknown)?;
            }
            Ok(out)
        };
        Ok(SetUse {
            encoder: self.encoder.iter().map(layer).collect::<Result<_>>()?,
            decoder: self.decoder.iter().map(layer).collect::<Result<_>>()?,
        })
    }

    /// What text of one language uses where the decoder takes no part, and so asks for nothing.
    ///
    /// # Errors
    /// As of [`Placement::choose`].
    pub fn choose_encoder(
        &self,
        what: &str,
        lang: &str,
        unknown: UnknownLanguage,
    ) -> Result<SetUse> {
        let mut own = self.clone();
        own.decoder.iter_mut().for_each(BTreeMap::clear);
        own.choose(what, lang, lang, unknown)
    }

    fn language(
        &self,
        what: &str,
        code: &str,
        (role, trained): (&str, fn(&Language) -> bool),
        unknown: UnknownLanguage,
    ) -> Result<Option<String>> {
        let languages = &self.languages;
        if let Some(language) = languages.get(code).filter(|l| trained(l)) {
            return Ok(Some(language.adapter.clone()));
        }
        if unknown == UnknownLanguage::Base {
            return Ok(None);
        }
        let have: Vec<&str> =
            languages.iter().filter(|(_, l)| trained(l)).map(|(c, _)| c.as_str()).collect();
        let message = match languages.contains_key(code) {
            true => format!("the {what} of `{code}` was not trained with it as {role} language"),
            false => format!("language `{code}` has no {what}"),
        };
        Err(Error::new(ErrorKind::Data, message)
            .expected(format!("as {role} one of {}", have.join(", ")))
            .suggest(code, have.iter().copied()))
    }

    fn direction(
        &self,
        what: &str,
        src: &str,
        tgt: &str,
        unknown: UnknownLanguage,
    ) -> Result<Option<String>> {
        let pair = format!("{src}-{tgt}");
        if let Some(adapter) = self.directions.get(&pair) {
            return Ok(Some(adapter.clone()));
        }
        if unknown == UnknownLanguage::Base {
            return Ok(None);
        }
        let have: Vec<&str> = self.directions.keys().map(String::as_str).collect();
        let shown = have[..have.len().min(12)].join(", ");
        let more = if have.len() > 12 { ", ..." } else { "" };
        Err(Error::data(format!("direction `{pair}` has no {what}"))
            .expected(format!("one of {shown}{more}"))
            .suggest(&pair, have.iter().copied()))
    }
}

/// The languages and adapters that directions need, and languages of which only the encoder reads.
/// `adapter_of` names the adapter of a language.
///
/// # Errors
/// A name that cannot be a directory's.
pub fn placement_for(
    mut placement: Placement,
    directions: &[(String, String)],
    encoded: &[String],
    adapter_of: &dyn Fn(&str) -> Result<String>,
) -> Result<Placement> {
    let indices: BTreeSet<&'static str> =
        placement.modules().map(|(.., index)| index.name()).collect();
    let has = |name: &str| indices.contains(name);
    let mixed = has("mixed");
    let mut languages: BTreeMap<String, Language> = BTreeMap::new();
    if has("source") || has("target") || has("direction") || mixed {
        let sources = directions.iter().map(|d| &d.0).chain(encoded).map(|l| (l, true));
        let targets = directions.iter().map(|d| (&d.1, false));
        for (code, is_source) in sources.chain(targets) {
            let adapter = adapter_of(code)?;
            let entry = Language { adapter, source: false, target: false };
            let language = languages.entry(code.clone()).or_insert(entry);
            language.source |= is_source;
            language.target |= !is_source;
        }
    }
    let mut adapters = BTreeSet::new();
    if has("shared") {
        adapters.insert(SHARED.to_string());
    }
    if has("source") || mixed {
        adapters.extend(languages.values().filter(|l| l.source).map(|l| l.adapter.clone()));
    }
    if has("target") || mixed {
        adapters.extend(languages.values().filter(|l| l.target).map(|l| l.adapter.clone()));
    }
    for name in &adapters {
        check_name(name)?;
    }
    if adapters.contains(SHARED) && languages.values().any(|l| l.adapter == SHARED) {
        return Err(Error::usage(format!("`{SHARED}` is the name of the adapter that all share")));
    }
    if has("direction") {
        // Named by the adapters of both languages: `de-en`, `Romance-en`.
        let mut owner: BTreeMap<String, (String, String)> = BTreeMap::new();
        let both = encoded.iter().map(|l| (l, l));
        for (src, tgt) in directions.iter().map(|(s, t)| (s, t)).chain(both) {
            let (s, t) = (languages[src].adapter.clone(), languages[tgt].adapter.clone());
            let name = format!("{s}-{t}");
            check_name(&name)?;
            let first = owner.entry(name.clone()).or_insert_with(|| (s.clone(), t.clone()));
            if *first != (s, t) || adapters.contains(&name) {
                return Err(Error::usage(format!("two adapters would be called `{name}`"))
                    .hint("use labels without a dash"));
            }
            placement.directions.insert(format!("{src}-{tgt}"), name);
        }
        adapters.extend(owner.into_keys());
    }
    placement.languages = languages;
    placement.adapters = adapters;
    Ok(placement)
}

/// Adapters that use a module.
pub fn users(placement: &Placement, index: Index) -> BTreeSet<&str> {
    let by = |used: fn(&Language) -> bool| {
        placement.languages.values().filter(move |l| used(l)).map(|l| l.adapter.as_str())
    };
    match index {
        Index::Source => by(|l| l.source).collect(),
        Index::Target => by(|l| l.target).collect(),
        Index::Mixed(_) => by(|_| true).collect(),
        Index::Shared => [SHARED].into(),
        Index::Direction => placement.directions.values().map(String::as_str).collect(),
    }
}
