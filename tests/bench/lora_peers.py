#!/usr/bin/env python3
"""LoRA training step: isogloss against PEFT on PyTorch and against its own full training, time and
peak memory, side by side.

A step is that of train_peers.py, with the base frozen and adapters of --rank on the query, key, value
and output projections of self- and cross-attention and on both feed-forward layers of every layer, no
dropout on the adapters. Three processes serve one shape and batch (`peft`, `lora` and `full`), in
train_peers.py's protocol and by its method: interleaved rounds, medians. For an adapter its requests
have two words more:

    stdin  `A 2048 3 lora 8`     shape, target tokens a step, steps, method, rank

`peft` and `lora` are asked the same; `full` (isogloss, all parameters) is what train_peers.py asks.

    python tests/bench/lora_peers.py                    # builds the bench
    python tests/bench/lora_peers.py --shapes A,B --tokens 2048,4096 --rank 16 --json lora.jsonl
"""
import argparse
import warnings

from train_peers import (Worker, append, common_options, isogloss_command, measure, quiet, ratios, torch_command,
                         torch_model, torch_worker)

MODULES = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]


def peft_model(shape, attention, method, rank):
    """The same random model, frozen, with adapters that PEFT makes."""
    import peft

    if method != "lora":
        raise SystemExit(f"unknown method `{method}`: lora")
    config = peft.LoraConfig(task_type=peft.TaskType.SEQ_2_SEQ_LM, r=int(rank), lora_alpha=2 * int(rank),
                             lora_dropout=0.0, target_modules=MODULES)
    return peft.get_peft_model(torch_model(shape, attention), config).train()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common_options(ap, shapes="A", tokens="2048", rounds=7)
    ap.add_argument("--rank", type=int, default=8)
    ap.add_argument("--systems", default="peft,lora,full")
    a = ap.parse_args()
    if a.worker:
        # Part of the libraries, whose share of memory is reported on its own.
        import peft  # noqa: F401

        warnings.filterwarnings("ignore", category=FutureWarning)
        return torch_worker(a.threads, lambda shape, *method: peft_model(shape, a.attention, *method))
    lora = f"lora {a.rank}"
    systems = {}
    for system in a.systems.split(","):
        if system not in ("peft", "lora", "full"):
            ap.error(f"unknown system `{system}`: peft, lora or full")
        systems[system] = "" if system == "full" else lora
    bench = isogloss_command(a) if systems.keys() & {"lora", "full"} else None
    quiet()
    print(f"{'shape':5} {'tokens':>6} {'system':6} {'step, s':>8} {'tok/s':>8} {'peak MiB':>9}"
          f"   beside `lora` (isogloss, rank {a.rank}): time (range), memory")
    for shape in a.shapes.split(","):
        for tokens in map(int, a.tokens.split(",")):
            workers = [Worker(name, torch_command(__file__, a) if name == "peft" else bench, a.threads, method)
                       for name, method in systems.items()]
            rows = measure("lora_bench", workers, shape, tokens, a)
            for row in rows:
                row["rank"] = None if row["system"] == "full" else a.rank
                tail = ""
                found = {} if row["system"] == "lora" else ratios(rows, "lora", row["system"])
                if found:
                    row["lora_beside"] = found
                    tail = (f"   {found['speed_ratio']:.2f} ({found['speed_ratio_min']:.2f} to"
                            f" {found['speed_ratio_max']:.2f}), {1 / found['memory_ratio']:.2f}")
                print(f"{shape:5} {tokens:6} {row['system']:6} {row['step_s']:8.3f} {row['tok_per_s']:8.0f}"
                      f" {row['peak_rss_mib']:9.0f}{tail}", flush=True)
                if "idle_rss_mib" in row:
                    print(f"{'':29} of these {row['idle_rss_mib']:.0f} MiB before the model is made")
                append(a.json, {k: v for k, v in row.items() if v is not None})


if __name__ == "__main__":
    main()
