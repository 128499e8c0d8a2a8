//! Flag over environment over file over default, and `--dump-config` that shows which one won.

use crate::support::{Finished, Sandbox};

/// The line of a key in the output of `--dump-config`.
#[track_caller]
fn line(run: &Finished, key: &str) -> String {
    let out = run.ok().stdout();
    let found = out.lines().find(|l| l.split([' ', ':']).find(|w| *w != "#") == Some(key));
    found.unwrap_or_else(|| panic!("no `{key}` in:\n{out}")).to_string()
}

#[test]
fn precedence() {
    let t = Sandbox::new();
    t.write("c.toml", "[global]\nseed = 2\nthreads = 1\n");
    t.write("own.toml", "[global]\nseed = 2\n[init]\nseed = 3\n");
    // (flags, environment, expected line)
    let cases: [(&[&str], Option<&str>, &str); 8] = [
        (&[], None, "seed = 1  # default"),
        (&["--config", "c.toml"], None, "seed = 2  # file c.toml"),
        (&["--config", "own.toml"], None, "seed = 3  # file own.toml"),
        (&[], Some("4"), "seed = 4  # environment ISOGLOSS_SEED"),
        (&["--config", "c.toml"], Some("4"), "seed = 4  # environment ISOGLOSS_SEED"),
        (&["--seed", "5"], Some("4"), "seed = 5  # flag"),
        (&["--config", "c.toml", "--seed", "5"], Some("4"), "seed = 5  # flag"),
        // An empty variable is an unset one.
        (&["--config", "c.toml"], Some(""), "seed = 2  # file c.toml"),
    ];
    for (flags, variable, expected) in cases {
        let mut run = t.isogloss(["init", "--dump-config"]).args(flags);
        if let Some(value) = variable {
            run = run.env("ISOGLOSS_SEED", value);
        }
        assert_eq!(line(&run.run(), "seed"), expected, "{flags:?} {variable:?}");
    }
}

/// Shared flags may stand on either side of the command, also together with a file.
#[test]
fn flags_before_and_after_the_command() {
    let t = Sandbox::new();
    t.write("c.toml", "[init]\nvocab_size = 300\n");
    for args in [
        ["--config", "c.toml", "--seed", "9", "init", "--dump-config"],
        ["--dump-config", "--seed", "9", "init", "--config", "c.toml"],
    ] {
        let run = t.isogloss(args).run();
        assert_eq!(line(&run, "seed"), "seed = 9  # flag");
        assert_eq!(line(&run, "vocab_size"), "vocab_size = 300  # file c.toml");
    }
}

#[test]
fn every_kind_of_value() {
    let t = Sandbox::new();
    t.write(
        "c.toml",
        "[global]\nverbose = 2\njson = true\nforce = false\n\
         [train]\nmodel = \"m\"\ntrain = [\"a.jsonl\", \"b.jsonl\"]\nlr = 1e-3\nmax_steps = 1_000\n\
         both_directions = false\ndirection = \"en-de\"\n",
    );
    let run = t.isogloss(["train", "--config", "c.toml", "--dump-config"]).run();
    for (key, expected) in [
        ("verbose", "verbose = 2  # file c.toml"),
        ("json", "json = true  # file c.toml"),
        ("force", "force = false  # file c.toml"),
        ("model", "model = \"m\"  # file c.toml"),
        ("train", "train = [\"a.jsonl\", \"b.jsonl\"]  # file c.toml"),
        ("lr", "lr = 0.001  # file c.toml"),
        ("max_steps", "max_steps = 1000  # file c.toml"),
        ("both_directions", "both_directions = false  # file c.toml"),
        ("direction", "direction = [\"en-de\"]  # file c.toml"),
        ("batch_tokens", "batch_tokens = 4096  # default"),
        ("max_epochs", "# max_epochs: not set"),
    ] {
        assert_eq!(line(&run, key), expected);
    }
    // A typed flag silences its opposite, and a list replaces the list of the file.
    let args = ["train", "--config", "c.toml", "--dump-config", "--both-directions"];
    let run = t.isogloss(args).args(["--train", "c.jsonl"]).run();
    assert_eq!(line(&run, "both_directions"), "both_directions = true  # flag");
    assert_eq!(line(&run, "train"), "train = [\"c.jsonl\"]  # flag");
}

/// A flag wins over a setting it excludes, too.
#[test]
fn a_flag_silences_what_it_excludes() {
    let t = Sandbox::new();
    t.write("c.toml", "[train]\noverwrite = true\n");
    let run = t.isogloss(["train", "--config", "c.toml", "--resume", "--dump-config"]).run();
    assert_eq!(line(&run, "overwrite"), "overwrite = false  # default");
    assert_eq!(line(&run, "resume"), "resume = true  # flag");
}

