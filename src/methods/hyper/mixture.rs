//! A language as a mixture of others: `0.7*es+0.3*fr`, `mean(es,fr)`, or `es` alone.

use std::fmt;

use crate::error::{Error, Result};

/// Languages with weights that sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture(Vec<(f64, String)>);

impl Mixture {
    /// `pt=0.7*es+0.3*fr` as name and mixture.
    ///
    /// # Errors
    /// Usage: not of this form, or weights that do not sum to 1.
    pub fn parse_named(text: &str) -> Result<(String, Self)> {
        match text.split_once('=') {
            Some((name, mixture)) if !name.trim().is_empty() => {
                Ok((name.trim().to_string(), Self::parse(mixture)?))
            }
            _ => Err(Error::usage(format!("`{text}` does not say what it is a mixture of"))
                .expected("such as `pt=0.7*es+0.3*fr`, `pt=mean(es,fr)` or `pt=es`")),
        }
    }

    /// Without a name.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bad = |what: &str| {
            Error::usage(format!("`{text}` is no mixture: {what}"))
                .expected("such as `0.7*es+0.3*fr`, `mean(es,fr)` or `es`")
        };
        let terms: Vec<(f64, String)> = if let Some(list) = text.strip_prefix("mean(") {
            let list = list.strip_suffix(')').ok_or_else(|| bad("a bracket is not closed"))?;
            let names: Vec<&str> = list.split(',').map(str::trim).collect();
            let share = 1.0 / names.len() as f64;
            names.into_iter().map(|n| (share, n.to_string())).collect()
        } else {
            let parts: Vec<&str> = text.split('+').map(str::trim).collect();
            let one = parts.len() == 1;
            let term = |part: &str| match part.split_once('*') {
                Some((weight, name)) => {
                    let weight: f64 = weight
                        .trim()
                        .parse()
                        .map_err(|_| bad(&format!("`{}` is no number", weight.trim())))?;
                    Ok((weight, name.trim().to_string()))
                }
                None if one => Ok((1.0, part.to_string())),
                None => Err(bad(&format!("`{part}` has no weight"))),
            };
            parts.into_iter().map(term).collect::<Result<_>>()?
        };
        for (i, (weight, name)) in terms.iter().enumerate() {
            if name.is_empty() || name.contains(['*', '(', ')', '=', ' ']) {
                return Err(bad(&format!("`{name}` is no language")));
            }
            if !weight.is_finite() || *weight < 0.0 {
                return Err(bad(&format!("the weight of `{name}` is {weight}")));
            }
            if terms[..i].iter().any(|t| t.1 == *name) {
                return Err(bad(&format!("`{name}` stands there twice")));
            }
        }
        let sum: f64 = terms.iter().map(|t| t.0).sum();
        if (sum - 1.0).abs() > 1e-3 {
            return Err(bad(&format!("its weights sum to {sum}, not to 1")));
        }
        Ok(Self(terms))
    }

    /// Weight and language of each term.
    pub fn terms(&self) -> &[(f64, String)] {
        &self.0
    }
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, one)] = &self.0[..] {
            return f.write_str(one);
        }
        for (i, (weight, name)) in self.0.iter().enumerate() {
            write!(f, "{}{weight}*{name}", if i == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_mixture() {
        let (name, m) = Mixture::parse_named("pt = 0.7*es + 0.3*fr").unwrap();
        assert_eq!((name.as_str(), m.to_string().as_str()), ("pt", "0.7*es+0.3*fr"));
        assert_eq!(Mixture::parse("es").unwrap().terms(), [(1.0, "es".to_string())]);
        let mean = Mixture::parse("mean(es, fr,it)").unwrap();
        assert!(mean.terms().iter().all(|t| (t.0 - 1.0 / 3.0).abs() < 1e-12));
        assert_eq!(mean.terms()[2].1, "it");
        for (bad, says) in [
            ("0.7*es+0.2*fr", "sum to 0.8999"),
            ("es+fr", "no weight"),
            ("x*es", "no number"),
            ("mean(es,fr", "not closed"),
            ("mean()", "no language"),
            ("-0.5*es+1.5*fr", "weight of `es` is -0.5"),
            ("0.5*es+0.5*es", "twice"),
            ("nan*es", "weight of `es` is NaN"),
            ("", "no language"),
        ] {
            let e = Mixture::parse(bad).unwrap_err();
            assert!(e.to_string().contains(says), "{bad}: {e}");
            assert_eq!(e.exit_code() as i32, 2);
        }
        assert!(Mixture::parse_named("es").is_err() && Mixture::parse_named("=es").is_err());
    }
}
