#!/usr/bin/env python3
"""What isogloss weighs: cold release build, binary, start, first translation, memory.

    python3 tests/bench/light.py [--revision REV] [--skip-build]

Builds a revision (default: HEAD) from nothing, in a folder and with a target folder of its own,
with `cargo build --release --locked`, and prints seconds and processor seconds of the build, the number
of crates, the size of the binary, and medians of 15 runs of: `--help`, one line through `score`, and one
line through `translate` with a model that `init` makes (d 256, 3+3 layers), each with its peak memory.
With --skip-build the binary in target/release is looked at. Run it for two revisions to compare them:
build times on a busy machine say little.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def timed(command, given=""):
    """Wall seconds, processor seconds and peak memory in MiB of one process."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    child.stdin.write(given.encode())
    child.stdin.close()
    said = child.stderr.read().decode(errors="replace")
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{said}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def show(name, command, given="", runs=15):
    took = [timed(command, given) for _ in range(runs)]
    wall, cpu, memory = (statistics.median(t[i] for t in took) for i in range(3))
    print(f"{name:34} {1000 * wall:8.1f} ms  processor {1000 * cpu:8.1f} ms  peak {memory:6.1f} MiB")


def build(revision, folder):
    """The release binary of a revision, built from nothing."""
    tree = folder / "tree"
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", tree, revision], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        env = {**os.environ, "CARGO_TARGET_DIR": str(folder / "target")}
        crates = subprocess.run(["cargo", "tree", "--locked", "-e", "normal,build", "--prefix", "none", "--no-dedupe"],
                                cwd=tree, env=env, check=True, capture_output=True, text=True).stdout
        count = len({" ".join(line.split()[:2]) for line in crates.splitlines() if line})
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=tree, env=env, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{'cold release build':34} {time.perf_counter() - started:8.0f} s   processor {cpu:8.0f} s   "
              f"{count} crates")
        binary = folder / "isogloss"
        os.replace(folder / "target" / "release" / "isogloss", binary)
        return binary
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--revision", default="HEAD")
    ap.add_argument("--skip-build", action="store_true")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory(prefix="light-") as folder:
        folder = pathlib.Path(folder)
        binary = ROOT / "target" / "release" / "isogloss" if a.skip_build else build(a.revision, folder)
        print(f"{'binary':34} {binary.stat().st_size / 2**20:8.1f} MiB")
        text, model = folder / "text.jsonl", folder / "model"
        text.write_text("".join(json.dumps(dict(src_lang="en", tgt_lang="de", src=f"the {c}{v}n sees a {v}{c}l, {i} times",
                                                tgt=f"der {c}{v}n sieht ein {v}{c}l, {i} mal")) + "\n"
                                for i in range(60) for c in "bdfgk" for v in "aeiou"))
        subprocess.run([binary, "-q", "init", "--preset", "small", "--vocab-size", "150", "-o", model, text], check=True)
        line = '{"id":"1","src_lang":"en","tgt_lang":"de","src":"the ban sees","hyp":"a","tgt":"a"}\n'
        show("--help", [binary, "--help"])
        show("score, one line", [binary, "-q", "score"], line)
        show("translate, one line, 10 tokens", [binary, "-q", "translate", "-m", model, "--max-new-tokens", "10"], line)


if __name__ == "__main__":
    main()
