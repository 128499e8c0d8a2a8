#!/usr/bin/env python3
"""Time to the first translation, peak memory and speed on a random model of the shape of
NLLB-200-distilled-600M (d 1024, 12 + 12 layers, ffn 4096, 256206 words), in f32, bf16 and int8,
beside transformers and CTranslate2.

Every system is a process of its own, started anew in every round, one after another: so the
rounds interleave the systems, and only one is in memory. A sentence gets exactly TOKENS tokens
(greedy search), because random weights never end one. `first` is from the start of the process,
imports included, to the first translation of one sentence; `load` is what of it was spent before
the program could answer. Peak memory is the process's VmHWM, file pages it mapped included.

Needs ctranslate2, torch and transformers, and the built benchmark:

    cargo build --release --bin isogloss --bench decode
    python tests/bench/first_translation.py --program target/release/isogloss \\
        --decode target/release/deps/decode-HASH --work DIR
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

SHAPES = {
    # d_model, layers a side, heads, ffn_dim, vocabulary
    "nllb-600m": (1024, 12, 16, 4096, 256206),
    "base": (512, 6, 8, 2048, 32000),
}


def vocabulary(size):
    return ["<s>", "<pad>", "</s>", "<unk>"] + [f"t{i}" for i in range(4, size)]


def sources(n, vocab):
    """Sentences of 10 to 40 ids, the end mark last."""
    rng = random.Random(1)
    return [[rng.randrange(10, vocab) for _ in range(rng.randint(10, 40) - 1)] + [2] for _ in range(n)]


def build(shape, work, program):
    """A random model as transformers writes it, the same for CTranslate2, and ours in int8."""
    hf, ct2 = os.path.join(work, shape), os.path.join(work, f"{shape}-ct2")
    names = vocabulary(SHAPES[shape][4])
    if not os.path.exists(os.path.join(ct2, "int8", "model.bin")):
        import ctranslate2.converters.transformers as converters
        import torch
        from transformers import M2M100Config, M2M100ForConditionalGeneration

        d, layers, heads, ffn, vocab = SHAPES[shape]
        torch.manual_seed(7)
        model = M2M100ForConditionalGeneration(M2M100Config(
            vocab_size=vocab, d_model=d, encoder_layers=layers, decoder_layers=layers,
            encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=ffn,
            decoder_ffn_dim=ffn, max_position_embeddings=1024, scale_embedding=True)).eval()
        model.save_pretrained(hf)

        class Tokenizer:
            """The little that the converter asks of a tokenizer; a trained one is not needed."""
            additional_special_tokens = []
            special_tokens_map = {}
            sep_token = None
            bos_token, pad_token, eos_token, unk_token = "<s>", "<pad>", "</s>", "<unk>"
            bos_token_id, pad_token_id, eos_token_id, unk_token_id = 0, 1, 2, 3

            def get_vocab(self):
                return {t: i for i, t in enumerate(names)}

            def convert_ids_to_tokens(self, i):
                return names[i]

        for kind, quantization in [("float32", None), ("int8", "int8")]:
            with torch.no_grad():
                spec = converters.M2M100Loader()(model, Tokenizer())
            spec.validate()
            spec.optimize(quantization=quantization)
            out = os.path.join(ct2, kind)
            shutil.rmtree(out, ignore_errors=True)
            os.makedirs(out)
            spec.save(out)
            del spec
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
    ap.add_argument("--program", default="target/release/isogloss")
    ap.add_argument("--decode", help="the built benchmark `decode`")
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
    hf, ct2, int8 = build(a.shape, a.work, a.program)
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
        for name, command in systems.items():
            system = System(command, environment)
            seconds = system.ask(ids[:1], 1, a.tokens, a.threads)
            first = time.perf_counter() - system.start
            row = {"first": first, "load": first - seconds}
            for batch in batches:
                group = ids[:batch]
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
