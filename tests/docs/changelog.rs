//! Keep a changelog (https://keepachangelog.com): fixed headings, one line per change.

use crate::read;

#[test]
fn headings() {
    let text = read("CHANGELOG.md");
    let releases: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    assert_eq!(releases.first(), Some(&"[Unreleased]"), "the first section is `[Unreleased]`");
    for release in &releases[1..] {
        let (version, date) = release.split_once(" - ").unwrap_or_else(|| panic!("{release}"));
        let version = version.trim_matches(['[', ']']);
        assert!(version.split('.').all(|n| n.parse::<u32>().is_ok()), "{release}");
        let digits = |n| date.split('-').nth(n).and_then(|d: &str| d.parse::<u32>().ok());
        assert!(
            date.len() == 10 && (0..3).all(|n| digits(n).is_some()),
            "`{release}`: a date such as 2026-01-31"
        );
    }
    let kinds = ["Formats", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    let mut last = 0;
    for line in text.lines() {
        if line.starts_with("## ") {
            last = 0;
        } else if let Some(kind) = line.strip_prefix("### ") {
            let place = kinds.iter().position(|k| *k == kind);
            let place = place.unwrap_or_else(|| panic!("`{kind}` is none of {kinds:?}"));
            assert!(place >= last, "`{kind}` comes too late: {kinds:?}");
            last = place;
        }
    }
}

/// A released version has its section.
#[test]
fn this_version_is_released_or_unreleased() {
    let text = read("CHANGELOG.md");
    let version = env!("CARGO_PKG_VERSION");
    let section = format!("## [{version}] - ");
    let unreleased = text.split("## ").nth(1).is_some_and(|s| s.contains("\n- "));
    assert!(unreleased || text.contains(&section), "no section for {version}");
}
