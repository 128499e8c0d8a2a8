//! Whether adapters and placement belong together: each adapter has exactly the sites at which a
//! language or direction uses it.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::Shapes;
use super::{Position, Site};
use crate::error::{Error, Result};
use crate::formats::placement::{Index, Language, Placement, SHARED};

/// # Errors
/// Artifact: an adapter or a site that is missing, or that nobody uses.
pub(super) fn check(placement: &Placement, shapes: &Shapes) -> Result<()> {
    for name in shapes.keys() {
        if placement.empty.contains(name) {
            let what = format!("adapter `{name}` is listed as empty, and is there");
            return Err(Error::artifact(what).key("empty"));
        }
        if !placement.adapters.contains(name) {
            return Err(Error::artifact("an adapter has no place in the set")
                .found(format!("`{name}`"))
                .suggest(name, placement.adapters.iter().map(String::as_str))
                .hint("remove it, or add it to `adapters` of the placement"));
        }
    }
    let listed = || placement.adapters.difference(&placement.empty);
    if let Some(name) = listed().find(|n| !shapes.contains_key(*n)) {
        return Err(Error::artifact(format!("adapter `{name}` is missing")).key("adapters"));
    }
    let users = Users::of(placement);
    let mut used: BTreeMap<Site, &BTreeSet<&str>> = BTreeMap::new();
    for (side, layer, module, index) in placement.modules() {
        // Other modules than positions were refused when the placement was read.
        let Some(position) = Position::parse(module) else { continue };
        let site = Site { side, layer, position };
        let by = users.get(index);
        for name in by.iter().filter(|n| !placement.empty.contains(**n)) {
            if !shapes.get(*name).is_some_and(|sites| sites.contains_key(&site)) {
                return Err(Error::artifact(format!("adapter `{name}` has no values for {site}")));
            }
        }
        used.insert(site, by);
    }
    for (name, sites) in shapes {
        for (site, bottleneck) in sites {
            if !used.get(site).is_some_and(|by| by.contains(name.as_str())) {
                return Err(Error::artifact("the placement has no use for values of an adapter")
                    .found(format!("`{name}` at {site}")));
            }
            if *bottleneck == 0 {
                return Err(Error::artifact(format!("adapter `{name}` has no width at {site}")));
            }
        }
    }
    Ok(())
}

/// Names of the adapters that each kind of index leads to.
struct Users<'a> {
    source: BTreeSet<&'a str>,
    target: BTreeSet<&'a str>,
    mixed: BTreeSet<&'a str>,
    direction: BTreeSet<&'a str>,
    shared: BTreeSet<&'a str>,
}

impl<'a> Users<'a> {
    fn of(placement: &'a Placement) -> Self {
        let by = |used: fn(&Language) -> bool| -> BTreeSet<&'a str> {
            let languages = placement.languages.values().filter(|l| used(l));
            languages.map(|l| l.adapter.as_str()).collect()
        };
        Self {
            source: by(|l| l.source),
            target: by(|l| l.target),
            mixed: by(|l| l.source || l.target),
            direction: placement.directions.values().map(String::as_str).collect(),
            shared: [SHARED].into(),
        }
    }

    fn get(&self, index: Index) -> &BTreeSet<&'a str> {
        match index {
            Index::Source => &self.source,
            Index::Target => &self.target,
            Index::Mixed(_) => &self.mixed,
            Index::Direction => &self.direction,
            Index::Shared => &self.shared,
        }
    }
}
