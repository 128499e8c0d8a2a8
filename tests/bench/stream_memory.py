#!/usr/bin/env python3
"""Peak memory of `isogloss translate` and `profile-neurons` on streams of growing length.

    python3 tests/bench/stream_memory.py target/release/isogloss MODEL --src-lang en --tgt-lang de \\
        --input lines.txt --sizes 10000,100000

    python3 tests/bench/stream_memory.py target/release/isogloss MODEL --src-lang en --tgt-lang de \\
        --input lines.txt --profile --sizes 10000,100000

The lines of the input are repeated, two in three with a number behind them, until there are as
many as a size asks for. Each size is one run; its output must have as many lines as its input, and
the longest output must begin with the shorter ones. Prints lines, seconds and the largest resident
set of the process in MiB. With --profile each line is also its own translation, the stream goes
through `profile-neurons`, and all of it must be counted.
"""
import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary")
    ap.add_argument("model")
    ap.add_argument("--src-lang", required=True)
    ap.add_argument("--tgt-lang", required=True)
    ap.add_argument("--input", required=True, help="one text per line")
    ap.add_argument("--sizes", default="10000,100000")
    ap.add_argument("--beam-size", default="1")
    ap.add_argument("--profile", action="store_true", help="neurons instead of translations")
    a = ap.parse_args()
    with open(a.input, encoding="utf-8") as f:
        lines = f.read().splitlines()
    print(f"{'lines':>8} {'seconds':>8} {'peak MiB':>9}")
    outputs = []
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, a.sizes.split(",")):
            path, out = os.path.join(folder, f"{size}.txt"), os.path.join(folder, f"{size}.out")
            with open(path, "w", encoding="utf-8") as f:
                for i, line in enumerate(itertools.islice(itertools.cycle(lines), size)):
                    text = f"{line} {i}" if i % 3 else line
                    pair = {"src_lang": a.src_lang, "tgt_lang": a.tgt_lang, "src": text, "tgt": text}
                    f.write(f"{json.dumps(pair)}\n" if a.profile else f"{text}\n")
            start = time.perf_counter()
            with open(path, "rb") as source, open(out, "wb") as target:
                what = ["profile-neurons", "--no-both-directions", "--json"] if a.profile else [
                    "translate", "--beam-size", a.beam_size]
                child = subprocess.Popen(
                    [a.binary, *what, "-q", "-m", a.model, "--src-lang", a.src_lang, "--tgt-lang", a.tgt_lang],
                    stdin=source, stdout=target, stderr=subprocess.DEVNULL)
                _, status, usage = os.wait4(child.pid, 0)
            if status:
                sys.exit(f"{what[0]} failed with status {status}")
            with open(out, "rb") as f:
                outputs.append(f.read().split(b"\n")[:-1])
            if a.profile:
                seen = json.loads(outputs[-1][0])["sentence_count"]
                outputs[-1] = []
            else:
                seen = len(outputs[-1])
            if seen != size:
                sys.exit(f"{seen} results for {size} lines")
            print(f"{size:8} {time.perf_counter() - start:8.1f} {usage.ru_maxrss / 1024:9.1f}", flush=True)
    longest = max(outputs, key=len)
    if any(longest[:len(o)] != o for o in outputs):
        sys.exit("a longer stream changed the translations at its beginning")


if __name__ == "__main__":
    main()
