//! Environment variables are declared once, and nobody reads one that is not declared.

use isogloss::cli::env::VARIABLES;

use crate::sources;

#[test]
fn variables_of_ours_are_declared() {
    for (path, text) in sources() {
        for found in text.split("\"ISOGLOSS_").skip(1) {
            let end =
                found.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
            let name = format!("ISOGLOSS_{}", &found[..end.unwrap_or(found.len())]);
            if name.starts_with("ISOGLOSS_BUILD_") {
                continue; // of the build script
            }
            assert!(
                VARIABLES.iter().any(|v| v.name == name),
                "{}: `{name}` is not in src/cli/env.rs",
                path.display()
            );
        }
    }
}

/// What is not ours, too: a variable read by `env::var` stands in the table.
#[test]
fn variables_that_are_read_are_declared() {
    for (path, text) in sources() {
        for call in ["env::var(\"", "env::var_os(\""] {
            for found in text.split(call).skip(1) {
                let name = found.split('"').next().unwrap_or_default();
                assert!(
                    VARIABLES.iter().any(|v| v.name == name),
                    "{}: `{name}` is read but not declared in src/cli/env.rs",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_readme_of_variables_is_the_man_page() {
    // One place for the list: the program's page. The help closes with the same table.
    let help = isogloss::cli::command().render_long_help().to_string();
    for v in VARIABLES {
        assert!(help.contains(v.name), "{} is not in `isogloss --help`", v.name);
    }
}
