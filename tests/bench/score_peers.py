#!/usr/bin/env python3
"""Times `isogloss score` against Python sacrebleu, run by run in turn, and prints the ratios.

    python3 tests/bench/score_peers.py target/release/isogloss [--rounds 5] [--sizes 1000,100000]

Both run as whole programs on the same files, as a user would: reading, scoring, printing. The
scores must be equal to four digits, or the comparison is void. The text is made here: words of
syllables, drawn with Zipf's law, with punctuation, numbers and entities; a hypothesis is its
reference with about a fifth of the words replaced, dropped, doubled or moved.

Of each pair of programs the median over the rounds is compared; wall time and processor time are
both printed, because other work on the machine disturbs the first. Peak memory is the largest
resident set of the child process.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

METRICS = {"bleu": ["-m", "bleu"], "chrf++": ["-m", "chrf", "--chrf-word-order", "2"], "ter": ["-m", "ter"]}


def vocabulary(rng, n):
    syllables = [c + v for c in "bcdfghjklmnprstvwz" for v in "aeiou"] + ["an", "er", "st", "ion", "th"]
    words = set()
    while len(words) < n:
        words.add("".join(rng.choice(syllables) for _ in range(rng.randint(1, 4))))
    return sorted(words)


def write_texts(folder, n):
    """Files of n references and hypotheses; returns their paths."""
    rng = random.Random(5)
    words = vocabulary(rng, 15000)
    weights, total = [], 0.0
    for rank in range(len(words)):
        total += 1 / (rank + 2.7)
        weights.append(total)

    def draw(k):
        return rng.choices(words, cum_weights=weights, k=k)

    def sentence():
        out = draw(max(3, int(rng.gauss(23, 9))))
        for i, word in enumerate(out):
            r = rng.random()
            if r < 0.07:
                out[i] = word + ","
            elif r < 0.09:
                out[i] = f"{rng.randint(1, 99)}.{rng.randint(0, 9)}%"
            elif r < 0.10:
                out[i] = f"&quot;{word}&quot;"
        out[0] = out[0].capitalize()
        out[-1] += "."
        return out

    def edited(reference):
        out = []
        for word in reference:
            r = rng.random()
            if r < 0.10:
                out += draw(1)
            elif r < 0.14:
                continue
            elif r < 0.17:
                out += [word, word]
            elif r < 0.20:
                out.insert(max(0, len(out) - 3), word)
            else:
                out.append(word)
        return out or reference

    paths = os.path.join(folder, f"{n}.hyp"), os.path.join(folder, f"{n}.ref")
    with open(paths[0], "w") as hyp, open(paths[1], "w") as ref:
        for _ in range(n):
            reference = sentence()
            ref.write(" ".join(reference) + "\n")
            hyp.write(" ".join(edited(reference)) + "\n")
    return paths


def timed(command):
    """Wall seconds, processor seconds, peak MiB, and what the command printed."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{err}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="release build of isogloss")
    parser.add_argument("--sizes", default="1000,100000", help="numbers of segments")
    parser.add_argument("--metrics", default=",".join(METRICS))
    parser.add_argument("--rounds", type=int, default=5, help="rounds up to 10000 segments; larger sizes take one")
    parser.add_argument("--threads", default="2", help="threads of isogloss; sacrebleu has one")
    parser.add_argument("--confidence", action="store_true", help="with intervals of 1,000 resamples")
    parser.add_argument("--alone", default="", help="sizes at which only isogloss runs")
    parser.add_argument("--json", help="append results to this file")
    args = parser.parse_args()
    print(f"{'segments':>9} {'metric':7} {'sacrebleu':>20} {'isogloss':>20} {'wall':>7} {'cpu':>7}")
    with tempfile.TemporaryDirectory() as folder:
        alone = [int(n) for n in args.alone.split(",") if n]
        for size in [int(n) for n in args.sizes.split(",") if n] + alone:
            hyp, ref = write_texts(folder, size)
            for metric in args.metrics.split(","):
                theirs = [sys.executable, "-m", "sacrebleu", ref, "-i", hyp, "-b", "-w", "4", *METRICS[metric]]
                ours = [args.binary, "score", "--input-format", "text", "--hyp", hyp, "--ref", ref, "-b", "-w", "4",
                        "--threads", args.threads, "-q", *METRICS[metric]]
                if args.confidence:
                    # The random streams are numpy's in both: intervals must be equal, too.
                    theirs.append("--confidence")
                    ours.append("--confidence")
                if size in alone:
                    wall, cpu, memory, _ = timed(ours)
                    print(f"{size:9} {metric:7} {'':20} {wall:8.3f} s {memory:6.0f} MiB   {size / wall:8.0f} segments/s",
                          flush=True)
                    continue
                runs = {"theirs": [], "ours": []}
                for _ in range(args.rounds if size <= 10000 else 1):
                    runs["theirs"].append(timed(theirs))
                    runs["ours"].append(timed(ours))
                    # With intervals sacrebleu writes them behind the score.
                    if runs["theirs"][-1][3].split()[0] != runs["ours"][-1][3].split()[0]:
                        sys.exit(f"{metric} differs: {runs['theirs'][-1][3]} and {runs['ours'][-1][3]}")
                median = {k: [statistics.median(r[i] for r in v) for i in range(3)] for k, v in runs.items()}
                (tw, tc, tm), (ow, oc, om) = median["theirs"], median["ours"]
                print(f"{size:9} {metric:7} {tw:8.2f} s {tm:6.0f} MiB {ow:8.3f} s {om:6.0f} MiB "
                      f"{tw / ow:6.1f}x {tc / oc:6.1f}x", flush=True)
                if args.json:
                    row = {"bench": "score", "segments": size, "metric": metric, "threads": args.threads,
                           "sacrebleu": {"wall_s": tw, "cpu_s": tc, "peak_mib": tm},
                           "isogloss": {"wall_s": ow, "cpu_s": oc, "peak_mib": om}}
                    with open(args.json, "a") as f:
                        f.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
