#!/usr/bin/env python3
"""Translation speed beside CTranslate2, in turns, on random models.

Both decode the same token ids and give every sentence exactly --tokens tokens, so that the work is equal.
Every system is a process of its own, stopped while it is not its turn. A turn is one run that is not
timed and then runs for a second or more. CTranslate2 runs with one thread and with --threads, its threads
bound to processors; the faster counts. With --int8 both have weights of 8 bits. `--also transformers,marian`
puts these beside them (f32), one turn each; Marian by an interpreter of its own, see marian_peer.py.

Needs ctranslate2, torch and transformers.

    python tests/bench/translate_peers.py                # builds the bench `decode`
    python tests/bench/translate_peers.py --int8
    python tests/bench/translate_peers.py --shapes nllb-600m --batches 1,16 --beams 1 --shortlist 30000
    python tests/bench/translate_peers.py --batches 1,16 --cpu-time
"""
import argparse
import os
import statistics
import subprocess

import built
from random_model import SHAPES, build, sources
from serving import System, peer


def turn(system, ids, batch, beam, tokens, cpu):
    """Seconds of a run, once it runs steadily."""
    system.go()
    system.ask(ids, batch, tokens, beam)
    times, elapsed = [], 0.0
    while elapsed < 1.0:
        # Of one thread: those of a run of several end with it, and their seconds with them.
        before = system.cpu_seconds() if cpu else 0.0
        seconds = system.ask(ids, batch, tokens, beam)
        elapsed += seconds
        times.append(system.cpu_seconds() - before if cpu else seconds)
    system.stop()
    return statistics.mean(times)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--program", metavar="EXE", help="built bench `decode`; default: build it with cargo")
    ap.add_argument("--work", default="/tmp/isogloss-bench")
    ap.add_argument("--shapes", default="A,B")
    ap.add_argument("--batches", default="1,16,64")
    ap.add_argument("--beams", default="1,5")
    ap.add_argument("--tokens", type=int, default=32, help="of each translation")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--peer-threads", help="of CTranslate2; default: one and --threads, the faster")
    ap.add_argument("--cpu-time", action="store_true",
                    help="one thread, processor seconds: for a machine that is not idle")
    ap.add_argument("--int8", action="store_true")
    ap.add_argument("--isogloss", metavar="EXE", help="to make int8 weights; default: build it with cargo")
    ap.add_argument("--shortlist", type=int, metavar="N", help="isogloss choosing among N tokens, too")
    ap.add_argument("--also", default="", help="`transformers`, `marian` or both")
    ap.add_argument("--marian-python", metavar="EXE", help="interpreter with pymarian")
    a = ap.parse_args()
    also = list(filter(None, a.also.split(",")))
    if "marian" in also and not a.marian_python:
        ap.error("--also marian wants --marian-python")
    if a.cpu_time:
        a.threads = 1
    threads = [int(n) for n in a.peer_threads.split(",")] if a.peer_threads else sorted({1, a.threads})
    program = a.program or built.bench("decode")
    print(f"{'shape':5} {'batch':>5} {'beam':>4} {'isogloss':>9} {'CTranslate2':>11} {'ratio':>6}"
          "  tokens a second (CTranslate2 by threads)" + "".join(f"  {n} (isogloss over it)" for n in also))
    for shape in a.shapes.split(","):
        kind = "int8" if a.int8 else "float32"
        hf, ct2 = build(shape, a.work, [kind])
        model = hf
        if a.int8:
            model = os.path.join(a.work, f"{shape}-int8")
            subprocess.run([a.isogloss or built.binary(), "export", "-q", "-m", hf, "--dtype", "int8", "-o", model,
                            "--force"], check=True, stdout=subprocess.DEVNULL)
        ours = System([program, "--serve", model], a.threads)
        peers = {n: System(peer("ctranslate2", os.path.join(ct2, kind), n), n) for n in threads}
        systems = {"ours": ours, **peers}
        if a.shortlist:
            systems["listed"] = System([program, "--serve", model], a.threads)
            systems["listed"].extra = {"shortlist": a.shortlist}
        for name in also:
            systems[name] = System(
                peer("transformers", hf, a.threads) if name == "transformers" else
                [a.marian_python, "-B", os.path.join(os.path.dirname(os.path.abspath(__file__)), "marian_peer.py"),
                 shape, a.work, str(a.threads)], a.threads)
        for system in systems.values():
            # Up and running, and then out of the way.
            system.ask(sources(1, SHAPES[shape][4]), 1, a.tokens)
            system.stop()
        for batch in map(int, a.batches.split(",")):
            for beam in map(int, a.beams.split(",")):
                ids = sources(max(batch, 4), SHAPES[shape][4])
                times = {name: [] for name in systems}
                for i in range(a.rounds):
                    for name, system in systems.items():
                        if name in also and i > 0:
                            continue
                        times[name].append(turn(system, ids, batch, beam, a.tokens, a.cpu_time))
                best = min(peers, key=lambda n: statistics.median(times[n]))
                rate = {k: len(ids) * a.tokens / statistics.median(v) for k, v in times.items()}
                ratio = statistics.median(t / o for o, t in zip(times["ours"], times[best]))
                others = "  ".join(f"{n}: {rate[n]:.0f}" for n in peers)
                more = "".join(f"  {n}: {rate[n]:.0f} ({rate['ours'] / rate[n]:.2f})" for n in also)
                if a.shortlist:
                    gain = statistics.median(o / t for o, t in zip(times["ours"], times["listed"]))
                    more += f"  of {a.shortlist} tokens: {rate['listed']:.0f} ({gain:.2f} of all tokens' speed)"
                print(f"{shape:5} {batch:5} {beam:4} {rate['ours']:9.0f} {rate[best]:11.0f} {ratio:6.2f}  ({others}){more}",
                      flush=True)
        for system in systems.values():
            system.close()


if __name__ == "__main__":
    main()
