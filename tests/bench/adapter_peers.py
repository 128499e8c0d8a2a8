#!/usr/bin/env python3
"""Adapter training step: isogloss against AdapterHub's `adapters` on PyTorch, time and peak memory.

A step is that of train_peers.py, with the base frozen and an adapter of --bottleneck after the feed-forward
block of every layer (`seq_bn`: ReLU, no norm). The library has no adapters for M2M-100, so a BART of the same
width, layers and vocabulary stands in. It wants a transformers of its own: --python names the interpreter
of an environment with `adapters` and torch.

    python tests/bench/adapter_peers.py --python /path/to/venv/bin/python --shapes A,B --tokens 2048
"""
import argparse
import os
import sys

from train_peers import (SHAPES, Worker, append, common_options, isogloss_command, measure, quiet, ratios,
                         torch_worker)


def adapters_model(shape, method, bottleneck):
    """A random BART, frozen, with adapters of AdapterHub."""
    import adapters
    from transformers import BartConfig, BartForConditionalGeneration

    d_model, layers, heads, ffn, vocab = SHAPES[shape]
    model = BartForConditionalGeneration(BartConfig(
        vocab_size=vocab, d_model=d_model, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=ffn, decoder_ffn_dim=ffn,
        max_position_embeddings=256, dropout=0.1, attention_dropout=0.1, activation_function="relu"))
    if method != "adapter":
        raise SystemExit(f"unknown method `{method}`: adapter")
    adapters.init(model)
    model.add_adapter("a", config=adapters.SeqBnConfig(reduction_factor=d_model / int(bottleneck)))
    model.train_adapter("a")
    model.set_active_adapters("a")
    width = model.model.encoder.layers[0].output_adapters.adapters["a"].adapter_down[0].out_features
    if width != int(bottleneck):
        raise SystemExit(f"the library made adapters of {width}")
    return model.train()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common_options(ap, shapes="A", tokens="2048", rounds=7)
    ap.add_argument("--bottleneck", type=int, default=64)
    ap.add_argument("--python", default=sys.executable, help="interpreter with `adapters`")
    a = ap.parse_args()
    if a.worker:
        import adapters  # noqa: F401

        return torch_worker(a.threads, adapters_model)
    peer = [a.python, os.path.abspath(__file__), "--worker", "--threads", str(a.threads)]
    mine = isogloss_command(a)
    quiet()
    for shape in a.shapes.split(","):
        for tokens in map(int, a.tokens.split(",")):
            method = f"adapter {a.bottleneck}"
            workers = [Worker("adapters", peer, a.threads, method), Worker("isogloss", mine, a.threads, method)]
            rows = measure("adapter_bench", workers, shape, tokens, a)
            found = ratios(rows, "isogloss", "adapters")
            print(f"{shape} {tokens} tokens, adapters of {a.bottleneck}: isogloss at {found['speed_ratio']:.2f} of the speed"
                  f" ({found['speed_ratio_min']:.2f} to {found['speed_ratio_max']:.2f}), in"
                  f" {found['memory_ratio']:.2f} of the memory", flush=True)
            for row in rows:
                append(a.json, dict(row, bottleneck=a.bottleneck, **found))


if __name__ == "__main__":
    main()
