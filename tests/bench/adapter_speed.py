#!/usr/bin/env python3
"""Translation with generated adapters, with exported ones, and with none, as ratios in one run.

Translates the same lines with each system in turn, round after round, and prints medians of the whole
process's wall time relative to no adapters. Generated: `--adapters RUN` of a hyper-network.

    python tests/bench/adapter_speed.py target/release/isogloss -m MODEL --hyper RUN --bank BANK LINES.jsonl
"""

import argparse
import statistics
import subprocess
import sys
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("isogloss")
    parser.add_argument("lines")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--hyper", required=True)
    parser.add_argument("--bank", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beam-size", default="5")
    args = parser.parse_args()
    base = [args.isogloss, "translate", "-m", args.model, "-q", "--beam-size", args.beam_size, args.lines]
    systems = {"none": [], "generated": ["--adapters", args.hyper], "exported": ["--adapters", args.bank]}
    times = {name: [] for name in systems}
    for turn in range(args.rounds + 1):
        for name, flags in systems.items():
            started = time.monotonic()
            if subprocess.run(base + flags, stdout=subprocess.DEVNULL).returncode != 0:
                sys.exit(f"failed: {name}")
            # The first turn warms the caches.
            if turn > 0:
                times[name].append(time.monotonic() - started)
    none = statistics.median(times["none"])
    for name, took in times.items():
        median = statistics.median(took)
        print(f"{name:<10} {median:7.2f} s  speed {none / median:.3f} of no adapters")


if __name__ == "__main__":
    main()
