//! Training on several ranks: in turn in one process, and with MPI where it is built in.

use std::fs;

use crate::support::Sandbox;
use crate::train::{checkpoint, corpus_from};

const BASE: [&str; 14] = [
    "train",
    "-m",
    "model",
    "--train",
    "train.jsonl",
    "--batch-tokens",
    "64",
    "--warmup-steps",
    "4",
    "--save-every",
    "4",
    "--log-every",
    "1",
    "--both-directions",
];

fn prepared() -> Sandbox {
    let t = Sandbox::new();
    t.write("train.jsonl", corpus_from(0, 120));
    t.isogloss(["init", "-o", "model", "--vocab-size", "60", "--preset", "tiny", "train.jsonl"])
        .run()
        .ok();
    t
}

fn train<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    BASE.iter().copied().chain(extra.iter().copied()).collect()
}

#[test]
fn ranks_in_turn_resume_exactly_and_are_part_of_the_run() {
    let t = prepared();
    let two = ["--ranks", "2", "--max-steps"];
    t.isogloss(train(&[&two[..], &["8", "-o", "whole"]].concat())).run().ok();
    t.isogloss(train(&[&two[..], &["4", "-o", "parts"]].concat())).run().ok();
    // One rank is another run.
    let refused = t.isogloss(train(&["--max-steps", "8", "-o", "parts"])).run();
    refused.code(2).says("ranks: 2 -> (none)").says("`--ranks 2` in one process");
    t.isogloss(train(&[&two[..], &["8", "-o", "parts"]].concat())).run().ok();
    assert!(checkpoint(&t, "whole", 8) == checkpoint(&t, "parts", 8));
    // As many batches, summed in another order.
    let accumulated = ["--grad-accum", "2", "--max-steps", "8", "-o", "accumulated"];
    t.isogloss(train(&accumulated)).run().ok();
    let losses = |run: &str| -> Vec<f64> {
        let log = fs::read_to_string(t.path(run).join("log.jsonl")).unwrap();
        let records = log.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        records.filter_map(|r| r["loss"].as_f64()).collect()
    };
    let (a, b) = (losses("whole"), losses("accumulated"));
    assert_eq!((a.len(), b.len()), (8, 8));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3), "{a:?} {b:?}");
    // One rank said aloud is one rank unsaid.
    t.isogloss(train(&["--ranks", "1", "--max-steps", "2", "-o", "one"])).run().ok();
    t.isogloss(train(&["--max-steps", "3", "-o", "one"])).run().ok();
}

#[test]
fn what_cannot_be_is_said() {
    let t = prepared();
    let few = ["--max-steps", "2", "-o", "run"];
    let zero = t.isogloss(train(&["--ranks", "0"])).args(few).run();
    zero.code(2).says("--ranks");
    // Started by a launcher, as the second of two: it must not train beside the first.
    let launched = |launcher: [(&str, &str); 2], extra: &[&str]| {
        let mut command = t.isogloss(train(extra)).args(few);
        for (name, value) in launcher {
            command = command.env(name, value);
        }
        command.run()
    };
    let torchrun = [("RANK", "1"), ("WORLD_SIZE", "2")];
    let three = launched(torchrun, &["--ranks", "3"]);
    three.code(2).says("not a process for each rank").says("torchrun");
    if cfg!(not(feature = "mpi")) {
        let e = launched(torchrun, &[]);
        e.code(5).says("built without MPI").says("--features mpi");
        assert!(!t.exists("run"));
        // Nothing is to be told, so nobody has to listen; and only the first speaks.
        let mpirun = |rank| [("OMPI_COMM_WORLD_RANK", rank), ("OMPI_COMM_WORLD_SIZE", "2")];
        let plan = launched(mpirun("0"), &["--dry-run"]);
        plan.ok();
        assert!(!plan.stdout().is_empty());
        let silent = launched(mpirun("1"), &["--dry-run"]);
        silent.ok();
        assert_eq!(silent.stdout(), "");
    }
    // Asked to train alone, it does.
    launched(torchrun, &["--ranks", "1"]).ok();
    // One process alone is no launch.
    launched([("RANK", "0"), ("WORLD_SIZE", "1")], &["--overwrite"]).ok();
}

