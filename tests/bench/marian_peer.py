"""Marian on random models of the shapes of random_model.py, as a system of serving.py.

Run by an interpreter with `pymarian` and numpy (Python 3.10 when this was written):

    python tests/bench/marian_peer.py A /tmp/isogloss-bench 2

Marian has no minimum length: the model is trained for one update on noise and its end mark is then put out of
reach, so that every sentence runs to the limit, which follows the length of the source. So sources have the
length that was asked of the output, and the answer tells how many tokens came out.
"""
import json
import os
import random
import subprocess
import sys
import time

from random_model import SHAPES


def build(shape, work):
    """Model and vocabulary, made once."""
    import numpy as np

    d, layers, heads, ffn, vocab, _ = SHAPES[shape]
    folder = os.path.join(work, f"{shape}-marian")
    model, words = os.path.join(folder, "model.npz"), os.path.join(folder, "vocab.yml")
    if os.path.exists(os.path.join(folder, "done")):
        return model, words
    os.makedirs(folder, exist_ok=True)
    with open(words, "w") as f:
        f.write("</s>: 0\n<unk>: 1\n" + "".join(f"t{i}: {i}\n" for i in range(2, vocab)))
    rng = random.Random(5)
    text = os.path.join(folder, "text")
    with open(text, "w") as f:
        for _ in range(64):
            f.write(" ".join(f"t{rng.randrange(10, vocab)}" for _ in range(20)) + "\n")
    program = os.path.join(os.path.dirname(sys.executable), "pymarian")
    subprocess.run(
        [program, "train", "--type", "transformer", "--train-sets", text, text, "--vocabs", words, words,
         "--dim-vocabs", str(vocab), str(vocab), "--dim-emb", str(d), "--enc-depth", str(layers),
         "--dec-depth", str(layers), "--transformer-heads", str(heads), "--transformer-dim-ffn", str(ffn),
         "--tied-embeddings-all", "--transformer-preprocess", "n", "--transformer-postprocess", "da",
         "--cpu-threads", "1", "--mini-batch", "16", "--after-batches", "1", "--model", model, "-w", "1000",
         "--seed", "3", "--overwrite"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    weights = dict(np.load(model))
    weights["decoder_ff_logit_out_b"][0, 0] = -1e4
    np.savez(model, **weights)
    open(os.path.join(folder, "done"), "w").close()
    return model, words


def main():
    shape, work, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # What Marian and its training say must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    model, words = build(shape, work)
    from pymarian import Translator

    vocab = SHAPES[shape][4]
    loaded = {}
    for line in sys.stdin:
        request = json.loads(line)
        beam, batch, tokens = request["beam"], request["batch"], request["tokens"]
        if (beam, batch) not in loaded:
            loaded.clear()
            loaded[beam, batch] = Translator(
                models=model, vocabs=[words, words], beam_size=beam, mini_batch=batch, maxi_batch=100,
                maxi_batch_sort="src", cpu_threads=threads, workspace=1500, normalize=1.0, max_length_factor=1,
                quiet=True, quiet_translation=True)
        rng = random.Random(2)
        # Each thread of Marian works on a batch of its own.
        count = max(len(request["sources"]), threads * batch)
        lines = [" ".join(f"t{rng.randrange(10, vocab)}" for _ in range(tokens - 1)) for _ in range(count)]
        start = time.perf_counter()
        out = loaded[beam, batch].translate(lines)
        seconds = time.perf_counter() - start
        out = out.split("\n") if isinstance(out, str) else out
        made = sum(len(o.split()) + 1 for o in out)
        # Seconds for the tokens that were asked for.
        seconds *= len(request["sources"]) * tokens / made
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


if __name__ == "__main__":
    main()
