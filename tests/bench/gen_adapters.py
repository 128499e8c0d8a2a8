#!/usr/bin/env python3
"""Time and peak memory of `isogloss gen-adapters` beside writing as many bytes.

Makes a hyper-network of random weights (by default 200 languages, 12+12 layers of width 1024, bottleneck
128) and exports all of its adapters as one bank, for several numbers of languages in turn. The bytes
are then written again by a plain loop over one buffer: what the disk alone takes.

    python tests/bench/gen_adapters.py target/release/isogloss --languages 25 100 200
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np


def layer_keys(layers):
    return [f"{side}.layers.{i}.layer" for side in ("encoder", "decoder") for i in range(layers)]


def write_hypernet(path, languages, args):
    """`hypernet.json` and `hypernet.safetensors` as isogloss writes them, random."""
    rng = np.random.default_rng(1)
    names = [f"l{i:03d}" for i in range(languages)]
    rows = {f"source.{n}": {"updates": 1} for n in names}
    rows |= {f"target.{n}": {"updates": 1} for n in names}
    rows |= {f"layer.{k}": {"updates": 1} for k in layer_keys(args.layers)}
    config = {
        "format": "isogloss-hypernet", "schema": 1, "kind": "hyper-adapters",
        "d_model": args.width, "encoder_layers": args.layers, "decoder_layers": args.layers,
        "bottleneck": args.bottleneck, "positions": ["layer"], "norm": "before", "affine": "none",
        "encoder_inputs": ["source", "layer"], "decoder_inputs": ["target", "layer"],
        "embedding_dim": 50, "layer_embedding_dim": 50, "hidden": args.hidden, "blocks": 2,
        "rescale": True, "rows": rows,
    }
    (path / "hypernet.json").write_text(json.dumps(config))
    h, d, b = args.hidden, args.width, args.bottleneck
    shapes = {f"embedding.{k}": [50] for k in rows}
    shapes |= {"trunk.input.weight": [h, 150], "trunk.input.bias": [h]}
    for k in range(2):
        block = f"trunk.blocks.{k}"
        shapes |= {f"{block}.norm.weight": [h], f"{block}.norm.bias": [h]}
        for fc in ("fc1", "fc2"):
            shapes |= {f"{block}.{fc}.weight": [h, h], f"{block}.{fc}.bias": [h]}
    for head, size in (("down_weight", d * b), ("down_bias", b), ("up_weight", d * b), ("up_bias", d)):
        shapes |= {f"head.{head}.weight": [size, h], f"head.{head}.bias": [size]}
    header, offset = {}, 0
    for name, shape in sorted(shapes.items()):
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path / "hypernet.safetensors", "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, shape in sorted(shapes.items()):
            f.write((0.05 * rng.standard_normal(shape, dtype=np.float32)).tobytes())


def run(command):
    """Seconds of wall time and peak resident memory in MiB."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def write_bytes(path, size):
    """Seconds to write as many bytes and have them on the disk, as an export does."""
    buffer = os.urandom(1 << 22)
    started = time.monotonic()
    with open(path, "wb") as f:
        left = size
        while left > 0:
            left -= f.write(buffer[: min(left, len(buffer))])
        f.flush()
        os.fsync(f.fileno())
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("isogloss")
    parser.add_argument("--languages", type=int, nargs="+", default=[25, 100, 200])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--bottleneck", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=204)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", help="a directory on the disk to be measured")
    args = parser.parse_args()
    print(f"{'languages':>9} {'MiB':>7} {'export s':>9} {'write s':>8} {'ratio':>6} {'peak MiB':>9}")
    for languages in args.languages:
        work = pathlib.Path(tempfile.mkdtemp(dir=args.work))
        try:
            write_hypernet(work, languages, args)
            rounds = []
            for _ in range(args.rounds):
                bank = work / "bank"
                took, peak = run([args.isogloss, "gen-adapters", work, "-o", bank, "-q", "--format", "text"])
                size = (bank / "adapters.safetensors").stat().st_size
                shutil.rmtree(bank)
                plain = write_bytes(work / "plain", size)
                (work / "plain").unlink()
                rounds.append((took / plain, took, plain, peak))
            ratio, took, plain, peak = sorted(rounds)[len(rounds) // 2]
            print(f"{languages:>9} {size >> 20:>7} {took:>9.2f} {plain:>8.2f} {ratio:>6.2f} {peak:>9.0f}")
        finally:
            shutil.rmtree(work)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
