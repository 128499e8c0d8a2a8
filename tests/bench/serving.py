#!/usr/bin/env python3
"""Systems that translate token ids, each a process of its own that answers requests in lines of JSON:
`decode --serve`, and this script around transformers and CTranslate2."""
import glob
import json
import os
import signal
import subprocess
import sys
import time

# Each thread of OpenMP on a processor of its own, where it waits without sleeping: at its best on a machine
# that does nothing else. (On a virtual machine waking a processor takes longer than a small product.)
BOUND = {"OMP_PROC_BIND": "true", "OMP_WAIT_POLICY": "active"}


def peer(kind, model, threads):
    """The command of another system."""
    return [sys.executable, os.path.abspath(__file__), kind, model, str(threads)]


def serve(kind, model, threads):
    """Answers the requests of `decode --serve` with another system."""
    if kind == "transformers":
        import torch
        from transformers import M2M100ForConditionalGeneration

        torch.set_num_threads(threads)
        net = M2M100ForConditionalGeneration.from_pretrained(model, dtype=torch.float32).eval()

        def run(group, beam, tokens):
            longest = max(map(len, group))
            ids = torch.tensor([s + [1] * (longest - len(s)) for s in group])
            with torch.inference_mode():
                out = net.generate(input_ids=ids, attention_mask=(ids != 1).long(), num_beams=beam,
                                   do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens)
            assert out.shape[1] == tokens + 1
    else:
        import ctranslate2

        net = ctranslate2.Translator(model, device="cpu", inter_threads=1, intra_threads=threads,
                                     compute_type="int8" if model.endswith("int8") else "float32")

        def run(group, beam, tokens):
            result = net.translate_batch(
                [[f"t{i}" if i > 3 else "</s>" for i in s] for s in group], beam_size=beam,
                max_batch_size=0, min_decoding_length=tokens, max_decoding_length=tokens,
                max_input_length=0)
            assert all(len(r.hypotheses[0]) == tokens for r in result)

    for line in sys.stdin:
        request = json.loads(line)
        ids = sorted(request["sources"], key=len)
        start = time.perf_counter()
        for i in range(0, len(ids), request["batch"]):
            run(ids[i:i + request["batch"]], request["beam"], request["tokens"])
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


class System:
    """A process, and its turns: between them it can be stopped, so that threads that wait actively take
    nothing from the others."""

    def __init__(self, command, threads):
        self.start = time.perf_counter()
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads),
                           RAYON_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1", **BOUND)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)
        self.threads = threads
        # What else belongs into every request.
        self.extra = {}

    def ask(self, ids, batch, tokens, beam=1):
        request = {"sources": ids, "batch": batch, "beam": beam, "tokens": tokens, "threads": self.threads, **self.extra}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go(self):
        self.process.send_signal(signal.SIGCONT)

    def cpu_seconds(self):
        nanoseconds = 0
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/schedstat"):
            with open(path) as f:
                nanoseconds += int(f.read().split()[0])
        return nanoseconds / 1e9

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024

    def close(self):
        self.go()
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
