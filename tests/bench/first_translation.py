#!/usr/bin/env python3
"""Time to the first translation, peak memory and speed on a random model of the shape of
NLLB-200-distilled-600M (d 1024, 12 + 12 layers, ffn 4096, 256206 words), in f32, bf16 and int8,
beside transformers and CTranslate2.

Every system is a process of its own, started anew in every round, one after another in an order
that changes: so the rounds interleave the systems, and only one is in memory. A sentence gets
exactly TOKENS tokens (greedy search), because random weights never end one. `first` is from the
start of the process, imports included, to the first translation of one sentence, with the model's
files in the page cache; `load` is what of it was spent before the program could answer. Peak
memory is the process's VmHWM, file pages it mapped included.

Needs ctranslate2, torch and transformers.

    python tests/bench/first_translation.py              # builds isogloss and the bench `decode`
"""
import argparse
import os
import statistics
import subprocess
import sys

import built
from random_model import SHAPES, build, sources
from serving import System, peer


def build_all(shape, work, program):
    """The model in every form, the last ours in int8."""
    hf, ct2 = build(shape, work, ["float32", "int8"])
    int8 = os.path.join(work, f"{shape}-int8")
    if not os.path.exists(os.path.join(int8, "config.json")):
        subprocess.run([program, "export", "-q", "-m", hf, "--dtype", "int8", "-o", int8, "--force"],
                       check=True, stdout=subprocess.DEVNULL)
    return hf, ct2, int8


def warm(path):
    """Reads the files, so that no system waits for the disk because of its place in the round."""
    for folder, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                while f.read(1 << 24):
                    pass


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--program", metavar="EXE", help="isogloss; default: build it with cargo")
    ap.add_argument("--decode", metavar="EXE", help="built bench `decode`; default: build it with cargo")
    ap.add_argument("--work", default="/tmp/isogloss-bench")
    ap.add_argument("--shape", default="nllb-600m", choices=SHAPES)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--tokens", type=int, default=16)
    ap.add_argument("--batches", default="1,16")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    a = ap.parse_args()
    a.program, a.decode = a.program or built.binary(), a.decode or built.bench("decode")
    hf, ct2, int8 = build_all(a.shape, a.work, a.program)
    systems = {
        "isogloss f32": [a.decode, "--serve", hf, "f32"],
        "isogloss bf16": [a.decode, "--serve", hf, "bf16"],
        "isogloss int8": [a.decode, "--serve", hf, "int8"],
        "isogloss int8, stored": [a.decode, "--serve", int8],
        "transformers f32": peer("transformers", hf, a.threads),
        "CTranslate2 f32": peer("ctranslate2", os.path.join(ct2, "float32"), a.threads),
        "CTranslate2 int8": peer("ctranslate2", os.path.join(ct2, "int8"), a.threads),
    }
    batches = list(map(int, a.batches.split(",")))
    ids = sources(max(batches), SHAPES[a.shape][4])
    rows = {name: [] for name in systems}
    for r in range(a.rounds):
        names = list(systems)
        # Who runs after whom matters where a hypervisor takes back free memory, which costs the next one.
        for name in names[3 * r % len(names):] + names[:3 * r % len(names)]:
            command = systems[name]
            for part in command:
                if os.path.isdir(part):
                    warm(part)
            system = System(command, a.threads)
            seconds = system.ask(ids[:1], 1, a.tokens)
            first = time.perf_counter() - system.start
            row = {"first": first, "load": first - seconds}
            for batch in batches:
                group = ids[:batch]
                # The second run: in the first, threads may still wait for each other on one processor.
                system.ask(group, batch, a.tokens)
                row[f"batch {batch}"] = len(group) * a.tokens / system.ask(group, batch, a.tokens)
            row["peak"] = system.peak_mib()
            system.close()
            rows[name].append(row)
            print(f"round {r + 1}  {name}  " + "  ".join(f"{k} {v:.2f}" for k, v in row.items()),
                  file=sys.stderr, flush=True)
    heads = "".join(f"{f'batch {b}':>10}" for b in batches)
    print(f"{a.shape}, {a.threads} threads, {a.tokens} tokens a sentence, greedy; medians of {a.rounds}")
    print(f"{'':22}{'load s':>8}{'first s':>8}{'peak MiB':>10}{heads}  (tokens a second)")
    for name, found in rows.items():
        median = {k: statistics.median(r[k] for r in found) for k in found[0]}
        print(f"{name:22}{median['load']:8.2f}{median['first']:8.2f}{median['peak']:10.0f}"
              + "".join(f"{median[f'batch {b}']:10.1f}" for b in batches))


if __name__ == "__main__":
    main()
