#!/usr/bin/env python3
"""Reads adapters in AdapterHub's layout by its description alone, and compares log probabilities.

    isogloss translate -m MODEL --adapters DIR --score-given --token-scores -f jsonl test.jsonl > scored.jsonl
    python adapterhub.py MODEL DIR scored.jsonl --encoder-adapter en --decoder-adapter de

DIR holds NAME/adapter_config.json and NAME/adapter.safetensors, with the tensor names of mBART. What the
configuration says (which blocks have adapters, where their norms and residuals are, how wide they are,
which layers are left out) is done by hooks in M2M100ForConditionalGeneration of transformers, in f32;
nothing here knows isogloss's own files. The encoder takes its layers from one adapter, the decoder from
another. `{src}` and `{tgt}` in their names stand for a record's languages, so that the defaults read
language adapters, and `--encoder-adapter "{src}-{tgt}" --decoder-adapter "{src}-{tgt}"` those of
directions. With --isogloss EXE the input is plain records, and scored first.

Where `pip install adapters` is there (it wants an older transformers: an environment of its own), the
library itself reads the configurations, loads the adapters into its mBART, whose layers are those of
M2M-100, and the first --library records of each direction are scored with that, too.

Ends with 1 when a log probability differs by more than --tolerance, when the tensors of a file are not
exactly those that its configuration asks for, or when the adapters change nothing.
"""
import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from load_everywhere import TOKENIZER_CONFIG, Model

# Defaults of the library's BnConfig, which is what a configuration without `architecture` is read as.
# The other keys have none.
DEFAULTS = dict(
    original_ln_before=False, original_ln_after=True, ln_before=False, ln_after=False, residual_before_ln=True,
    adapter_residual_before_ln=False, cross_adapter=False, leave_out=[], scaling=1.0, is_parallel=False,
    use_gating=False, phm_layer=False, inv_adapter=None, architecture=None)
NEEDED = ["mh_adapter", "output_adapter", "reduction_factor", "non_linearity"]
# Without a say in what a trained adapter of this kind computes.
IDLE = {"dropout", "stochastic_depth", "init_weights", "init_weights_seed", "inv_adapter_reduction_factor",
        "hypercomplex_nonlinearity", "learn_phm", "shared_phm_rule", "factorized_phm_rule", "factorized_phm_W",
        "shared_W_phm", "phm_dim", "phm_rank", "phm_bias", "phm_c_init", "phm_init_range"}
# Key of the configuration; module list in tensor names; the block it follows; the norm in front of
# that block, whose input is the residual.
PLACES = [
    ("mh_adapter", "attention_adapters", "self_attn", "self_attn_layer_norm"),
    ("cross_adapter", "cross_attention_adapters", "encoder_attn", "encoder_attn_layer_norm"),
    ("output_adapter", "output_adapters", "fc2", "final_layer_norm"),
]


