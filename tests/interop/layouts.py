#!/usr/bin/env python3
"""Checkpoints of every published layout, with random weights written by transformers: does isogloss read
each as transformers does?

    python layouts.py MODEL test.jsonl --isogloss target/release/isogloss
    python layouts.py MODEL test.jsonl --isogloss target/release/isogloss --full --lines 20 --layouts m2m-418m,nllb-600m

MODEL gives its tokenizer.json; the input holds records with `src_lang`, `tgt_lang`, `src` and `tgt`. Each
layout is written into a folder of its own, read by both programs in f32, and compared: log probabilities
of the given targets (logits up to a constant of each position), and the token ids of greedy search and
of beam search with 5. `from f64` is how far each program is from the same model in f64, in the lines
where they differ most. One line each; ends with 1 when a log probability differs by more than --limit and
ours is further from f64 than that of transformers, or when tokens differ in a line whose two translations are no tie (their scores under the model in transformers
differ by more than --tie).

Random weights are drawn wide (--std), so that the next token is seldom a matter of rounding.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from load_everywhere import TOKENIZER_CONFIG, Model, spread_lines

SMALL = dict(d_model=64, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=128, decoder_ffn_dim=128,
             encoder_attention_heads=4, decoder_attention_heads=4)
# So many lines, those that differ most, are computed in f64 as well.
WORST = 10
PUBLISHED = dict(d_model=1024, encoder_attention_heads=16, decoder_attention_heads=16, max_position_embeddings=1024)


def layouts():
    """Name, sizes that differ from SMALL, and what becomes of the files."""
    yield "one file, f32", {}, dict()
    yield "one file, f16", {}, dict(dtype="float16")
    yield "one file, bf16", {}, dict(dtype="bfloat16")
    yield "shards", {}, dict(shard="200KB")
    yield "shards, f16", {}, dict(shard="100KB", dtype="float16")
    for name in ("model.shared.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight",
                 "lm_head.weight"):
        yield f"embedding as {name}", {}, dict(embeddings=[name])
    yield "embedding under all names", {}, dict(embeddings=["model.shared.weight", "model.encoder.embed_tokens.weight",
                                                            "model.decoder.embed_tokens.weight", "lm_head.weight"])
    yield "stored position tables", {}, dict(positions=True)
    yield "final bias, zero", {}, dict(bias=0.0)
    yield "vocabulary padding", dict(vocab_padding=61), {}
    yield "no scaling of embeddings", dict(scale_embedding=False), {}
    yield "12+3 layers, sides unlike", dict(encoder_layers=12, decoder_layers=3, decoder_ffn_dim=96,
                                            encoder_ffn_dim=160, decoder_attention_heads=2), {}
    yield "old configuration, few keys", {}, dict(few_keys=True)


def published():
    yield "m2m-418m", dict(PUBLISHED, encoder_layers=12, decoder_layers=12, encoder_ffn_dim=4096, decoder_ffn_dim=4096,
                           vocab_size=128112), {}
    yield "small-100", dict(PUBLISHED, encoder_layers=12, decoder_layers=3, encoder_ffn_dim=4096, decoder_ffn_dim=4096,
                            vocab_size=128112), {}
    yield "nllb-600m", dict(PUBLISHED, encoder_layers=12, decoder_layers=12, encoder_ffn_dim=4096, decoder_ffn_dim=4096,
                            vocab_size=256206), dict(shard="1GB")


def write(directory, a, sizes, files):
    """A random model in this layout; returns its bytes on disk."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    source = Path(a.model)
    base = json.loads((source / "config.json").read_text())
    sizes = dict(SMALL, vocab_size=base["vocab_size"]) | sizes
    sizes["vocab_size"] += sizes.pop("vocab_padding", 0)
    marks = {k: base[k] for k in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")}
    config = M2M100Config(**({"max_position_embeddings": 256} | sizes), **marks, dropout=0.0, encoder_layerdrop=0.0,
                          decoder_layerdrop=0.0)
    torch.manual_seed(a.seed)
    model = M2M100ForConditionalGeneration(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "layer_norm" not in name:
                width = p.shape[-1] if p.dim() > 1 else 64
                torch.nn.init.normal_(p, std=a.std / width ** 0.5 if "shared" not in name else a.std / config.d_model ** 0.5)
            else:
                p.add_(0.1 * torch.randn_like(p))
        model.model.shared.weight[config.pad_token_id].zero_()
        # Only what the tokenizer can spell is likely, so that translations can be looked at.
        model.model.shared.weight[base["vocab_size"]:] *= 0.01
    directory.mkdir()
    model.to(getattr(torch, files.get("dtype", "float32"))).save_pretrained(
        directory, max_shard_size=files.get("shard", "50GB"))
    one = directory / "model.safetensors"
    if files.keys() & {"embeddings", "positions", "bias"}:
        tensors = load_file(one)
        shared = tensors.pop("model.shared.weight")
        for name in files.get("embeddings", ["model.shared.weight"]):
            tensors[name] = shared.clone()
        if files.get("positions"):
            for side in (model.model.encoder, model.model.decoder):
                name = "encoder" if side is model.model.encoder else "decoder"
                tensors[f"model.{name}.embed_positions.weights"] = side.embed_positions.weights.clone()
        if "bias" in files:
            tensors["final_logits_bias"] = torch.full((1, config.vocab_size), files["bias"])
        save_file(tensors, one, metadata={"format": "pt"})
    if files.get("few_keys"):
        path = directory / "config.json"
        c = json.loads(path.read_text())
        keep = {"model_type", "architectures", "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_ffn_dim",
                "decoder_ffn_dim", "encoder_attention_heads", "decoder_attention_heads", "pad_token_id", "bos_token_id",
                "eos_token_id", "decoder_start_token_id", "max_position_embeddings", "scale_embedding"}
        path.write_text(json.dumps({k: v for k, v in c.items() if k in keep}))
    shutil.copy(source / "tokenizer.json", directory)
    (directory / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
    return sum(f.stat().st_size for f in directory.iterdir())


def isogloss(a, directory, path, *more):
    command = [a.isogloss, "translate", "-q", "-m", str(directory), "--token-scores", "-f", "jsonl", "--threads",
               str(a.threads), *more, str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    if done.returncode:
        return None, done.stderr.strip().splitlines()[0]
    return [r for r in map(json.loads, done.stdout.splitlines()) if r["type"] == "translation"], None


def search(model, rows, beam, a):
    """Token ids by `generate`, marks included, up to the end mark."""
    out = {}
    eos = model.config.eos_token_id
    by_pair = {}
    for r in rows:
        by_pair.setdefault((r["src_lang"], r["tgt_lang"]), []).append(r)
    for group in by_pair.values():
        for i in range(0, len(group), a.batch_size):
            part = group[i:i + a.batch_size]
            ids = [model.source(r) for r in part]
            with model.torch.inference_mode():
                y = model.model.generate(
                    input_ids=model.pad(ids, model.config.pad_token_id),
                    attention_mask=model.pad([[1] * len(x) for x in ids], 0), num_beams=beam, do_sample=False,
                    forced_bos_token_id=model.vocab[model.mark(part[0]["tgt_lang"])], max_new_tokens=a.max_new_tokens,
                    length_penalty=1.0, early_stopping=False)
            for r, seq in zip(part, y.tolist()):
                seq = seq[1:]
                out[r["id"]] = seq[:seq.index(eos) + 1] if eos in seq else seq[:a.max_new_tokens]
    return out


def token_log_probs(model, row, record):
    """log p of each token of a record of ours, but for the mark, which is given to both."""
    target = record["token_ids"]
    log_p = model.log_probs(row, target)
    return [log_p[i, target[i]].item() for i in range(1, len(target))]


def largest(a, b):
    return max((abs(x - y) for x, y in zip(a, b, strict=True)), default=0.0)


def compare(a, directory, rows, path):
    """Largest differences of a log probability; lines with the same tokens, and ties, for each beam."""
    model = Model(directory, a.threads)
    given, error = isogloss(a, directory, path, "--score-given")
    if error:
        return error
    lines, count = [], 0
    for row, r in zip(rows, given):
        theirs = token_log_probs(model, row, r)
        lines.append((largest(theirs, r["token_scores"][1:]), row, r, theirs))
        count += len(theirs)
    lines.sort(key=lambda line: -line[0])
    model.model.double()
    exact = [(r["token_scores"][1:], theirs, token_log_probs(model, row, r)) for _, row, r, theirs in lines[:WORST]]
    model.model.float()
    result = [(lines[0][0], max(largest(ours, e) for ours, _, e in exact), max(largest(theirs, e) for _, theirs, e in exact), count)]
    for beam in (1, 5):
        ours, error = isogloss(a, directory, path, "--beam-size", str(beam), "--max-new-tokens", str(a.max_new_tokens),
                               "--early-stopping", "false", "--length-penalty", "1")
        if error:
            return error
        theirs = search(model, rows, beam, a)
        same, ties = 0, 0
        for row, r in zip(rows, ours):
            x, y = theirs[row["id"]], r["token_ids"]
            if x == y:
                same += 1
                continue
            if beam == 1:
                at = next(i for i, (p, q) in enumerate(zip(x, y)) if p != q)
                log_p = model.log_probs(row, x[: at + 1])[at]
                gap = (log_p[x[at]] - log_p[y[at]]).item()
            else:
                score = lambda ids: sum(model.log_probs(row, ids)[i, t].item() for i, t in enumerate(ids) if i) / len(ids)
                gap = score(x) - score(y)
            ties += abs(gap) <= a.tie
        result.append((same, ties))
    return result


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", help="a model directory with tokenizer.json")
    ap.add_argument("input", help="records, JSON lines")
    ap.add_argument("--isogloss", required=True, metavar="EXE")
    ap.add_argument("--lines", type=int, default=200)
    ap.add_argument("--full", action="store_true", help="the published sizes, too")
    ap.add_argument("--layouts", default="", help="only these, by commas")
    ap.add_argument("--max-new-tokens", type=int, default=24)
    ap.add_argument("--batch-size", type=int, default=25)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--std", type=float, default=1.0, help="of weights, over the root of their inputs")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--limit", type=float, default=1e-4)
    ap.add_argument("--tie", type=float, default=1e-4)
    a = ap.parse_args()
    only = [n for n in a.layouts.split(",") if n]
    rows = spread_lines(a.input, a.lines)
    failed = 0
    print(f"{'layout':46} {'MiB':>7} {'log p':>8} {'from f64: ours':>14} {'theirs':>8} {'tokens':>7}  greedy        beam 5     of {len(rows)} (ties)")
    for name, sizes, files in [*layouts(), *(published() if a.full else [])]:
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "in.jsonl"
            path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
            directory = Path(work) / "model"
            size = write(directory, a, sizes, files)
            result = compare(a, directory, rows, path)
        if isinstance(result, str):
            print(f"{name:46} {size / 2**20:7.1f}  {result}")
            failed += 1
            continue
        (worst, ours, theirs, count), (greedy, greedy_ties), (beam, beam_ties) = result
        bad = (worst > a.limit and ours > theirs) or greedy + greedy_ties < len(rows) or beam + beam_ties < len(rows)
        failed += bad
        print(f"{name:46} {size / 2**20:7.1f} {worst:8.1e} {ours:14.1e} {theirs:8.1e} {count:7}  {greedy:4} ({greedy_ties})     {beam:4} ({beam_ties})"
              f"{'   DIFFERENT' if bad else ''}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
