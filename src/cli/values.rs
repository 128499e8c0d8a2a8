//! Value types of flags. Each reads itself from text and says what it expected when it cannot;
//! the texts become the cause of a usage error.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::io::Input;

/// Where to compute: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first accelerator this binary can open, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// That of this number; none for the first, or for that of this process among those of its machine.
    Cuda(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => match s.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(n)) => Ok(Self::Cuda(Some(n))),
                Some(Err(_)) => Err(Error::usage("the device number is not a whole number")
                    .hint("write `cuda:0` for the first accelerator")),
                None => Err(Error::usage("unknown device")
                    .expected("`auto`, `cpu`, `cuda` or `cuda:N`")
                    .suggest(s, ["auto", "cpu", "cuda"])),
            },
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(n)) => write!(f, "cuda:{n}"),
        }
    }
}

/// Number format of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Dtype {
    /// 32 bits
    F32,
    /// 16 bits with the range of f32; computed in f32
    Bf16,
    /// 16 bits; written by `export`, not computed with
    F16,
    /// 8 bits, a scale for each row; computed in integers
    Int8,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        })
    }
}

/// An input of a command: a path, or `-`.
pub fn parse_input(s: &str) -> std::result::Result<Input, std::convert::Infallible> {
    Ok(Input::parse(s))
}

/// Languages in one value: `de,fr`. In the order given, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LangList(pub Vec<String>);

impl FromStr for LangList {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let mut langs: Vec<String> = Vec::new();
        for lang in s.split(',').map(str::trim) {
            if lang.is_empty() {
                return Err(Error::usage("a language code is empty").hint("write `de,fr`"));
            }
            if lang.contains(char::is_whitespace) {
                return Err(Error::usage(format!("`{lang}` is no language code"))
                    .hint("separate languages by commas: `de,fr`"));
            }
            if langs.iter().any(|l| l == lang) {
                return Err(Error::usage(format!("language `{lang}` is listed twice")));
            }
            langs.push(lang.to_string());
        }
        Ok(Self(langs))
    }
}

impl fmt::Display for LangList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// A number of tokens (or of anything else that is counted): `4096`, `16k`, `1.5M`.
/// The suffixes are decimal: `k` is 1000, `M` a million, `G` a thousand million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

impl FromStr for Count {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let bad = || {
            Error::usage("not a count").expected("a whole number, or one such as `16k` or `1.5M`")
        };
        let (digits, unit) = match s.char_indices().last() {
            Some((i, 'k' | 'K')) => (&s[..i], 1_000u64),
            Some((i, 'm' | 'M')) => (&s[..i], 1_000_000),
            Some((i, 'g' | 'G')) => (&s[..i], 1_000_000_000),
            _ => (s, 1),
        };
        let digits = digits.replace('_', "");
        let (whole, part) = digits.split_once('.').unwrap_or((&digits, ""));
        let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        // In integers throughout: 0.1 has no exact binary form, a count must.
        if whole.is_empty() || !plain(whole) || !plain(part) || digits.ends_with('.') {
            return Err(bad());
        }
        let too_large = || Error::usage("the count is too large");
        let mut value = whole.parse::<u64>().map_err(|_| too_large())?;
        value = value.checked_mul(unit).ok_or_else(too_large)?;
        let mut step = unit;
        for digit in part.bytes() {
            if !step.is_multiple_of(10) {
                return Err(bad());
            }
            step /= 10;
            let add = step.checked_mul(u64::from(digit - b'0')).ok_or_else(too_large)?;
            value = value.checked_add(add).ok_or_else(too_large)?;
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share between 0 and 1: `0.4%` or `0.004`.
///
/// A bare number above 1 is refused rather than guessed to be a percentage.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(pub f64);

impl FromStr for Fraction {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (number, divisor) = match s.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (s, 1.0),
        };
        let bad = || Error::usage("not a share").expected("`0.4%`, or a number from 0 to 1");
        let value = number.parse::<f64>().map_err(|_| bad())? / divisor;
        if !(0.0..=1.0).contains(&value) {
            let e = Error::usage("the share is not between 0 and 1");
            let percent = divisor == 1.0 && (1.0..=100.0).contains(&value);
            return Err(if percent { e.hint(format!("write `{s}%`")) } else { e });
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an artifact goes: a path, or `-` for standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    Path(PathBuf),
}

impl Destination {
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::Path(p) => Some(p),
        }
    }
}

