#!/usr/bin/env python3
"""Throughput and peak memory of the streaming commands as their input grows.

    python3 tests/bench/scaling.py target/release/isogloss                   # text and model made here
    python3 tests/bench/scaling.py target/release/isogloss --commands translate,profile-neurons \\
        --model MODEL --src-lang en --tgt-lang de --input lines.txt --sizes 10000,100000

Runs `tokenize`, `score` (all three metrics), `profile-neurons` and greedy `translate` on 1,000, 10,000, 100,000
and 1,000,000 lines, and prints lines a second and the largest resident set. Without --model, `init`
makes one of random weights (--preset tiny), which writes 12 tokens a line: what counts is that a line costs the
same in a long stream. Lines of --input are repeated, two in three with a number behind them, until
there are as many as a size asks for. The small sizes are run several times and the median counts. Every
output must be complete, and the translations of a long stream must begin with those of the shorter ones.
"""
import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from score_peers import write_texts

# name -> arguments, whether the input is pairs instead of lines
COMMANDS = {
    "tokenize": (["tokenize", "--format", "jsonl"], False),
    "score": (["score", "--metric", "bleu", "--metric", "chrf++", "--metric", "ter", "--format", "jsonl"], True),
    "profile-neurons": (["profile-neurons", "--no-both-directions", "--json"], True),
    "translate": (["translate"], False),
}


def write_input(path, lines, size, a, pairs):
    with open(path, "w", encoding="utf-8") as f:
        for i, (line, other) in enumerate(itertools.islice(itertools.cycle(lines), size)):
            text = f"{line} {i}" if i % 3 else line
            pair = {"src_lang": a.src_lang, "tgt_lang": a.tgt_lang, "src": text, "tgt": text, "hyp": other}
            f.write(f"{json.dumps(pair)}\n" if pairs else f"{text}\n")


def run(command, path, out):
    """Seconds and peak MiB of one run."""
    start = time.perf_counter()
    with open(path, "rb") as source, open(out, "wb") as target:
        child = subprocess.Popen(command, stdin=source, stdout=target, stderr=subprocess.PIPE)
        said = child.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{said}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def complete(name, out, size):
    """Checks that nothing is missing from an output."""
    with open(out, encoding="utf-8") as f:
        if name in ("translate", "tokenize"):
            seen = sum(1 for _ in f)
        elif name == "profile-neurons":
            seen = json.loads(f.readline())["sentence_count"]
        else:
            seen = json.loads(f.readline())["num_sentences"]
    if seen != size:
        sys.exit(f"{name}: {seen} results for {size} lines")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary")
    ap.add_argument("--commands", default=",".join(COMMANDS))
    ap.add_argument("--sizes", default="1000,10000,100000,1000000")
    ap.add_argument("--rounds", type=int, default=5, help="runs up to 10,000 lines; larger sizes take one")
    ap.add_argument("--model", help="default: a new one")
    ap.add_argument("--src-lang", default="en")
    ap.add_argument("--tgt-lang", default="de")
    ap.add_argument("--input", help="one text a line; default: text made here")
    ap.add_argument("--beam-size", default="1")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
        if a.input:
            with open(a.input, encoding="utf-8") as f:
                lines = [(line, line) for line in f.read().splitlines()]
        else:
            hyp, ref = write_texts(folder, 5000)
            with open(ref, encoding="utf-8") as r, open(hyp, encoding="utf-8") as h:
                lines = list(zip(r.read().splitlines(), h.read().splitlines()))
        limit = []
        if not a.model:
            a.model, text = os.path.join(folder, "model"), os.path.join(folder, "text.jsonl")
            write_input(text, lines, len(lines), a, True)
            subprocess.run([a.binary, "-q", "init", "--preset", "tiny", "--vocab-size", "2000", "-o", a.model, text],
                           check=True, stdout=subprocess.DEVNULL)
            limit = ["--min-new-tokens", "12", "--max-new-tokens", "12"]
        print(f"{'command':16} {'lines':>8} {'seconds':>8} {'lines/s':>8} {'peak MiB':>9}")
        for name in a.commands.split(","):
            args, pairs = COMMANDS[name]
            command = [a.binary, *args, "-q"]
            if name != "score":
                command += ["-m", a.model]
            if name == "tokenize":
                command += ["--lang", a.src_lang]
            if name == "translate":
                command += ["--src-lang", a.src_lang, "--tgt-lang", a.tgt_lang, "--beam-size", a.beam_size, *limit]
            outputs = []
            for size in map(int, a.sizes.split(",")):
                path, out = os.path.join(folder, "input"), os.path.join(folder, f"{size}.out")
                write_input(path, lines, size, a, pairs)
                took = [run(command, path, out) for _ in range(a.rounds if size <= 10_000 else 1)]
                complete(name, out, size)
                outputs.append(out)
                seconds, peak = statistics.median(t[0] for t in took), max(t[1] for t in took)
                print(f"{name:16} {size:8} {seconds:8.2f} {size / seconds:8.0f} {peak:9.1f}", flush=True)
            if name in ("translate", "tokenize"):
                for shorter, longer in itertools.pairwise(outputs):
                    with open(shorter, "rb") as s, open(longer, "rb") as l:
                        if any(x != y for x, y in zip(s, l)):
                            sys.exit(f"{name}: a longer stream changed the results at its beginning")


if __name__ == "__main__":
    main()