/// What was dumped gives the same settings back, whatever decided them before.
#[test]
fn dump_round_trip() {
    let t = Sandbox::new();
    let lines: [&[&str]; 3] = [
        &["init", "--dump-config", "--seed", "7", "-o", "m", "--byte-fallback", "x.jsonl"],
        &[
            "train",
            "--dump-config",
            "-m",
            "m",
            "--train",
            "a",
            "--train",
            "b",
            "--lr",
            "3e-4",
            "-o",
            "r",
            "--no-both-directions",
            "-qq",
            "--freeze",
            "embeddings",
        ],
        &["train", "--dump-config"],
    ];
    let settings = |text: &str| {
        text.lines()
            .map(|l| l.split("  # ").next().unwrap_or_default().to_string())
            .filter(|l| !l.starts_with("# Settings"))
            .collect::<Vec<_>>()
    };
    for args in lines {
        let first = t.isogloss(args).run().ok().stdout();
        first.parse::<toml::Table>().unwrap_or_else(|e| panic!("{e}\n{first}"));
        t.write("dump.toml", &first);
        let again = t.isogloss([args[0], "--config", "dump.toml", "--dump-config"]).run();
        assert_eq!(settings(&first), settings(&again.ok().stdout()));
    }
}

#[test]
fn dump_looks_like_this() {
    let t = Sandbox::new();
    t.write("c.toml", "[init]\nvocab_size = 4000\n");
    let run = t
        .isogloss(["init", "--config", "c.toml", "--dump-config", "-o", "model", "text.jsonl"])
        .env("ISOGLOSS_THREADS", "2")
        .run();
    insta::assert_snapshot!(run.transcript());
}

/// A file may give everything, arguments that are required included; its paths are its own.
#[test]
fn a_file_is_enough_and_its_paths_are_relative_to_it() {
    let t = Sandbox::new();
    let mut text = String::new();
    for (de, en) in [("das Haus ist rot", "the house is red"), ("ein Hund", "a dog")].repeat(20) {
        let record = format!(
            "{{\"src_lang\":\"de\",\"tgt_lang\":\"en\",\"src\":\"{de}\",\"tgt\":\"{en}\"}}\n"
        );
        text.push_str(&record);
    }
    t.write("data/text.jsonl", text);
    t.write(
        "conf/small.toml",
        "[init]\noutput = \"../model\"\ninputs = [\"../data/text.jsonl\"]\npreset = \"tiny\"\n\
         vocab_size = 100\n",
    );
    let run = t.isogloss(["init", "--config", "conf/small.toml"]).run();
    run.ok();
    assert!(t.exists("model/config.json"), "{:?}", t.files());
    // A file named on the command line replaces those of the settings.
    let run = t.isogloss(["init", "--config", "conf/small.toml", "-o", "m2", "none.jsonl"]).run();
    run.code(4).says("none.jsonl");
}

#[test]
fn mistakes_in_the_file() {
    let t = Sandbox::new();
    let cases = [
        ("unknown key", "[init]\nvocab_sice = 3\n"),
        ("key with dashes", "[init]\nvocab-size = 3\n"),
        ("key of a command below global", "[global]\nvocab_size = 3\n"),
        ("unknown table", "[trian]\nlr = 1\n"),
        ("outside every table", "seed = 1\n"),
        ("not TOML", "[global]\nseed = = 1\n"),
        ("wrong type", "[global]\n\nseed = \"many\"\n"),
        ("out of range", "[global]\nthreads = -1\n"),
        ("not a truth value", "[global]\njson = \"yes\"\n"),
        ("a table", "[global]\n[global.seed]\nx = 1\n"),
        ("only on the command line", "[global]\nconfig = \"other.toml\"\n"),
        ("unknown choice", "[init]\ntokenizer_model = \"bpa\"\n"),
        ("key of another command", "[train]\nvocab_size = 3\n"),
    ];
    let mut page = String::new();
    for (what, text) in cases {
        t.write("c.toml", text);
        let run = t.isogloss(["init", "-o", "m", "--config", "c.toml"]).run();
        run.code(2).says("c.toml");
        page.push_str(&format!("{what}\n{}\n", run.transcript()));
    }
    insta::assert_snapshot!(page);
}

#[test]
fn the_file_is_missing_or_no_text() {
    let t = Sandbox::new();
    t.isogloss(["init", "--config", "none.toml"]).run().code(2).says("none.toml");
    t.isogloss(["init", "--config", "."]).run().code(2);
    t.write("c.toml", b"[global]\nseed = \xFF\n");
    t.isogloss(["init", "--config", "c.toml"]).run().code(2).says("c.toml");
    // Nothing is picked up that was not named.
    t.write("isogloss.toml", "[global]\nseed = 77\n");
    assert_eq!(line(&t.isogloss(["init", "--dump-config"]).run(), "seed"), "seed = 1  # default");
}

/// `ISOGLOSS_FORMAT` is shared by commands that have different forms.
#[test]
fn a_shared_format_does_no_harm() {
    let t = Sandbox::new();
    let dump =
        |value: &str| t.isogloss(["train", "--dump-config"]).env("ISOGLOSS_FORMAT", value).run();
    let won = line(&dump("jsonl"), "format");
    assert_eq!(won, "format = \"jsonl\"  # environment ISOGLOSS_FORMAT");
    assert_eq!(line(&dump("latex"), "format"), "format = \"text\"  # default");
    dump("jasonl").code(2).says("ISOGLOSS_FORMAT");
}
