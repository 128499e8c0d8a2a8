//! `--k` and its refinements by side and direction.

use super::Args;
use crate::cli::Context;
use crate::error::{Error, Result};
use crate::formats::neurons::{Side, split_pair};
use crate::profiling::Share;

/// A pattern of directions: languages or `*` on either side of the dash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directions(String, String);

impl Directions {
    pub fn parse(text: &str, flag: &str) -> Result<Self> {
        match split_pair(text) {
            Some((src, tgt)) => Ok(Self(src.into(), tgt.into())),
            None => Err(Error::usage(format!("`{text}` names no directions"))
                .flag(flag)
                .expected("`en-de`, `en-*` or `*-en`")),
        }
    }
    pub fn fits(&self, lang_pair: &str) -> bool {
        let fits = |pattern: &str, lang: &str| pattern == "*" || pattern == lang;
        split_pair(lang_pair).is_some_and(|(s, t)| fits(&self.0, s) && fits(&self.1, t))
    }
}

/// The share to account for, by direction and side.
pub struct Thresholds {
    sides: [Share; 2],
    rules: Vec<(String, Directions, Option<Side>, Share)>,
}

/// A percentage; a number below 1 is a fraction, as no one keeps less than one per cent.
pub fn parse_k(text: &str, flag: &str, context: &Context) -> Result<Share> {
    let share: Share = text.parse().map_err(|e: Error| e.flag(flag))?;
    if !share.looks_like_a_fraction() {
        return Ok(share);
    }
    let share = share.times_100();
    context.report.warning(
        &Error::usage(format!("`{flag} {text}` is read as {share} per cent"))
            .hint(format!("write `{flag} {share}`")),
    );
    Ok(share)
}

impl Thresholds {
    pub fn new(args: &Args, context: &Context) -> Result<Self> {
        let k = parse_k(&args.k, "--k", context)?;
        let side = |text: &Option<String>, flag: &str| match text {
            Some(text) => parse_k(text, flag, context),
            None => Ok(k),
        };
        let sides = [side(&args.k_encoder, "--k-encoder")?, side(&args.k_decoder, "--k-decoder")?];
        let rules = args.k_for.iter().map(|text| {
            let bad = || {
                Error::usage(format!("`{text}` cannot be read"))
                    .flag("--k-for")
                    .expected("such as `en-*=90` or `*-en:decoder=85`")
            };
            let (who, k) = text.split_once('=').ok_or_else(bad)?;
            let (who, side) = match who.split_once(':') {
                Some((who, side)) => (who, Some(Side::parse(side).ok_or_else(bad)?)),
                None => (who, None),
            };
            let directions = Directions::parse(who, "--k-for")?;
            Ok((text.clone(), directions, side, parse_k(k, "--k-for", context)?))
        });
        Ok(Self { sides, rules: rules.collect::<Result<_>>()? })
    }

    pub fn of(&self, lang_pair: &str, side: Side) -> Share {
        let rule = self
            .rules
            .iter()
            .rev()
            .find(|(_, d, s, _)| d.fits(lang_pair) && s.is_none_or(|s| s == side));
        match rule {
            Some((.., share)) => *share,
            None => self.sides[usize::from(side == Side::Decoder)],
        }
    }

    /// A rule that fits none of the directions.
    pub fn unused(&self, lang_pairs: &[String]) -> Option<&str> {
        let fits = |d: &Directions| lang_pairs.iter().any(|p| d.fits(p));
        self.rules.iter().find(|(_, d, ..)| !fits(d)).map(|(text, ..)| text.as_str())
    }

    /// The one share that is used throughout, if there is only one.
    pub fn single(&self) -> Option<Share> {
        (self.rules.is_empty() && self.sides[0] == self.sides[1]).then_some(self.sides[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let fits = |p: &str, d: &str| Directions::parse(p, "--x").unwrap().fits(d);
        assert!(fits("en-*", "en-de") && !fits("en-*", "de-en"));
        assert!(fits("*-*", "en-de") && fits("en-de", "en-de") && !fits("en-de", "en-fr"));
        assert!(
            Directions::parse("en", "--x").is_err() && Directions::parse("-de", "--x").is_err()
        );
    }
}
