#!/usr/bin/env python3
"""Records the golden numbers of LoRA: logits, loss and the gradients of A and B, and what PEFT saves.

The reference is PEFT around `M2M100ForConditionalGeneration` of transformers, on the tiny models and
the batches of ../training, with eager attention, run in float64; what is stored is rounded to float32.
Everything is computed a second time from the definition, on a plain model whose weights are
`W + alpha / r * B A`, and must agree before anything is written.

    python record.py            writes CASE/{adapter/,golden.safetensors}
    python record.py --check    records again and compares with what is there

README.md, beside this file, says what each tensor is.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors import safe_open
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))
import record as training

# As users write them; PEFT stores this path of the model as it was given.
BASE = "../training"
# The same linear layers in every case, by the end of their path. `lopsided` leaves some out.
EVERY = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
CASES = {
    "even": dict(seed=21, config=dict(r=3, lora_alpha=6, target_modules=EVERY)),
    # Ranks from 1 to 6: rank and alpha of their own, only one of the two, neither; an alpha that is no
    # whole number, and one equal to the default. The decoder's fc2 and others have no adapter.
    "lopsided": dict(seed=22, config=dict(
        r=2, lora_alpha=4,
        target_modules=[
            "model.encoder.layers.0.self_attn.q_proj", "model.encoder.layers.0.self_attn.v_proj",
            "model.encoder.layers.0.fc1", "model.encoder.layers.1.self_attn.k_proj",
            "model.encoder.layers.1.self_attn.out_proj", "model.encoder.layers.1.fc2",
            "model.encoder.layers.2.fc1", "model.encoder.layers.2.fc2",
            "model.decoder.layers.0.self_attn.q_proj", "model.decoder.layers.0.encoder_attn.q_proj",
            "model.decoder.layers.0.encoder_attn.k_proj", "model.decoder.layers.0.encoder_attn.v_proj",
            "model.decoder.layers.0.encoder_attn.out_proj", "model.decoder.layers.0.fc1",
        ],
        rank_pattern={
            "model.encoder.layers.0.self_attn.q_proj": 1, "model.encoder.layers.1.fc2": 5,
            "model.encoder.layers.2.fc1": 3, "model.decoder.layers.0.encoder_attn.v_proj": 6,
            "model.decoder.layers.0.fc1": 4,
        },
        alpha_pattern={
            "model.encoder.layers.0.self_attn.q_proj": 2, "model.encoder.layers.0.fc1": 1,
            "model.encoder.layers.2.fc1": 4.5, "model.decoder.layers.0.encoder_attn.v_proj": 4,
            "model.decoder.layers.0.fc1": 8,
        },
    )),
}


def base(name, dtype):
    return training.load(f"{BASE}/{name}", dtype)


def ours(name):
    """A parameter's name as PEFT writes it to the file: without the name of the adapter."""
    return name.replace(".default.", ".")


def trainable(model):
    return {ours(n): p for n, p in model.named_parameters() if p.requires_grad}


def build(name):
    """A PEFT model whose A and B are both away from 0, so that each has a gradient."""
    case = CASES[name]
    config = LoraConfig(task_type=TaskType.SEQ_2_SEQ_LM, lora_dropout=0.0, bias="none", **case["config"])
    model = get_peft_model(base(name, torch.float32), config).eval()
    g = torch.Generator().manual_seed(case["seed"])
    with torch.no_grad():
        for _, p in sorted(trainable(model).items()):
            p.copy_(0.3 * torch.randn(p.shape, generator=g))
    return model


def scaling(name, module):
    """alpha / r of a module, from the settings alone."""
    c = CASES[name]["config"]
    r = c.get("rank_pattern", {}).get(module, c["r"])
    alpha = c.get("alpha_pattern", {}).get(module, c["lora_alpha"])
    return alpha / r, r


def measure(name, path, data, dtype):
    """Everything that is recorded, as numpy arrays by name, and the largest change of a logit."""
    model = PeftModel.from_pretrained(base(name, dtype), path, is_trainable=True).eval()
    assert all(p.dtype == dtype for p in model.parameters())
    plain = base(name, dtype)
    out, change = {}, 0.0
    for i, batch in enumerate(data):
        with torch.no_grad():
            loss, nll, tokens, logits = training.sums(model, batch)
            inputs, _ = training.padded(batch)
            encoder = model.get_base_model().model.encoder
            encoded = encoder(inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
            change = max(change, (logits - training.sums(plain, batch)[3]).abs().max().item())
        out[f"batch.{i}.encoded"] = encoded[inputs["attention_mask"] > 0].numpy()
        out[f"batch.{i}.logits"] = logits.numpy()
        out[f"batch.{i}.loss"] = np.array([loss.item() / tokens])
        out[f"batch.{i}.nll"] = np.array([nll.item() / tokens])
    loss, _, tokens, _ = training.sums(model, data[0])
    (loss / tokens).backward()
    params = trainable(model)
    grads = {n: p.grad for n, p in params.items()}
    assert all(g is not None and g.abs().max() > 0 for g in grads.values())
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)
    out.update({f"grad.{n}": g.numpy() for n, g in grads.items()})
    out["grad_norm"] = np.array([training.norm(grads)])
    if dtype == torch.float64:
        by_definition(name, plain, params, data, out)
    return out, change


