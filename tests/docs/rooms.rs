//! Data flows one way: a room imports only rooms below it, and does only what it is for.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources;

/// What each room may import. `cli` and `commands` know each other: the parser holds the
/// commands' arguments, the commands get their context from it. Nothing else runs in a circle.
const ALLOWED: &[(&str, &[&str])] = &[
    ("exit", &[]),
    ("version", &[]),
    ("random", &[]),
    ("error", &["exit"]),
    ("io", &["error"]),
    ("report", &["error"]),
    ("records", &["error", "io"]),
    ("formats", &["error", "io"]),
    ("kernels", &["error"]),
    ("autograd", &["error", "kernels"]),
    ("model", &["autograd", "error", "formats", "io", "kernels", "random"]),
    // A tokenizer is read beside the model's config.
    ("text", &["error", "formats", "io", "model", "records"]),
    ("methods", &["autograd", "error", "formats", "kernels", "model", "random"]),
    ("decoding", &["error", "kernels", "methods", "model", "records", "text"]),
    (
        "training",
        &[
            "autograd", "error", "formats", "io", "kernels", "methods", "model", "random",
            "records", "scoring", "text",
        ],
    ),
    (
        "profiling",
        &["error", "formats", "kernels", "methods", "model", "random", "records", "text"],
    ),
    ("scoring", &["error", "io", "records", "text"]),
    (
        "commands",
        &[
            "cli",
            "decoding",
            "error",
            "exit",
            "formats",
            "io",
            "kernels",
            "methods",
            "model",
            "profiling",
            "random",
            "records",
            "report",
            "scoring",
            "text",
            "training",
            "version",
        ],
    ),
    ("cli", &["commands", "error", "exit", "io", "report", "version"]),
];

/// The rooms of each source file's imports. Tests inside a file may reach anywhere.
fn imports() -> BTreeMap<String, BTreeSet<(String, String)>> {
    let mut out: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (path, text) in sources() {
        let first = path.components().next().expect("a name").as_os_str().to_string_lossy();
        let room = first.trim_end_matches(".rs").to_string();
        if ["lib", "main", "startup"].contains(&room.as_str()) {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let used = out.entry(room.clone()).or_default();
        for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
            for rest in line.split("crate::").skip(1) {
                let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                let name = &rest[..end.unwrap_or(rest.len())];
                if !name.is_empty() && name != room {
                    used.insert((name.to_string(), path.display().to_string()));
                }
            }
        }
    }
    out
}

#[test]
fn rooms_import_only_rooms_below() {
    let rooms: BTreeSet<&str> = ALLOWED.iter().map(|(room, _)| *room).collect();
    for (room, used) in imports() {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == room) else {
            panic!("room `{room}` is not in the table of tests/docs/rooms.rs");
        };
        for (name, path) in used {
            // Macros and re-exports of the root (`crate::Error`) are no rooms.
            if rooms.contains(name.as_str()) {
                assert!(
                    allowed.contains(&name.as_str()),
                    "src/{path}: `{room}` must not import `{name}`"
                );
            }
        }
    }
}

/// The table itself has no circle but the one between `cli` and `commands`.
#[test]
fn the_arrow_points_one_way() {
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<_> = ALLOWED.to_vec();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(room, below)| {
            let free =
                below.iter().all(|b| placed.contains(b) || (*room, *b) == ("commands", "cli"));
            if free {
                placed.insert(room);
            }
            !free
        });
        assert!(left.len() < before, "a circle among {left:?}");
    }
}

/// What must not be there: (rooms, texts, why).
const FORBIDDEN: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "error",
            "io",
            "records",
            "formats",
            "kernels",
            "autograd",
            "model",
            "text",
            "methods",
            "decoding",
            "training",
            "profiling",
            "scoring",
        ],
        &["println!", "eprint", "process::exit", "clap::Parser", "clap::Args", "env::var("],
        "no talk, no exit, no settings of its own below `commands`",
    ),
    (&["cli"], &["File::open", "fs::read", "fs::write", "File::create"], "`cli` opens no file"),
    (&["commands"], &["println!", "eprint", "process::exit"], "output goes through its writers"),
];

#[test]
fn rooms_do_what_they_are_for() {
    for (path, text) in sources() {
        let first = path.components().next().expect("a name").as_os_str().to_string_lossy();
        let room = first.trim_end_matches(".rs");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (rooms, texts, why) in FORBIDDEN {
            if !rooms.contains(&room) {
                continue;
            }
            for (number, line) in code.lines().enumerate() {
                let line = line.trim_start();
                for forbidden in texts.iter().filter(|_| !line.starts_with("//")) {
                    assert!(
                        !line.contains(forbidden),
                        "src/{}:{}: `{forbidden}`: {why}",
                        path.display(),
                        number + 1
                    );
                }
            }
        }
    }
}
