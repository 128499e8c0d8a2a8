#!/usr/bin/env python3
"""Translation speed beside CTranslate2, in turns, on random models.

Both decode the same token ids and give every sentence exactly 32 tokens, so that the work is
equal. A turn is a pause, one run that is not timed and runs for a second or more: threads that
have slept while the other system ran are woken on one processor, and wait for each other there
until the scheduler parts them. Needs ctranslate2, torch and transformers.

    python tests/bench/translate_peers.py                # builds the bench `decode`
    python tests/bench/translate_peers.py --batches 1,16 --cpu-time
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import built
from random_model import SHAPES, build, sources, vocabulary

TOKENS = 32


class Ours:
    def __init__(self, program, model):
        self.process = subprocess.Popen(
            [program, "--serve", model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, ids, batch, beam, threads, cpu):
        request = {"sources": ids, "batch": batch, "beam": beam, "tokens": TOKENS, "threads": threads}
        before = self.cpu_seconds()
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        seconds = json.loads(self.process.stdout.readline())["seconds"]
        return self.cpu_seconds() - before if cpu else seconds

    def cpu_seconds(self):
        """Of the first thread, which does all the work when there is only one."""
        with open(f"/proc/{self.process.pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e9

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def turn(run):
    """Seconds of a run, once it runs steadily."""
    time.sleep(0.3)
    run()
    times = []
    while sum(times) < 1.0:
        times.append(run())
    return statistics.mean(times)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--program", metavar="EXE", help="built bench `decode`; default: build it with cargo")
    ap.add_argument("--work", default="/tmp/isogloss-bench")
    ap.add_argument("--shapes", default="A,B")
    ap.add_argument("--batches", default="1,16,64")
    ap.add_argument("--beams", default="1,5")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--cpu-time", action="store_true",
                    help="one thread, processor seconds: for a machine that is not idle")
    a = ap.parse_args()
    if a.cpu_time:
        # Read when the library is loaded.
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
        a.threads = 1
    import ctranslate2

    program = a.program or built.bench("decode")
    clock = time.process_time if a.cpu_time else time.perf_counter
    print(f"{'shape':5} {'batch':>5} {'beam':>4} {'isogloss':>9} {'CTranslate2':>11} {'ratio':>6}  tokens a second")
    for shape in a.shapes.split(","):
        hf, ct2 = build(shape, a.work)
        ours = Ours(program, hf)
        peer = ctranslate2.Translator(os.path.join(ct2, "float32"), device="cpu", compute_type="float32",
                                      inter_threads=1, intra_threads=a.threads)
        names = vocabulary(SHAPES[shape][4])
        for batch in map(int, a.batches.split(",")):
            for beam in map(int, a.beams.split(",")):
                ids = sources(max(batch, 4), SHAPES[shape][4])
                order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
                groups = [order[i:i + batch] for i in range(0, len(ids), batch)]
                tokens = [[[names[t] for t in ids[i]] for i in g] for g in groups]

                def run_peer():
                    start = clock()
                    for g in tokens:
                        result = peer.translate_batch(
                            g, beam_size=beam, max_batch_size=0, min_decoding_length=TOKENS,
                            max_decoding_length=TOKENS, max_input_length=0)
                        assert all(len(r.hypotheses[0]) == TOKENS for r in result)
                    return clock() - start

                times = {"ours": [], "peer": []}
                for _ in range(a.rounds):
                    times["ours"].append(turn(lambda: ours.run(ids, batch, beam, a.threads, a.cpu_time)))
                    times["peer"].append(turn(run_peer))
                rate = {k: len(ids) * TOKENS / statistics.median(v) for k, v in times.items()}
                ratio = statistics.median(t / o for o, t in zip(times["ours"], times["peer"]))
                print(f"{shape:5} {batch:5} {beam:4} {rate['ours']:9.0f} {rate['peer']:11.0f} {ratio:6.2f}", flush=True)
        ours.close()


if __name__ == "__main__":
    main()
