#!/usr/bin/env python3
"""The emulated driver and libraries of a GPU, as shared libraries in FOLDER.

    python3 tests/cuda/emulator/make.py FOLDER
    LD_LIBRARY_PATH=FOLDER target/cuda/isogloss translate --device cuda:0 ...

Needs a C compiler, also while the program runs: kernels are translated when first called and kept in a folder
(EMULATED_CACHE, by default below the system's folder for temporary files). EMULATED_REPORT=1 prints at the end how
often each kernel was launched, EMULATED_MEMORY=BYTES is what a device has (8 GiB), EMULATED_DEVICES=N how many
there are (1). With EMULATED_BACKWARDS=1 threads and blocks take their turns from the last to the first.
"""
import argparse
import os
import pathlib
import shutil
import subprocess


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", type=pathlib.Path)
    a = ap.parse_args()
    here = pathlib.Path(__file__).resolve().parent
    a.folder.mkdir(parents=True, exist_ok=True)
    for file in ("ptx.py", "instructions.py", "kernel.h"):
        shutil.copy(here / file, a.folder / file)
    flags = ["-O2", "-march=native", "-Wall", "-Wextra", "-fPIC", "-shared"]
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, *flags, here / "driver.c", "-o", a.folder / "libcuda.so.1", "-ldl", "-lpthread", "-lm"], check=True)
    subprocess.run([compiler, *flags, here / "collectives.c", "-o", a.folder / "libnccl.so.2", "-lrt"], check=True)
    first = a.folder / "libcublas.so.13"
    subprocess.run([compiler, *flags, "-O3", here / "blas.c", "-o", first, "-lm"], check=True)
    for name in ("libcublas.so.12", "libcublasLt.so.12", "libcublasLt.so.13", "libcurand.so.10"):
        shutil.copy(first, a.folder / name)


if __name__ == "__main__":
    main()
