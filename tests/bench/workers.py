#!/usr/bin/env python3
r"""What workers with a batch each gain over threads that share one: `isogloss translate` with batches just below
and just above what makes it use two workers, in turns.

    isogloss init -o d256 --vocab-size 8000 --preset small --dropout 0.1 --init-method normal train.jsonl
    isogloss init -o d512 --vocab-size 8000 --d-model 512 --encoder-layers 6 --decoder-layers 6 --heads 8 \
        --ffn-dim 2048 --init-method normal --seed 1 train.jsonl
    python3 tests/bench/workers.py target/release/isogloss d256 --src-lang en --tgt-lang de --input lines.txt

Two workers are used from 64 hypotheses on: 64 sentences in greedy search, 13 with a beam of 5. Whole programs on
the same lines, --tokens tokens at most for each; both must write the same. Prints medians and their ratio.
"""
import argparse
import statistics
import subprocess
import time

# beam, batch below, batch above
CASES = [(1, 63, 64), (5, 12, 13)]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary")
    ap.add_argument("model")
    ap.add_argument("--src-lang", required=True)
    ap.add_argument("--tgt-lang", required=True)
    ap.add_argument("--input", required=True, help="one text a line")
    ap.add_argument("--lines", type=int, default=400)
    ap.add_argument("--tokens", type=int, default=16)
    ap.add_argument("--rounds", type=int, default=5)
    a = ap.parse_args()
    with open(a.input, encoding="utf-8") as f:
        text = "".join(line for line, _ in zip(f, range(a.lines))).encode()

    def run(beam, batch):
        start = time.perf_counter()
        done = subprocess.run([a.binary, "translate", "-qq", "-m", a.model, "--src-lang", a.src_lang, "--tgt-lang",
                               a.tgt_lang, "--beam-size", str(beam), "--batch-size", str(batch), "--max-new-tokens",
                               str(a.tokens), "--threads", "2"], input=text, stdout=subprocess.PIPE, check=True)
        return time.perf_counter() - start, done.stdout

    for beam, below, above in CASES:
        seconds = {below: [], above: []}
        for _ in range(a.rounds):
            out = set()
            for batch in seconds:
                took, written = run(beam, batch)
                seconds[batch].append(took)
                out.add(written)
            if len(out) != 1:
                raise SystemExit("translations differ")
        one, two = (statistics.median(s) for s in seconds.values())
        print(f"beam {beam}: one worker, batch {below}, {one:.2f} s; two, batch {above}, {two:.2f} s; {one / two:.2f} times as fast",
              flush=True)


if __name__ == "__main__":
    main()