#[cfg(feature = "mpi")]
mod mpi {
    use super::*;
    use std::process::{Command, Output, Stdio};
    use std::time::{Duration, Instant};

    /// `mpirun` of this program in the sandbox; none where there is no `mpirun`.
    fn mpirun(t: &Sandbox, n: &str, args: &[&str]) -> Option<Command> {
        if Command::new("mpirun").arg("--version").output().is_err() {
            eprintln!("skipped: no mpirun");
            return None;
        }
        let mut command = Command::new("mpirun");
        command.args(["--allow-run-as-root", "--oversubscribe", "-np", n]);
        command.arg(env!("CARGO_BIN_EXE_isogloss")).args(args).current_dir(t.dir());
        command.env("ISOGLOSS_THREADS", "1");
        Some(command)
    }

    fn text(output: &Output) -> String {
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    #[test]
    fn processes_equal_ranks_in_turn() {
        let t = prepared();
        t.isogloss(train(&["--ranks", "2", "--max-steps", "8", "-o", "turns"])).run().ok();
        let args = train(&["--max-steps", "4", "-o", "processes"]);
        let Some(mut command) = mpirun(&t, "2", &args) else { return };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        // Begun by two processes, continued by one, and the other way round.
        let more = ["--ranks", "2", "--max-steps", "6", "-o", "processes"];
        t.isogloss(train(&more)).run().ok();
        let args = train(&["--max-steps", "8", "-o", "processes"]);
        let output = mpirun(&t, "2", &args).unwrap().output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(text(&output).matches("finished at step 8").count(), 1, "{}", text(&output));
        assert!(checkpoint(&t, "turns", 8) == checkpoint(&t, "processes", 8));
    }

    #[test]
    fn what_differs_between_processes_is_refused() {
        let t = prepared();
        let args = train(&["--max-steps", "4", "-o", "run", "--train", "-"]);
        let Some(mut command) = mpirun(&t, "2", &args) else { return };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), corpus_from(300, 9).as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        assert!(text(&output).contains("standard input reaches only one"), "{}", text(&output));
    }

    /// A rank that is killed ends all, with an error and a checkpoint to continue from.
    #[test]
    fn a_killed_rank_ends_all() {
        let t = prepared();
        let args = train(&["--max-steps", "100000", "-o", "run"]);
        let Some(mut command) = mpirun(&t, "2", &args) else { return };
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        let state = t.path("run").join("checkpoints/step-00000004/state.json");
        while !state.exists() {
            assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint");
            std::thread::sleep(Duration::from_millis(20));
        }
        // The second of the two: its rank is in its environment.
        let mut killed = 0;
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let has = |v: &[u8]| environment.split(|b| *b == 0).any(|e| e == v);
            let own = fs::read_link(entry.path().join("cwd")).is_ok_and(|d| d == t.dir());
            if own && has(b"OMPI_COMM_WORLD_RANK=1") {
                let pid = entry.file_name().into_string().unwrap();
                killed += usize::from(
                    Command::new("kill").args(["-9", &pid]).status().unwrap().success(),
                );
            }
        }
        assert!(killed > 0);
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        let said = text(&output);
        assert!(said.contains("another process does not answer"), "{said}");
        assert!(said.contains("the same command continues the run"), "{said}");
        // One step more than the last checkpoint.
        let latest = fs::read_to_string(t.path("run/latest")).unwrap();
        let last: u64 = latest.trim().trim_start_matches("step-").parse().unwrap();
        let next = (last + 1).to_string();
        let more = t.isogloss(train(&["--ranks", "2", "--max-steps", &next, "-o", "run"])).run();
        more.ok().says(&format!("from step {last}"));
    }
}
