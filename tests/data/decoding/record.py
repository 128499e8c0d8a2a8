#!/usr/bin/env python3
"""Records what transformers computes on two tiny random M2M-100 checkpoints.

Writes beside itself `plain/` and `odd/` (model directories) and `golden.json`: logits with teacher
forcing, and the tokens and scores of `generate` under many settings. Made with transformers
5.23.0 and torch 2.15.0:

    python record.py
"""
import json
import os

import torch
from transformers import GenerationConfig, M2M100Config, M2M100ForConditionalGeneration

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_num_threads(1)

# `odd`: sizes that fill no vector, and a final bias, as older checkpoints store.
MODELS = {
    "plain": dict(vocab_size=60, d_model=16, layers=2, heads=4, ffn=32, seed=5),
    "odd": dict(vocab_size=77, d_model=30, layers=2, heads=3, ffn=41, seed=24),
}
MARK = 50
SOURCES = [
    [51, 7, 21, 33, 9, 2],
    [51, 2],
    [52, 44, 44, 12, 5, 19, 28, 31, 40, 6, 13, 2],
    [53, 30, 2],
    [51, 11, 23, 8, 35, 17, 29, 42, 14, 26, 38, 10, 22, 34, 46, 18, 2],
    # A padding token in the middle of a sentence keeps the zero position and is not counted.
    [51, 7, 1, 33, 9, 2],
]
SETTINGS = {
    "greedy": dict(num_beams=1, max_new_tokens=20),
    "greedy_short": dict(num_beams=1, max_new_tokens=1),
    "greedy_no_repeat": dict(num_beams=1, max_new_tokens=30, no_repeat_ngram_size=2),
    "greedy_min": dict(num_beams=1, max_new_tokens=20, min_new_tokens=12),
    "greedy_suppress": dict(num_beams=1, max_new_tokens=12, suppress_tokens=[3, 5, 30, 31, 32, 33]),
    "beam2": dict(num_beams=2, max_new_tokens=20),
    "beam5": dict(num_beams=5, max_new_tokens=20, num_return_sequences=5),
    "beam5_mark": dict(num_beams=5, max_new_tokens=1),
    "beam5_long": dict(num_beams=5, max_new_tokens=48),
    "beam5_short": dict(num_beams=5, max_new_tokens=3, num_return_sequences=3),
    "beam4_penalty0": dict(num_beams=4, max_new_tokens=20, length_penalty=0.0, num_return_sequences=4),
    "beam4_penalty2": dict(num_beams=4, max_new_tokens=20, length_penalty=2.0, num_return_sequences=4),
    "beam4_penalty06": dict(num_beams=4, max_new_tokens=20, length_penalty=0.6),
    "beam4_negative": dict(num_beams=4, max_new_tokens=20, length_penalty=-1.0),
    "beam5_early": dict(num_beams=5, max_new_tokens=20, early_stopping=True, num_return_sequences=5),
    "beam5_never": dict(num_beams=5, max_new_tokens=20, early_stopping="never", num_return_sequences=5),
    "beam3_no_repeat1": dict(num_beams=3, max_new_tokens=16, no_repeat_ngram_size=1),
    "beam3_no_repeat3": dict(num_beams=3, max_new_tokens=40, no_repeat_ngram_size=3),
    "beam5_min": dict(num_beams=5, max_new_tokens=20, min_new_tokens=9, num_return_sequences=2),
    "beam5_suppress": dict(num_beams=5, max_new_tokens=20, suppress_tokens=[3, 5, 30, 31, 32, 33]),
    "beam12": dict(num_beams=12, max_new_tokens=16, num_return_sequences=12),
    "greedy_free": dict(num_beams=1, max_new_tokens=12, free=True),
    "beam5_free": dict(num_beams=5, max_new_tokens=12, free=True),
}


def build(name, vocab_size, d_model, layers, heads, ffn, seed):
    """A checkpoint with weights large enough that outputs vary, and end marks that occur."""
    torch.manual_seed(seed)
    config = M2M100Config(
        vocab_size=vocab_size, d_model=d_model, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=ffn,
        decoder_ffn_dim=ffn, max_position_embeddings=64, scale_embedding=True, dropout=0.0,
        attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0,
    )
    model = M2M100ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for n, p in sorted(model.named_parameters()):
            # The layers must outweigh the token itself, which the tied output layer would repeat.
            if n == "model.decoder.layer_norm.weight":
                p.copy_(7.0 + torch.randn_like(p))
            elif "layer_norm.weight" in n:
                p.copy_(1.0 + 0.2 * torch.randn_like(p))
            elif n.endswith("bias"):
                p.copy_(0.2 * torch.randn_like(p))
            elif "shared" in n:
                p.copy_(0.12 * torch.randn_like(p))
            else:
                gain = 4.0 if "out_proj" in n or "fc2" in n else 2.0
                p.copy_(gain * torch.randn_like(p) / p.shape[1] ** 0.5)
    path = os.path.join(HERE, name)
    model.save_pretrained(path)
    GenerationConfig(
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    ).save_pretrained(path)
    if name == "odd":
        # transformers 5 no longer has the buffer: it is written by hand and added below.
        from safetensors.torch import load_file, save_file

        bias = torch.zeros(1, vocab_size)
        bias[0, 2] = 1.5
        bias[0, 20:40] = 0.3 * torch.randn(20)
        file = os.path.join(path, "model.safetensors")
        tensors = load_file(file)
        tensors["final_logits_bias"] = bias
        save_file(tensors, file, metadata={"format": "pt"})
        plain = model.lm_head.forward
        model.lm_head.forward = lambda x: plain(x) + bias[0]
    return model


def logits(model):
    rows = []
    for src in SOURCES:
        ids = torch.tensor([src])
        decoder = [2, MARK, 7, 21, 9]
        with torch.inference_mode():
            y = model(input_ids=ids, attention_mask=torch.ones_like(ids),
                      decoder_input_ids=torch.tensor([decoder])).logits[0]
        rows.append({"src": src, "decoder": decoder, "logits": [[round(v, 6) for v in r] for r in y.tolist()]})
    return rows


def generate(model, settings):
    settings = dict(settings)
    forced = None if settings.pop("free", False) else MARK
    out = []
    for src in SOURCES:
        ids = torch.tensor([src])
        with torch.inference_mode():
            y = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), forced_bos_token_id=forced,
                do_sample=False, return_dict_in_generate=True, output_scores=True, **settings)
        hyps = []
        for i, seq in enumerate(y.sequences.tolist()):
            seq = seq[1:]
            if settings["num_beams"] > 1:
                # Padding fills up to the longest; padding tokens that were chosen have a beam.
                seq = seq[: sum(b >= 0 for b in y.beam_indices[i].tolist())]
            hyp = {"tokens": seq}
            if settings["num_beams"] > 1:
                hyp["score_norm"] = round(y.sequences_scores[i].item(), 6)
            hyps.append(hyp)
        out.append(hyps)
    return out


def main():
    golden = {"mark": MARK, "sources": SOURCES, "models": {}}
    for name, shape in MODELS.items():
        model = build(name, **shape)
        golden["models"][name] = {
            "logits": logits(model),
            "generate": [
                {"name": n, "settings": s, "expected": generate(model, s)} for n, s in SETTINGS.items()
            ],
        }
        for case in golden["models"][name]["generate"]:
            best = [len(h[0]["tokens"]) for h in case["expected"]]
            print(name, case["name"], best, case["expected"][0][0]["tokens"])
    with open(os.path.join(HERE, "golden.json"), "w") as f:
        json.dump(golden, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