impl FromStr for Destination {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "" => Err(Error::usage("the path is empty")),
            "-" => Ok(Self::Stdout),
            _ => Ok(Self::Path(PathBuf::from(s))),
        }
    }
}

/// The inputs a command reads: those named, or standard input when none is.
///
/// `example` is a whole command line, shown when a person at a terminal would wait for nothing.
///
/// # Errors
/// Usage: two inputs are `-`; none is named and standard input is a terminal.
pub fn inputs_or_stdin(named: &[Input], example: &str) -> Result<Vec<Input>> {
    if named.is_empty() {
        if Input::Stdin.is_terminal() {
            return Err(Error::usage("no input was named, and standard input is a terminal")
                .hint(format!("name a file: `{example}`"))
                .hint("or write `-` to type the input"));
        }
        return Ok(vec![Input::Stdin]);
    }
    refuse_two_stdin(named.iter().map(|input| ("INPUT", input)))?;
    Ok(named.to_vec())
}

/// Refuses a command line that reads standard input twice. `inputs` are flags with their values.
///
/// # Errors
/// Usage: naming both flags.
pub fn refuse_two_stdin<'a>(inputs: impl IntoIterator<Item = (&'a str, &'a Input)>) -> Result<()> {
    let mut first: Option<&str> = None;
    for (name, input) in inputs {
        if *input != Input::Stdin {
            continue;
        }
        if let Some(other) = first {
            let message = if other == name {
                format!("`-` is given twice for `{name}`")
            } else {
                format!("`-` is given for both `{other}` and `{name}`")
            };
            return Err(Error::usage(message)
                .hint("standard input can be read once; write `./-` for a file named `-`"));
        }
        first = Some(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for (text, want) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(None)),
            ("cuda:3", DeviceChoice::Cuda(Some(3))),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), want);
        }
        for bad in ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU ", ""] {
            assert!(bad.parse::<DeviceChoice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn language_lists() {
        assert_eq!("de, fr,pt_BR".parse::<LangList>().unwrap().0, ["de", "fr", "pt_BR"]);
        for bad in ["", "de,", "de,,fr", "de fr", "de,fr,de"] {
            assert!(bad.parse::<LangList>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_are_exact() {
        for (text, want) in [
            ("0", 0),
            ("4096", 4096),
            ("1_000", 1000),
            ("16k", 16_000),
            ("1.5M", 1_500_000),
            ("0.001k", 1),
            ("2G", 2_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse::<Count>().unwrap(), Count(want), "{text}");
        }
        for bad in ["", "k", "-1", "1.5", "1.", ".5k", "0.0001k", "1e3", "99999999999G", "3 k"] {
            assert!(bad.parse::<Count>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!("0.4%".parse::<Fraction>().unwrap(), Fraction(0.004));
        assert_eq!("100%".parse::<Fraction>().unwrap(), Fraction(1.0));
        assert_eq!("0.25".parse::<Fraction>().unwrap(), Fraction(0.25));
        for bad in ["", "%", "-1%", "101%", "nan", "inf", "x"] {
            assert!(bad.parse::<Fraction>().is_err(), "{bad}");
        }
        let e = "40".parse::<Fraction>().unwrap_err();
        assert_eq!(e.hints(), ["write `40%`"]);
    }

    #[test]
    fn standard_input_is_read_once() {
        let (a, b) = (Input::Stdin, Input::parse("x.txt"));
        assert!(refuse_two_stdin([("--hyp", &a), ("--ref", &b)]).is_ok());
        let e = refuse_two_stdin([("--hyp", &a), ("--ref", &b), ("--src", &a)]).unwrap_err();
        assert_eq!(e.message(), "`-` is given for both `--hyp` and `--src`");
        assert!(inputs_or_stdin(&[a.clone(), a], "isogloss score HYP.jsonl").is_err());
        assert_eq!(Input::parse("./-"), Input::Path("./-".into()));
    }
}