class Adapter:
    """A directory: its configuration, and its tensors by layer and place."""

    def __init__(self, path, config):
        from safetensors.torch import load_file

        self.path = path
        for file in ("adapter_config.json", "adapter.safetensors"):
            if not (path / file).is_file():
                sys.exit(f"no {file} in {path}")
        outer = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
        self.raw = outer["config"]
        self.name = outer["name"]
        if self.name != path.name or "." in self.name:
            sys.exit(f"{path}: the adapter calls itself `{self.name}`")
        if not outer["version"].startswith("adapters."):
            sys.exit(f"{path}: version `{outer['version']}` is not one of the library")
        if outer["hidden_size"] != config.d_model:
            sys.exit(f"{path}: hidden_size {outer['hidden_size']}, the model has {config.d_model}")
        for key in NEEDED:
            if key not in self.raw:
                sys.exit(f"{path}: no `{key}` in the configuration")
        unknown = self.raw.keys() - DEFAULTS.keys() - IDLE - set(NEEDED)
        if unknown:
            sys.exit(f"{path}: keys that the library does not know: {', '.join(sorted(unknown))}")
        self.c = c = DEFAULTS | self.raw
        for key in ("architecture", "is_parallel", "use_gating", "phm_layer", "inv_adapter"):
            if c[key]:
                sys.exit(f"{path}: `{key}` is {c[key]!r}, which is another kind of adapter")
        if c["residual_before_ln"] not in (True, False):
            sys.exit(f"{path}: `residual_before_ln` is {c['residual_before_ln']!r}: only for layers with the norm last")
        if not isinstance(c["scaling"], float):  # 1 is not 1.0 to the library
            sys.exit(f"{path}: `scaling` is {c['scaling']!r}, not a number with a point")
        self.sort(load_file(path / "adapter.safetensors"), config)

    def width(self, index, d):
        factor = self.c["reduction_factor"]
        if isinstance(factor, dict):
            factor = factor.get(str(index), factor.get("default"))
        # Floor division of Python, as there: 16 // 3.2 is 4, though 16 / 3.2 is 5.
        return max(1, int(d // factor))

    def sort(self, file, config):
        """Takes the tensors that the configuration asks for; there must be no other."""
        c, d = self.c, config.d_model
        prefix = "model." if any(n.startswith("model.") for n in file) else ""
        self.weights = {}
        for index in range(config.encoder_layers + config.decoder_layers):
            inner = index - config.encoder_layers
            side, i = ("encoder", index) if inner < 0 else ("decoder", inner)
            for key, modules, block, _ in PLACES:
                if not c[key] or index in c["leave_out"] or (block == "encoder_attn" and side == "encoder"):
                    continue
                b, start = self.width(index, d), f"{prefix}{side}.layers.{i}.{modules}.adapters.{self.name}."

                def take(name, *shape):
                    if start + name not in file:
                        sys.exit(f"{self.path}: no tensor {start + name}")
                    tensor = file.pop(start + name)
                    if tuple(tensor.shape) != shape:
                        sys.exit(f"{self.path}: {start + name} is {list(tensor.shape)}, expected {list(shape)}")
                    return tensor.float()

                def linear(name, rows, columns):
                    return take(f"{name}.weight", rows, columns), take(f"{name}.bias", rows)

                def norm(name):
                    return take(f"{name}.weight", d), take(f"{name}.bias", d)

                w = dict(down=linear("adapter_down.1" if c["ln_before"] else "adapter_down.0", b, d),
                         up=linear("adapter_up", d, b))
                if c["ln_before"]:  # one module under two names
                    w["before"], again = norm("adapter_down.0"), norm("adapter_norm_before")
                    if any((x != y).any() for x, y in zip(w["before"], again)):
                        sys.exit(f"{self.path}: {start}adapter_down.0 and adapter_norm_before differ")
                if c["ln_after"]:
                    w["after"] = norm("adapter_norm_after")
                self.weights[side, i, block] = w
        if file:
            sys.exit(f"{self.path}: {len(file)} tensors that the configuration does not ask for, first {min(file)}")

    def forward(self, w, h, x):
        """What the block adds to the residual `x` in place of its output `h`."""
        import torch
        from torch.nn.functional import layer_norm
        from transformers.activations import get_activation

        c, linear = self.c, torch.nn.functional.linear
        y = h + x if c["original_ln_before"] else h
        residual = h if c["residual_before_ln"] else y
        n = layer_norm(y, y.shape[-1:], *w["before"]) if c["ln_before"] else y
        out = linear(get_activation(c["non_linearity"].lower())(linear(n, *w["down"])), *w["up"]) * c["scaling"]
        if c["adapter_residual_before_ln"]:
            out = out + residual
        if c["ln_after"]:
            out = layer_norm(out, out.shape[-1:], *w["after"])
        if not c["adapter_residual_before_ln"]:
            out = out + residual
        # The layer adds x once more, which is what `original_ln_after` says.
        return out if c["original_ln_after"] else out - x

    def attach(self, model, side):
        """Puts the adapters of a side into the model; what removes them."""
        handles = []
        for (where, i, block), w in self.weights.items():
            if where == side:
                layer = getattr(model.model, side).layers[i]
                norm = next(norm for _, _, b, norm in PLACES if b == block)
                seen = {}

                def remember(module, args, seen=seen):
                    seen["x"] = args[0]

                def adapt(module, args, out, w=w, seen=seen):
                    if isinstance(out, tuple):  # attention returns more than its output
                        return (self.forward(w, out[0], seen["x"]), *out[1:])
                    return self.forward(w, out, seen["x"])

                handles.append(getattr(layer, norm).register_forward_pre_hook(remember))
                handles.append(getattr(layer, block).register_forward_hook(adapt))
        return handles


class Library:
    """The same adapters in mBART of the `adapters` library, on the embeddings of the M2M-100 model."""

    def __init__(self, model):
        import logging

        import adapters
        import torch
        from transformers import MBartConfig, MBartModel

        # That none is active while the plain model runs is meant so.
        logging.getLogger("adapters").setLevel(logging.ERROR)

        class Nothing(torch.nn.Module):
            def forward(self, *args, **kwargs):
                return torch.zeros(())  # of no shape, so that it adds to any

        self.version, self.model, self.torch = adapters.__version__, model, torch
        same = ["vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads",
                "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim", "activation_function", "pad_token_id"]
        mbart = MBartModel(MBartConfig(**{k: getattr(model.config, k) for k in same}, attn_implementation="eager"))
        for side in (mbart.encoder, mbart.decoder):
            side.layernorm_embedding, side.embed_positions = torch.nn.Identity(), Nothing()
        left = mbart.load_state_dict(model.model.model.state_dict(), strict=False)
        if left.missing_keys or left.unexpected_keys:
            sys.exit(f"mBART has other parameters than this model: {left}")
        adapters.init(mbart)
        self.mbart = mbart.eval()

    def load(self, adapter):
        """Refuses what the library leaves out or does not find; it says nothing about it by itself."""
        import adapters

        if adapter.name in self.mbart.adapters_config.adapters:
            return
        read = adapters.AdapterConfig.load(dict(adapter.raw))
        other = [k for k, v in adapter.raw.items() if read[k] != v]
        if not isinstance(read, adapters.BnConfig) or other:
            sys.exit(f"{adapter.path}: the library reads another configuration: {other or type(read).__name__}")
        info = {}
        self.mbart.load_adapter(str(adapter.path), use_safetensors=True, loading_info=info)
        # The file names layers from `model.` on, as of a model with a head.
        if info["missing_keys"] or info["unexpected_keys"]:
            sys.exit(f"{adapter.path}: the library found {info}")

    def log_probs(self, row, target, encoder, decoder):
        """As Model.log_probs; the embeddings are what its first layers get."""
        entered, handles = {}, []
        for side in ("encoder", "decoder"):
            def enter(module, args, kwargs, side=side):
                entered[side] = args[0] if args else kwargs["hidden_states"]

            first = getattr(self.model.model.model, side).layers[0]
            handles.append(first.register_forward_pre_hook(enter, with_kwargs=True))
        self.model.log_probs(row, target)
        for handle in handles:
            handle.remove()
        with self.torch.no_grad():
            self.mbart.set_active_adapters(encoder)
            memory = self.mbart.encoder(inputs_embeds=entered["encoder"]).last_hidden_state
            self.mbart.set_active_adapters(decoder)
            out = self.mbart.decoder(inputs_embeds=entered["decoder"], encoder_hidden_states=memory, use_cache=False)
            return self.torch.log_softmax(self.model.model.lm_head(out.last_hidden_state[0]), -1)


def read(a, work):
    """Scored records: by direction at most --max-lines."""
    paths = a.inputs
    if a.isogloss:
        scored = work / "scored.jsonl"
        with open(scored, "w", encoding="utf-8") as f:
            subprocess.run([a.isogloss, "translate", "-q", "-m", a.model, "--adapters", a.adapters, "--score-given",
                            "--token-scores", "-f", "jsonl", *paths], stdout=f, check=True)
        paths = [scored]
    rows = defaultdict(list)
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for r in map(json.loads, f):
                if r.get("type", "translation") != "translation" or r.get("truncated"):
                    continue
                if "token_scores" not in r:
                    sys.exit(f"{path}: a record without token_scores; translate with --score-given --token-scores")
                direction = r["src_lang"], r["tgt_lang"]
                if a.direction and "-".join(direction) not in a.direction:
                    continue
                if len(rows[direction]) < a.max_lines:
                    rows[direction].append(r)
    if not rows:
        sys.exit("no records to compare")
    return rows


def library(model, count):
    if not count:
        return None
    try:
        import adapters  # noqa: F401
    except ImportError as e:
        print(f"the adapters library is not here ({e}); its reading is not compared")
        return None
    found = Library(model)
    print(f"adapters {found.version} compares with its own mBART")
    return found


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", type=Path)
    ap.add_argument("adapters", type=Path)
    ap.add_argument("inputs", nargs="+", help="records of isogloss, scored; with --isogloss, parallel text")
    ap.add_argument("--isogloss", metavar="EXE")
    ap.add_argument("--encoder-adapter", default="{src}", metavar="NAME")
    ap.add_argument("--decoder-adapter", default="{tgt}", metavar="NAME")
    ap.add_argument("--direction", action="append", help="only these, as en-de")
    ap.add_argument("--max-lines", type=int, default=20, help="of each direction")
    ap.add_argument("--library", type=int, default=3, metavar="N", help="records of each direction; 0: none")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--tolerance", type=float, default=1e-4)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        rows, directory = read(a, work), a.model
        if not (directory / "tokenizer_config.json").exists():
            directory = work / "model"
            shutil.copytree(a.model, directory)
            (directory / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
        model = Model(directory, a.threads)
    theirs, known = library(model, a.library), {}
    worst, effect, apart, tokens = (0.0, "nowhere"), 0.0, 0.0, 0
    for (src, tgt), records in sorted(rows.items()):
        names = [n.format(src=src, tgt=tgt) for n in (a.encoder_adapter, a.decoder_adapter)]
        for n in names:
            known[n] = known.get(n) or Adapter(a.adapters / n, model.config)
            if theirs:
                theirs.load(known[n])
        for k, r in enumerate(records):
            text = r["tgt"] if "tgt" in r else r["hyp"]
            target = [model.vocab[model.mark(tgt)], *model.pieces(text), model.config.eos_token_id]
            if len(r["token_scores"]) != len(target):
                sys.exit(f"record {r['id']}: {len(r['token_scores'])} scores for {len(target)} tokens")
            plain = model.log_probs(r, target)
            handles = [h for n, side in zip(names, ("encoder", "decoder")) for h in known[n].attach(model.model, side)]
            log_p = model.log_probs(r, target)
            for handle in handles:
                handle.remove()
            if theirs and k < a.library:
                apart = max(apart, (theirs.log_probs(r, target, *names) - log_p).abs().max().item())
            effect = max(effect, (log_p - plain).abs().max().item())
            for i, token in enumerate(target[1:], 1):  # the mark is given to both
                d = abs(log_p[i, token].item() - r["token_scores"][i])
                tokens += 1
                if not d <= worst[0]:  # also when it is no number
                    worst = (d if math.isfinite(d) else math.inf, f"{src}-{tgt}, record {r['id']}, token {i}")
    print(f"{tokens} log probabilities in {len(rows)} directions, {len(known)} adapters: largest difference"
          f" {worst[0]:.2e} ({worst[1]}); the adapters change one by up to {effect:.2g}")
    failed = not worst[0] <= a.tolerance or not effect > a.tolerance
    if not effect > a.tolerance:
        print("FAILED  the adapters change nothing, and would agree with everything")
    if theirs:
        print(f"adapters {theirs.version}: configurations read as they are; log probabilities within {apart:.2e}")
        failed |= not apart <= a.tolerance
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
