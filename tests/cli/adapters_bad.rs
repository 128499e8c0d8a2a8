//! What the commands of adapters and hyper-networks say to bad input: never a vector that was not
//! trained, never another base model in silence, never a guess.

use serde_json::{Value, json};

use crate::adapters::{X, last, prepared};
use crate::lora::{copy, words};
use crate::support::Sandbox;

/// Runs each command line; says all that are not as expected at once.
#[track_caller]
pub fn refused(t: &Sandbox, cases: &[(String, i32, &[&str])]) {
    let before = t.files();
    let mut wrong = Vec::new();
    for (line, code, texts) in cases {
        let run = t.isogloss(words(line)).stdin("uno dos\n").run();
        let silent: Vec<_> = texts.iter().filter(|text| !run.stderr.contains(**text)).collect();
        if run.code != Some(*code) || !silent.is_empty() {
            let (found, said) = (run.code, &run.stderr);
            wrong.push(format!("{line}\n{found:?} for {code}, no {silent:?} in:\n{said}"));
        }
        if t.exists("new") {
            wrong.push(format!("{line}\nleft `new` behind"));
            std::fs::remove_dir_all(t.path("new")).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(t.files(), before, "a refused command leaves nothing behind");
}

/// The same command line before the flags of each case.
#[track_caller]
fn all_refused(t: &Sandbox, line: &str, cases: &[(&str, i32, &[&str])]) {
    let cases: Vec<(String, i32, &[&str])> = cases
        .iter()
        .map(|(flags, code, texts)| (format!("{line} {flags}"), *code, *texts))
        .collect();
    refused(t, &cases);
}

/// Changes a JSON file.
pub fn patch(t: &Sandbox, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&t.read(name)).unwrap();
    change(&mut value);
    t.write(name, value.to_string());
}

const TRAIN: &str = "train -m model --batch-tokens 64 --max-steps 1 -o new";
const TEXT: &str = "--train train.jsonl";

#[test]
fn flags_of_other_methods() {
    let t = prepared();
    let cases: &[(&str, i32, &[&str])] = &[
        (
            "--adapter-bottleneck 4",
            2,
            &["`--adapter-bottleneck` is not for this", "--method adapters"],
        ),
        ("--train-base all", 2, &["`--train-base` is not for this method"]),
        ("--method lora --adapter-norm before", 2, &["`--adapter-norm` is not for this method"]),
        (
            "--method hyper-x --adapter-index source",
            2,
            &["`--adapter-index`", "`--method adapters`"],
        ),
        ("--method hyper-adapters --adapter-init small", 2, &["`--adapter-init` is not for"]),
        ("--method adapters --hyper-hidden 4", 2, &["`--hyper-hidden`", "`--method hyper-x`"]),
        ("--method adapters --match-params 1/2", 2, &["`--match-params` is not for this method"]),
        (
            "--method adapters --new-language dd=aa --init-from hyper",
            2,
            &["`--new-language` is not"],
        ),
        ("--method hyper-x --no-rescale", 2, &["`--no-rescale`", "add `--method hyper-adapters`"]),
        ("--method hyper-x --tie-languages", 2, &["`--tie-languages` is not for this method"]),
        ("--method hyper-adapters --hyper-projection 4", 2, &["add `--method hyper-x`"]),
        ("--method hyper-adapters --lora-rank 4", 2, &["`--lora-rank` without a LoRA"]),
        (
            "--method adapters --freeze all",
            2,
            &["`--freeze` with adapters", "`--train-base GROUP`"],
        ),
        ("--method hyper-x --train-only encoder", 2, &["`--train-only` with adapters"]),
    ];
    all_refused(&t, &format!("{TRAIN} {TEXT}"), cases);
}

#[test]
fn values_of_training_flags() {
    let t = prepared();
    t.write("short.tsv", "lang\tfamily\naa\tx\nbb\ty\n");
    let adapters: &[(&str, i32, &[&str])] = &[
        ("--adapter-bottleneck 0", 2, &["--adapter-bottleneck", "1 to 1048576"]),
        (
            "--adapter-norm none --adapter-affine learned",
            2,
            &["a norm that is not there", "`after`"],
        ),
        ("--adapter-affine generated", 2, &["stored adapters generate nothing", "none or learned"]),
        ("--adapter-index sorce", 2, &["unknown index `sorce`", "did you mean `source`"]),
        ("--adapter-index source*3/target", 2, &["another number of encoder layers", "3 in"]),
        ("--adapter-index source*x", 2, &["`x` is not a number of layers", "--adapter-index"]),
        ("--adapter-position encoder", 2, &["`encoder`", "`cross-attention`"]),
        ("--adapter-share family", 2, &["`--adapter-groups"]),
        ("--adapter-groups groups.tsv", 2, &["--adapter-groups", "`--adapter-share COLUMN`"]),
        (
            "--adapter-groups groups.tsv --adapter-share famly",
            2,
            &["no column `famly`", "`family`?"],
        ),
        (
            "--adapter-groups short.tsv --adapter-share family",
            3,
            &["`cc` has no label", "short.tsv"],
        ),
        ("--adapter-groups missing.tsv --adapter-share family", 4, &["missing.tsv"]),
        (
            "--train-base encodr",
            2,
            &["unknown parameter group `encodr`", "`encoder`", "--train-base"],
        ),
        (
            "--init-from hyper",
            4,
            &["a hyper-network, not stored", "--init-from", "`isogloss gen-adapters`"],
        ),
        ("--init-from model", 4, &["a whole model, not adapters", "--init-from"]),
        ("--init-from missing", 4, &["not adapters", "missing", "no such directory"]),
        ("-m stored", 4, &["these are adapters", "`--adapters`"]),
        ("-m hyper", 4, &["a hyper-network", "`--adapters`"]),
    ];
    all_refused(&t, &format!("{TRAIN} {TEXT} --method adapters"), adapters);
    let hyper: &[(&str, i32, &[&str])] = &[
        ("--hyper-hidden 0", 2, &["--hyper-hidden", "1 to 1048576"]),
        ("--hyper-hidden 1048576", 2, &["absurd size", "--hyper-hidden", "at most 4294967296"]),
        ("--hyper-blocks 1001", 2, &["--hyper-blocks", "0 to 1000"]),
        ("--hyper-dropout 1", 2, &["--hyper-dropout", "below 1"]),
        ("--hyper-size small --hyper-hidden 5", 2, &["`--hyper-size`", "`--hyper-hidden`"]),
        ("--match-params 10 --hyper-hidden 5", 2, &["`--match-params`", "`--hyper-hidden`"]),
        ("--match-params lots", 2, &["`lots` is no number of parameters", "--match-params", "1/6"]),
        ("--match-params 0", 2, &["`0` is no number"]),
        ("--match-params 1/0", 2, &["`1/0` is no number"]),
        ("--match-params 0.5", 2, &["`0.5` is no number", "50%"]),
        ("--match-params 100", 2, &["no hyper-network is so small", "100 parameters", "at least"]),
        ("--match-params 1/9999", 2, &["no hyper-network is so small", "--match-params"]),
        ("--match-params 1e30/1", 2, &["no hyper-network is so large", "--match-params"]),
        ("--hyper-inputs sorce,layer", 2, &["unknown input `sorce`", "did you mean `source`"]),
        (
            "--hyper-inputs language/layer",
            2,
            &["unknown input `language`", "source, target, layer"],
        ),
        ("--hyper-inputs source,/layer", 2, &["unknown input ``", "--hyper-inputs"]),
        ("--adapter-norm none --adapter-affine generated", 2, &["a norm that is not there"]),
        (
            "--init-from stored",
            4,
            &["not a hyper-network", "found: stored adapters", "--init-from"],
        ),
        ("--init-from model", 4, &["not a hyper-network", "found: a whole model"]),
        ("--init-from missing", 4, &["no such directory", "missing", "--init-from"]),
    ];
    let line = format!("{TRAIN} {TEXT} --adapter-bottleneck 4 --method");
    all_refused(&t, &format!("{line} hyper-adapters"), hyper);
    let x: &[(&str, i32, &[&str])] = &[
        ("--hyper-size large", 2, &["published in two sizes", "small or base"]),
        ("--hyper-inputs source", 2, &["unknown input `source`", "task, language, layer"]),
        (
            "--adapter-affine learned",
            2,
            &["no norm unless it is asked for", "`--adapter-norm before`"],
        ),
        ("--match-params 1/2 --hyper-projection 2000000", 2, &["--hyper-projection"]),
    ];
    all_refused(&t, &format!("{line} hyper-x"), x);
    let alone = format!("{TRAIN} --adapter-bottleneck 4 --method hyper-x --denoise dd.jsonl");
    all_refused(
        &t,
        &alone,
        &[("--match-params 1/2", 2, &["`1/2` of nothing", "no parallel text"])],
    );
}

#[test]
fn new_languages() {
    let t = prepared();
    for (name, more) in [("other", "--seed 9"), ("deep", "--encoder-layers 3")] {
        let init = "init -q --vocab-size 60 --preset tiny train.jsonl langs.jsonl -o";
        t.isogloss(words(init)).arg(name).args(words(more)).run().ok();
    }
    t.write("cc-ee.jsonl", t.read("ee.jsonl").replace("\"aa\"", "\"cc\""));
    // A hyper-network that was never shown how to translate into `cc`.
    copy(&t.path(&last(&t, "hyper")), &t.path("partial"));
    patch(&t, "partial/hypernet.json", |j| j["rows"]["target.cc"]["updates"] = 0.into());
    let from = "--method hyper-adapters --init-from hyper";
    let cases: &[(&str, i32, &[&str])] = &[
        ("--method hyper-adapters --new-language ee=aa", 2, &["`--init-from <MODEL>` is required"]),
        ("FROM --new-language ee", 2, &["`ee` does not say", "--new-language", "pt=es"]),
        ("FROM --new-language ee=zz", 2, &["`zz` has no vector", "--new-language", "aa, bb, cc"]),
        ("FROM --new-language ee=0.5*aa+0.4*bb", 2, &["weights sum to 0.9", "--new-language"]),
        ("FROM --new-language ee=0.5*aa+0.5*aa", 2, &["`aa` stands there twice"]),
        ("FROM --new-language ee=1.5*aa+-0.5*bb", 2, &["weight of `bb` is -0.5"]),
        ("FROM --new-language bb=aa", 2, &["`bb` has a vector already", "--new-language"]),
        ("FROM --new-language dd=aa", 3, &["nothing in the new language `dd`", "text in aa, ee"]),
        ("FROM --new-language ee=aa --new-language dd=bb", 3, &["the new language `dd`"]),
        (
            "FROM --new-language ee=aa --train train.jsonl",
            3,
            &["nothing would be learned from `aa-bb`", "text of ee", "`--direction A-B`"],
        ),
        (
            "FROM --new-language ee=aa --denoise dd.jsonl",
            3,
            &["nothing would be learned from `denoise:dd`", "`--denoise-languages`"],
        ),
        (
            "FROM --new-language ee=aa --hyper-hidden 8",
            2,
            &["the structure is that", "--hyper-hidden"],
        ),
        ("FROM --new-language ee=aa --adapter-bottleneck 4", 2, &["--adapter-bottleneck"]),
        ("FROM --new-language ee=aa --train-base all", 2, &["all else frozen", "--train-base"]),
        (
            "--method hyper-x --init-from hyper --new-language ee=aa",
            2,
            &["another kind", "expected: hyper-adapters", "`--method hyper-adapters`"],
        ),
        (
            "--method hyper-adapters --init-from stored --new-language ee=aa",
            4,
            &["not a hyper-network", "found: stored adapters"],
        ),
        ("FROM --new-language ee=aa -m other", 4, &["trained on another model", "(other)"]),
        ("FROM --new-language ee=aa -m deep", 4, &["another shape", "3+2 layers"]),
        (
            "--method hyper-adapters --init-from partial --new-language ee=cc",
            3,
            &["language `ee` has no vector as target", "needed for `aa-ee`"],
        ),
        (
            "--method hyper-adapters --init-from partial --new-language ee=aa --train cc-ee.jsonl",
            3,
            &["vector of language `cc` as target has had no update", "needed for `ee-cc`"],
        ),
    ];
    let cases: Vec<(String, i32, &[&str])> = cases
        .iter()
        .map(|(flags, code, texts)| {
            let flags = flags.replace("FROM", from);
            (format!("{TRAIN} --train ee.jsonl {flags}"), *code, *texts)
        })
        .collect();
    refused(&t, &cases);
    // Advice that this command cannot follow is not given.
    let line = format!("{TRAIN} --train ee.jsonl {from} --new-language ee=aa -m other");
    let run = t.isogloss(words(&line)).run();
    assert!(!run.stderr.contains("--allow-base-mismatch"), "{}", run.stderr);
}

#[test]
fn texts_of_tasks() {
    let t = prepared();
    let ok = json!({"lang": "aa", "tokens": ["uno", "dos"], "tags": ["O", "E"]});
    let second = |name: &str, record: Value| t.write(name, format!("{ok}\n{record}\n"));
    second("uneven.jsonl", json!({"lang": "aa", "tokens": ["uno", "dos"], "tags": ["O"]}));
    second("nobody.jsonl", json!({"tokens": ["uno"], "tags": ["O"]}));
    second("foreign.jsonl", json!({"lang": "zz", "tokens": ["uno"], "tags": ["O"]}));
    second("bare.jsonl", json!({"lang": "aa", "tokens": ["uno"]}));
    second("whole.jsonl", json!({"lang": "aa", "tokens": "uno", "tags": ["O"]}));
    second("odd.jsonl", json!({"lang": "aa", "tokens": ["uno"], "tags": ["OO"]}));
    t.write("text.jsonl", "{\"text\":\"uno dos\"}\n");
    t.write("empty.jsonl", "");
    let cases: &[(&str, i32, &[&str])] = &[
        (
            "--tag uneven.jsonl",
            3,
            &["not one tag for each token", "uneven.jsonl:2", "found: 1 tags"],
        ),
        ("--tag nobody.jsonl", 3, &["no `lang`", "nobody.jsonl:2", "lang, tokens and tags"]),
        // The language of other text is not that of the tags.
        ("--tag nobody.jsonl --denoise lines.txt --denoise-lang dd", 3, &["nobody.jsonl:2"]),
        ("--tag foreign.jsonl", 3, &["unknown language `zz`", "foreign.jsonl:2"]),
        ("--tag bare.jsonl", 3, &["no `tags`", "bare.jsonl:2"]),
        ("--tag whole.jsonl", 3, &["`tokens` is not a list", "a string"]),
        ("--tag empty.jsonl", 3, &["no records", "empty.jsonl"]),
        ("--tag lines.txt", 3, &["not a JSON object", "lines.txt:1"]),
        ("--tag missing.jsonl", 4, &["missing.jsonl"]),
        (
            "--tag tags.jsonl --valid-tag odd.jsonl",
            3,
            &["unknown tag `OO`", "odd.jsonl:2", "one of 2: E, O", "did you mean `O`"],
        ),
        ("--tag tags.jsonl --tag-languages dd", 2, &["no such text in `dd`", "--tag-languages"]),
        ("--valid-tag tags.jsonl", 2, &["`--valid-tag` without", "`--tag FILE`"]),
        ("--tag-languages aa", 2, &["`--tag-languages` without", "`--tag FILE`"]),
        ("--valid-denoise dd.jsonl", 2, &["`--valid-denoise` without", "`--denoise FILE`"]),
        ("--noise-mask 10%", 2, &["`--noise-mask` without", "`--denoise FILE`"]),
        ("--denoise-lang dd", 2, &["`--denoise <FILE>` is required"]),
        ("--denoise dd.jsonl --denoise-languages ddd", 2, &["no such text in `ddd`", "`dd`?"]),
        ("--denoise dd.jsonl --noise-mask 20", 2, &["--noise-mask", "write `20%`"]),
        ("--denoise lines.txt", 3, &["no `lang`", "lines.txt:1", "`--denoise-lang LANG`"]),
        ("--denoise text.jsonl", 3, &["no `lang`", "text.jsonl:1", "`--denoise-lang LANG`"]),
        ("--denoise lines.txt --denoise-lang zz", 3, &["unknown language `zz`", "aa, bb, cc"]),
        ("--denoise empty.jsonl", 3, &["empty.jsonl"]),
        ("--denoise - --tag -", 2, &["`-` is given for both `--denoise` and `--tag`"]),
    ];
    all_refused(&t, &format!("{TRAIN} {X}"), cases);
    let none = [(format!("{TRAIN} --method hyper-x"), 2, &["`--train <FILE>` is required"][..])];
    refused(&t, &none);
}

pub const LINE: &str = "translate -m model --max-new-tokens 4 --src-lang aa --tgt-lang bb";

#[test]
fn languages_and_mixtures() {
    let t = prepared();
    copy(&t.path(&last(&t, "hyper")), &t.path("partial"));
    patch(&t, "partial/hypernet.json", |j| j["rows"]["target.cc"]["updates"] = 0.into());
    let translate: &[(&str, i32, &[&str])] = &[
        (
            "--adapters stored --tgt-lang ee",
            3,
            &["`ee` has no adapter", "as target one of aa, bb, cc", "--unknown-language base"],
        ),
        (
            "--adapters hyper --tgt-lang ee",
            3,
            &[
                "language `ee` has no vector as target",
                "one of aa, bb, cc",
                "`--as \"ee=0.5*A+0.5*B\"`",
                "--new-language ee=A",
                "--unknown-language base",
            ],
        ),
        ("--adapters x --src-lang ee", 3, &["`ee` has no vector", "aa, bb, cc, dd", "`--as \"ee="]),
        ("--adapters partial --tgt-lang cc", 3, &["`cc` as target has had no update", "train"]),
        (
            "--adapters partial --tgt-lang ee --as ee=cc",
            3,
            &["`ee` has no vector as target", "`cc`, of which it is mixed, has no trained one"],
        ),
        ("--adapters stored --as ee=aa", 2, &["no vectors to mix", "--as", "`gen-adapters --as`"]),
        ("--as ee=aa", 2, &["a mixture for which hyper-network?", "`--adapters RUN`"]),
        ("--adapters hyper --as ee", 2, &["`ee` does not say", "--as"]),
        ("--adapters hyper --as ee=0.7*aa+0.2*bb", 2, &["no mixture", "sum to 0.89", "--as"]),
        ("--adapters hyper --as ee=aa+bb", 2, &["`aa` has no weight"]),
        ("--adapters hyper --as ee=mean(aa,bb", 2, &["a bracket is not closed"]),
        ("--adapters hyper --as ee=x*aa", 2, &["`x` is no number"]),
        (
            "--adapters hyper --as ee=0.5*aa+0.5*zz",
            2,
            &["`zz` has no vector", "--as", "aa, bb, cc"],
        ),
        ("--adapters hyper --as bb=aa", 2, &["`bb` has a vector already", "--as"]),
        ("--adapters hyper --as ee=aa --as ee=bb", 2, &["`ee` has a vector already"]),
        ("--no-adapters --adapters stored", 2, &["`--no-adapters`", "`--adapters`"]),
        ("--no-adapters --as ee=aa", 2, &["`--no-adapters`", "`--as`"]),
        ("--unknown-language base", 2, &["`--unknown-language` without", "`--adapters ADAPTERS`"]),
        ("--allow-base-mismatch", 2, &["`--allow-base-mismatch` without"]),
    ];
    all_refused(&t, LINE, translate);
    // The base model where it is asked for: the same as without adapters.
    let score = |more: &str| {
        let line = format!("{LINE} --tgt-lang ee -f jsonl {more}");
        let run = t.isogloss(words(&line)).stdin("uno dos\n").run();
        run.ok().records()[0]["score"].clone()
    };
    let bare = score("");
    assert_eq!(score("--adapters hyper --unknown-language base"), bare);
    // A stored adapter for the source is there.
    assert_ne!(score("--adapters stored --unknown-language base"), bare);

    let make: &[(&str, i32, &[&str])] = &[
        ("hyper --languages aa,zz", 2, &["`zz` has no vector", "--languages", "`--as \"zz="]),
        ("hyper --languages aa,bbb", 2, &["`bbb` has no vector", "did you mean `bb`"]),
        ("hyper --languages aa", 2, &["make no direction", "--languages"]),
        ("hyper --direction aa-ee", 2, &["`ee` has no vector as target", "--direction"]),
        ("hyper --direction aabb", 2, &["`aabb` is no direction", "en-de"]),
        ("hyper --direction aa-bb --languages aa", 2, &["`--direction`", "`--languages`"]),
        ("hyper --as ee=0.7*aa+0.2*bb", 2, &["sum to 0.89", "--as"]),
        ("hyper --as ee=0.5*aa+0.5*zz", 2, &["`zz` has no vector", "--as"]),
        ("hyper --as bb=aa", 2, &["`bb` has a vector already"]),
        ("hyper --as ../x=aa", 2, &["cannot be the name of an adapter"]),
        ("partial --direction aa-cc", 2, &["`cc` as target has had no update", "--direction"]),
        (
            "partial --as ee=0.5*cc+0.5*aa --direction aa-ee",
            2,
            &["`ee` has no vector as target", "of which it is mixed", "--direction"],
        ),
    ];
    all_refused(&t, "gen-adapters -o new", make);
    // What is left out is said.
    let run = t.isogloss(words("gen-adapters partial -f text -o some")).run();
    run.ok().says("left out").says("target.cc");
    assert!(!run.stdout().contains("-cc:") && run.stdout().contains("cc-aa:"), "{}", run.stdout());
    let run = t.isogloss(words("gen-adapters partial --embeddings vectors")).run();
    run.ok().says("vectors that have had no update are left out").says("cc");
    let target = |l: &&str| l.contains("language_vector") && l.contains("\"role\":\"target\"");
    assert_eq!(t.read("vectors/languages.jsonl").lines().filter(target).count(), 2);
}

#[test]
fn paths_that_are_something_else() {
    let t = prepared();
    t.isogloss(words("train -q -m model --train train.jsonl --method lora --max-steps 1 -o lora"))
        .run()
        .ok();
    t.isogloss(words("gen-adapters -q hyper --layout adapterhub -o hub")).run().ok();
    std::fs::remove_file(t.path("hub/adapters.json")).unwrap();
    t.write("there/mine.txt", "mine");
    let dir = last(&t, "stored");
    let files: Vec<String> = vec![
        format!("--adapters {dir}/adapters.json"),
        format!("-m {dir}"),
        format!("--lora {dir}"),
    ];
    let translate: &[(&str, i32, &[&str])] = &[
        ("--adapters lora", 4, &["a LoRA, not bottleneck adapters", "`--lora`"]),
        ("--adapters model", 4, &["a whole model, not adapters", "`-m`"]),
        ("--adapters missing", 4, &["missing", "no such directory"]),
        ("--adapters there", 4, &["not adapters", "`adapters.json`", "adapter_config.json"]),
        ("--adapters hub", 4, &["it holds adapters", "name one of them"]),
        (&files[0], 4, &["name the directory that the file is in"]),
        (&files[1], 4, &["these are adapters", "`--adapters`"]),
        ("-m stored", 4, &["these are adapters", "`--adapters`"]),
        ("-m hyper", 4, &["a hyper-network", "`--adapters`"]),
        ("--lora stored", 4, &["stored"]),
        ("--lora hyper", 4, &["hyper"]),
        (&files[2], 4, &["not a LoRA"]),
    ];
    all_refused(&t, LINE, translate);
    let make: &[(&str, i32, &[&str])] = &[
        (
            "stored -o new",
            4,
            &["not a hyper-network", "found: stored adapters", "`hyper-x` trains one"],
        ),
        ("lora -o new", 4, &["not a hyper-network", "found: a LoRA"]),
        ("model -o new", 4, &["not a hyper-network", "found: a whole model"]),
        ("missing -o new", 4, &["missing", "no such directory"]),
        ("there -o new", 4, &["not a hyper-network", "`hypernet.json`"]),
        ("hyper", 2, &["`--output <BANK>` is required"]),
        ("hyper -o there", 5, &["output exists already", "`--force`"]),
        ("hyper -o -", 2, &["standard output", "--output"]),
        ("hyper -o new --embeddings new", 2, &["a directory each", "--embeddings"]),
        ("hyper -o new --embeddings vectors --languages zz", 2, &["`zz` has no vector"]),
        ("hyper -o new --groups groups.tsv", 2, &["`--embeddings <DIR>` is required"]),
        ("hyper --embeddings vectors --groups groups.tsv --by famly", 2, &["no column `famly`"]),
        ("hyper -o new --allow-base-mismatch", 2, &["`--model <MODEL>` is required"]),
        ("hyper -o new --layout hub", 2, &["`hub`", "`adapterhub`"]),
        ("hyper -o new -m hyper", 4, &["a hyper-network", "`-m`"]),
    ];
    all_refused(&t, "gen-adapters", make);
    assert!(!t.exists("vectors"));
    t.isogloss(words("gen-adapters -q hyper --embeddings vectors")).run().ok();
    let again = t.isogloss(words("gen-adapters -q hyper --embeddings vectors")).run();
    again.code(5).says("languages.jsonl").says("`--force`");
    t.isogloss(words("gen-adapters -q --force hyper --embeddings vectors -o there")).run().ok();
    assert!(t.exists("there/adapters.safetensors"));
}
