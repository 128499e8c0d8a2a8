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
import json
import os
import statistics
import subprocess
import sys
import time

import built
from random_model import SHAPES, build, sources


def build_all(shape, work, program):
    """The model in every form, the last ours in int8."""
    hf, ct2 = build(shape, work, ["float32", "int8"])
    int8 = os.path.join(work, f"{shape}-int8")
    if not os.path.exists(os.path.join(int8, "config.json")):
        subprocess.run([program, "export", "-q", "-m", hf, "--dtype", "int8", "-o", int8, "--force"],
                       check=True, stdout=subprocess.DEVNULL)
    return hf, ct2, int8


def serve(kind, model, threads):
    """Answers the requests of `decode --serve` with another system."""
    if kind == "transformers":
        import torch
        from transformers import M2M100ForConditionalGeneration

        torch.set_num_threads(threads)
        net = M2M100ForConditionalGeneration.from_pretrained(model, dtype=torch.float32).eval()

        def run(group, tokens):
            longest = max(map(len, group))
            ids = torch.tensor([s + [1] * (longest - len(s)) for s in group])
            with torch.inference_mode():
                out = net.generate(input_ids=ids, attention_mask=(ids != 1).long(), num_beams=1,
                                   do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens)
            assert out.shape[1] == tokens + 1
    else:
        import ctranslate2

        net = ctranslate2.Translator(model, device="cpu", inter_threads=1, intra_threads=threads,
                                     compute_type="int8" if model.endswith("int8") else "float32")

        def run(group, tokens):
            result = net.translate_batch(
                [[f"t{i}" if i > 3 else "</s>" for i in s] for s in group], beam_size=1,
                max_batch_size=0, min_decoding_length=tokens, max_decoding_length=tokens,
                max_input_length=0)
            assert all(len(r.hypotheses[0]) == tokens for r in result)

    for line in sys.stdin:
        request = json.loads(line)
        ids = sorted(request["sources"], key=len)
        start = time.perf_counter()
        for i in range(0, len(ids), request["batch"]):
            run(ids[i:i + request["batch"]], request["tokens"])
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


def warm(path):
    """Reads the files, so that no system waits for the disk because of its place in the round."""
    for folder, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                while f.read(1 << 24):
                    pass


class System:
    def __init__(self, command, environment):
        self.start = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)

    def ask(self, ids, batch, tokens, threads):
        request = {"sources": ids, "batch": batch, "beam": 1, "tokens": tokens, "threads": threads}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


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
    ap.add_argument("--serve", nargs=2, metavar=("KIND", "MODEL"), help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.serve:
        return serve(*a.serve, a.threads)
    a.program, a.decode = a.program or built.binary(), a.decode or built.bench("decode")
    hf, ct2, int8 = build_all(a.shape, a.work, a.program)
    peer = [sys.executable, os.path.abspath(__file__), "--threads", str(a.threads), "--serve"]
    systems = {
        "isogloss f32": [a.decode, "--serve", hf, "f32"],
        "isogloss bf16": [a.decode, "--serve", hf, "bf16"],
        "isogloss int8": [a.decode, "--serve", hf, "int8"],
        "isogloss int8, stored": [a.decode, "--serve", int8],
        "transformers f32": peer + ["transformers", hf],
        "CTranslate2 f32": peer + ["ctranslate2", os.path.join(ct2, "float32")],
        "CTranslate2 int8": peer + ["ctranslate2", os.path.join(ct2, "int8")],
    }
    environment = dict(os.environ, OMP_NUM_THREADS=str(a.threads), MKL_NUM_THREADS=str(a.threads),
                       RAYON_NUM_THREADS=str(a.threads), HF_HUB_OFFLINE="1")
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
            system = System(command, environment)
            seconds = system.ask(ids[:1], 1, a.tokens, a.threads)
            first = time.perf_counter() - system.start
            row = {"first": first, "load": first - seconds}
            for batch in batches:
                group = ids[:batch]
                # The second run: in the first, threads may still wait for each other on one processor.
                system.ask(group, batch, a.tokens, a.threads)
                row[f"batch {batch}"] = len(group) * a.tokens / system.ask(group, batch, a.tokens, a.threads)
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
    return None


if __name__ == "__main__":
    main()
