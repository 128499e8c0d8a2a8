#!/usr/bin/env python3
"""Translation of text, where lengths vary: `isogloss translate` beside CTranslate2, in turns.

    python tests/bench/text_peers.py target/release/isogloss MODEL --src-lang en --tgt-lang de --input lines.txt

MODEL is of the M2M-100 kind with a `tokenizer.json`, or a training run (its best checkpoint, else its last). isogloss is measured as a whole program: start, loading,
tokenizing, searching, writing. CTranslate2 is measured from text to text with the model loaded: the same tokenizer
(the `tokenizers` library), `translate_batch` over all lines, which sorts them by length, with a batch of
--batches sentences, once with one thread for each of two batches and once with all threads in one; the faster
counts. Both search to the same limit of 128 tokens. `same` is the share of lines on which both agree.

Needs ctranslate2, torch, transformers and tokenizers.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from serving import BOUND

LIMIT = 128


def checkpoint(path):
    """The model directory: a run names one of its checkpoints."""
    for pointer in ["best", "latest"]:
        file = os.path.join(path, pointer)
        if os.path.exists(file):
            with open(file) as f:
                return os.path.join(path, "checkpoints", f.read().split()[0])
    return path


def convert(model, to):
    """The model for CTranslate2."""
    import ctranslate2.converters.transformers as converters
    from tokenizers import Tokenizer
    from transformers import M2M100ForConditionalGeneration

    class Names:
        additional_special_tokens = []
        special_tokens_map = {}
        sep_token = None
        bos_token, pad_token, eos_token, unk_token = "<s>", "<pad>", "</s>", "<unk>"

        def __init__(self):
            self.vocab = Tokenizer.from_file(os.path.join(model, "tokenizer.json")).get_vocab()
            self.names = {i: t for t, i in self.vocab.items()}
            self.bos_token_id, self.pad_token_id, self.eos_token_id, self.unk_token_id = (
                self.vocab[t] for t in (self.bos_token, self.pad_token, self.eos_token, self.unk_token))

        def get_vocab(self):
            return self.vocab

        def convert_ids_to_tokens(self, i):
            return self.names[i]

    net = M2M100ForConditionalGeneration.from_pretrained(model, dtype="float32").eval()
    spec = converters.M2M100Loader()(net, Names())
    spec.validate()
    spec.optimize()
    os.makedirs(to)
    spec.save(to)


def serve(model, folder, inter, intra):
    """CTranslate2: requests in lines of JSON, answers too."""
    import ctranslate2
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    net = ctranslate2.Translator(folder, device="cpu", inter_threads=int(inter), intra_threads=int(intra),
                                 compute_type="float32")
    for line in sys.stdin:
        r = json.loads(line)
        start = time.perf_counter()
        tokens = [[f"__{r['src']}__", *e.tokens, "</s>"]
                  for e in tokenizer.encode_batch(r["lines"], add_special_tokens=False)]
        result = net.translate_batch(tokens, target_prefix=[[f"__{r['tgt']}__"]] * len(tokens), beam_size=r["beam"],
                                     max_batch_size=r["batch"], max_decoding_length=LIMIT, max_input_length=0)
        ids = [[tokenizer.token_to_id(t) for t in h.hypotheses[0][1:]] for h in result]
        out = tokenizer.decode_batch(ids)
        print(json.dumps({"seconds": time.perf_counter() - start, "out": out}), flush=True)


def main():
    if sys.argv[1] == "--serve":
        return serve(*sys.argv[2:])
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary")
    ap.add_argument("model")
    ap.add_argument("--src-lang", required=True)
    ap.add_argument("--tgt-lang", required=True)
    ap.add_argument("--input", required=True, help="one text a line")
    ap.add_argument("--lines", type=int, default=1000)
    ap.add_argument("--batches", default="16,64")
    ap.add_argument("--beams", default="1,5")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    a = ap.parse_args()
    a.model = checkpoint(a.model)
    with open(a.input, encoding="utf-8") as f:
        lines = [line.rstrip("\n") for line in f][:a.lines]
    text = "".join(line + "\n" for line in lines).encode()
    with tempfile.TemporaryDirectory(prefix="text-") as folder:
        ct2 = os.path.join(folder, "ct2")
        convert(a.model, ct2)
        env = dict(os.environ, OMP_NUM_THREADS=str(a.threads), MKL_NUM_THREADS=str(a.threads))
        peers = {}
        for inter, intra in {(1, a.threads), (a.threads, 1)}:
            environment = dict(env, **(BOUND if intra > 1 else {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}))
            peers[f"{inter}x{intra}"] = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), "--serve", a.model, ct2, str(inter), str(intra)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

        def ask(name, batch, beam):
            peer = peers[name]
            peer.send_signal(signal.SIGCONT)
            request = {"lines": lines, "src": a.src_lang, "tgt": a.tgt_lang, "beam": beam, "batch": batch}
            peer.stdin.write(json.dumps(request) + "\n")
            peer.stdin.flush()
            answer = json.loads(peer.stdout.readline())
            # Threads that wait actively must take nothing from the others.
            peer.send_signal(signal.SIGSTOP)
            return answer["seconds"], answer["out"]

        def ours(batch, beam):
            start = time.perf_counter()
            done = subprocess.run(
                [a.binary, "translate", "-q", "-m", a.model, "--src-lang", a.src_lang, "--tgt-lang", a.tgt_lang,
                 "--beam-size", str(beam), "--batch-size", str(batch), "--max-new-tokens", str(LIMIT),
                 "--threads", str(a.threads)], input=text, stdout=subprocess.PIPE, check=True)
            return time.perf_counter() - start, done.stdout.decode().split("\n")[:-1]

        print(f"{len(lines)} lines")
        print(f"{'batch':>5} {'beam':>4} {'isogloss':>9} {'CTranslate2':>11} {'ratio':>6} {'same':>6}  lines a second")
        for batch in map(int, a.batches.split(",")):
            for beam in map(int, a.beams.split(",")):
                times, out = {}, {}
                for name in peers:
                    ask(name, batch, beam)
                for _ in range(a.rounds):
                    seconds, out["ours"] = ours(batch, beam)
                    times.setdefault("ours", []).append(seconds)
                    for name in peers:
                        seconds, out[name] = ask(name, batch, beam)
                        times.setdefault(name, []).append(seconds)
                best = min(peers, key=lambda n: statistics.median(times[n]))
                ratio = statistics.median(t / o for o, t in zip(times["ours"], times[best]))
                rate = {k: len(lines) / statistics.median(v) for k, v in times.items()}
                same = sum(o.split() == t.split() for o, t in zip(out["ours"], out[best])) / len(lines)
                print(f"{batch:5} {beam:4} {rate['ours']:9.1f} {rate[best]:11.1f} {ratio:6.2f} {same:6.3f}  ("
                      + "  ".join(f"{n}: {rate[n]:.1f}" for n in peers) + ")", flush=True)
        for peer in peers.values():
            peer.send_signal(signal.SIGCONT)
            peer.stdin.close()
            peer.wait()


if __name__ == "__main__":
    main()