def by_definition(name, plain, params, data, out):
    """The same numbers from a model without adapters whose weights are W + s B A: with G the gradient
    of such a weight, that of A is s B^T G and that of B is s G A^T."""
    weights = dict(plain.named_parameters())
    modules = sorted(n.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                     for n in params if n.endswith(".lora_A.weight"))
    parts = {}
    for m in modules:
        a, b = (params[f"base_model.model.{m}.lora_{x}.weight"].detach() for x in "AB")
        s, r = scaling(name, m)
        assert a.shape[0] == b.shape[1] == r, m
        parts[m] = s, a, b
        with torch.no_grad():
            weights[f"{m}.weight"].add_(s * b @ a)
    for i, batch in enumerate(data):
        with torch.no_grad():
            loss, nll, tokens, logits = training.sums(plain, batch)
        assert np.allclose(out[f"batch.{i}.logits"], logits.numpy(), rtol=0, atol=1e-12)
        assert np.allclose(out[f"batch.{i}.loss"], loss.item() / tokens, rtol=0, atol=1e-12)
        assert np.allclose(out[f"batch.{i}.nll"], nll.item() / tokens, rtol=0, atol=1e-12)
    _, _, grads = training.gradients(plain, data[:1])
    for m, (s, a, b) in parts.items():
        g = grads[f"{m}.weight"]
        for x, want in (("A", s * b.T @ g), ("B", s * g @ a.T)):
            got = out[f"grad.base_model.model.{m}.lora_{x}.weight"]
            assert np.allclose(got, want.numpy(), rtol=1e-9, atol=1e-12), (m, x)


def spread(a, b):
    """Largest difference of two recordings by kind of quantity."""
    worst = {}
    for k in a:
        kind = k.split(".")[0]
        if kind == "batch":
            kind = "batch." + k.split(".")[2]
        elif kind == "grad":
            kind += "." + k.split(".")[-2]
        worst[kind] = max(worst.get(kind, 0.0), float(np.abs(a[k] - b[k].astype(np.float64)).max()))
    return worst


def record(name, out_dir):
    path = out_dir / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    adapter = path / "adapter"
    build(name).save_pretrained(adapter)
    (adapter / "README.md").unlink()
    os.chmod(adapter / "adapter_model.safetensors", 0o644)
    case = training.CASES[name]
    data = training.batches(case["config"]["vocab_size"], case["seed"])
    reference, change = measure(name, adapter, data, torch.float64)
    single, _ = measure(name, adapter, data, torch.float32)
    tensors = {k: np.ascontiguousarray(v.astype(np.float32)) for k, v in reference.items()}
    for i, batch in enumerate(data):
        for k, rows in (("src", [s for s, _ in batch]), ("labels", [t for _, t in batch])):
            tensors[f"batch.{i}.{k}"] = np.array(sum(rows, []), dtype=np.uint32)
            tensors[f"batch.{i}.{k}_lens"] = np.array([len(r) for r in rows], dtype=np.uint32)
    # The batches are those of ../training, number for number.
    with safe_open(HERE.parent / "training" / name / "golden.safetensors", "np") as f:
        for k in (k for k in tensors if tensors[k].dtype == np.uint32):
            assert np.array_equal(f.get_tensor(k), tensors[k]), k
    settings = dict(base=name, label_smoothing=training.SMOOTHING)
    # One metadata key only: the library keeps them in an unordered map.
    save_file(tensors, path / "golden.safetensors", metadata={"settings": json.dumps(settings, sort_keys=True)})
    os.chmod(path / "golden.safetensors", 0o644)
    return spread(reference, single), change


def config_of(path):
    """Settings as they count: the modules are a set, and PEFT writes them in any order."""
    config = json.loads((path / "adapter" / "adapter_config.json").read_text())
    return dict(config, target_modules=sorted(config["target_modules"]), peft_version=None)


def compare(name, target):
    old, new = config_of(HERE / name), config_of(target / name)
    # Each version of PEFT has settings of its own; those that both know must agree.
    for key in sorted(old.keys() & new.keys()):
        if old[key] != new[key]:
            sys.exit(f"{name}/adapter/adapter_config.json: `{key}` differs")
    for f in ("adapter/adapter_model.safetensors", "golden.safetensors"):
        with safe_open(HERE / name / f, "np") as old, safe_open(target / name / f, "np") as new:
            if set(old.keys()) != set(new.keys()):
                sys.exit(f"{name}/{f}: other tensors")
            for k in old.keys():
                if not np.allclose(old.get_tensor(k), new.get_tensor(k), rtol=1e-6, atol=1e-6):
                    sys.exit(f"{name}/{f}: `{k}` differs")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--check", action="store_true")
    a = ap.parse_args()
    os.chdir(HERE)
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")
    with tempfile.TemporaryDirectory() as tmp:
        target = Path(tmp) if a.check else HERE
        for name in CASES:
            worst, change = record(name, target)
            size = sum(f.stat().st_size for f in (target / name).rglob("*") if f.is_file())
            print(f"{name}: {size} bytes; the adapter changes a logit by up to {change:.2f};"
                  " float32 against float64, largest absolute difference:")
            for kind, d in sorted(worst.items()):
                print(f"  {kind:40} {d:.2e}")
            if a.check:
                compare(name, target)
                print("  as recorded")


if __name__ == "__main__":
    main()
