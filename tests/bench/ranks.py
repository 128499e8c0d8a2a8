#!/usr/bin/env python3
"""Time of an update of two ranks: two processes of `mpirun` beside one process that runs both in turn.

    python3 tests/bench/ranks.py target/release/isogloss MODEL --train train.jsonl

The binary is to be built with `--features mpi`. Both have the same number of threads in all, and train
--updates updates in turns of whole runs; the last log record's tokens a second count. Both must write the
same weights to the bit.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary", type=lambda p: str(pathlib.Path(p).resolve()))
    ap.add_argument("model")
    ap.add_argument("--train", required=True)
    ap.add_argument("--tokens", type=int, default=1024, help="of a batch; an update has one of each rank")
    ap.add_argument("--updates", type=int, default=12)
    ap.add_argument("--rounds", type=int, default=5)
    a = ap.parse_args()
    cores = os.cpu_count()
    launch = ["mpirun", "--allow-run-as-root", "--bind-to", "none", "-np", "2"]
    rates = {"one process": [], "two processes": []}
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        weights = set()
        for i in range(a.rounds):
            for name, before, threads in [("one process", [], cores), ("two processes", launch, max(1, cores // 2))]:
                run = os.path.join(folder, f"{i}-{len(before)}")
                subprocess.run(
                    [*before, a.binary, "-q", "train", "-m", a.model, "--train", a.train, "-o", run, "--ranks", "2",
                     "--batch-tokens", str(a.tokens), "--max-steps", str(a.updates), "--log-every", str(a.updates // 2),
                     "--save-every", str(10**6), "--threads", str(threads)],
                    check=True, stdout=subprocess.DEVNULL)
                with open(os.path.join(run, "log.jsonl")) as f:
                    steps = [r for r in map(json.loads, f) if r["type"] == "train_step"]
                    saved = [r["sha256"] for r in map(json.loads, open(os.path.join(run, "log.jsonl"))) if r["type"] == "checkpoint"]
                rates[name].append(steps[-1]["tok_per_s"])
                weights.add(saved[-1])
    if len(weights) != 1:
        sys.exit(f"weights differ: {weights}")
    ratios = [t / o for t, o in zip(rates["two processes"], rates["one process"])]
    for name, r in rates.items():
        print(f"{name:14} {statistics.median(r):8.0f} target tokens a second")
    print(f"two over one   {statistics.median(ratios):8.2f} ({min(ratios):.2f} to {max(ratios):.2f}), the same weights to the bit")


if __name__ == "__main__":
    main()
