#!/usr/bin/env python3
"""A folder that `cargo build --features cuda` takes for a CUDA toolkit.

    python3 tests/cuda/toolkit.py FOLDER [--from TOOLKIT] [--nvcc none]

Without a toolkit the compiler comes as Python wheels (about 100 MB); with --from the installed one is used.
Either way the libraries of a GPU machine are not linked but loaded when first called: each function that
the program names is a jump through a pointer, which `dlopen` and `dlsym` fill. The program thus starts where
there is no driver, and computes on the CPU there.

`--nvcc none` puts a compiler there that writes empty kernels: enough to check types (`make cudacheck`), and never
to be run.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

# What compiles kernels, of one version: its PTX must not be newer than the driver's.
WHEELS = ["nvidia-cuda-nvcc==13.0.88", "nvidia-cuda-crt==13.0.88", "nvidia-nvvm==13.0.88",
          "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cccl==13.0.85"]
# Library -> files it is looked for in, the folder of its functions in cudarc, what they return without it:
# "no device" for the driver, "not initialised" for the others.
LIBRARIES = {
    "cuda": (["libcuda.so.1"], "driver", 100),
    "cublas": (["libcublas.so.{major}"], "cublas", 1),
    "cublasLt": (["libcublasLt.so.{major}"], "cublaslt", 1),
    "curand": (["libcurand.so.10"], "curand", 101),
    "nccl": (["libnccl.so.2"], "nccl", 2),
    "nvrtc": (["libnvrtc.so.{major}"], "nvrtc", 11),
}

# Functions that return no code: they give a text through their second argument, or return it.
ABSENT = {"cuGetErrorName": "missing_text", "cuGetErrorString": "missing_text", "nvrtcGetErrorString": "missing_name",
          "cublasGetStatusName": "missing_name", "cublasGetStatusString": "missing_name",
          "cublasLtGetStatusName": "missing_name", "cublasLtGetStatusString": "missing_name",
          "ncclGetErrorString": "missing_name", "ncclGetLastError": "missing_name"}

# One jump by function; `slot` is its pointer, which at first leads to `first`.
X86_64 = r"""
__asm__(".text\n.globl {name}\n.type {name}, @function\n{name}:\n"
        "  jmp *isogloss_slots_{lib}+{at}(%rip)\n"
        "isogloss_first_{lib}_{index}:\n"
        "  pushq ${index}\n  jmp isogloss_fill_{lib}\n");
"""
X86_64_FILL = r"""
__asm__(".text\nisogloss_fill_{lib}:\n"
        "  pushq %rax\n pushq %rdi\n pushq %rsi\n pushq %rdx\n pushq %rcx\n pushq %r8\n pushq %r9\n pushq %rbx\n"
        "  subq $128, %rsp\n"
        "  movups %xmm0, (%rsp)\n movups %xmm1, 16(%rsp)\n movups %xmm2, 32(%rsp)\n movups %xmm3, 48(%rsp)\n"
        "  movups %xmm4, 64(%rsp)\n movups %xmm5, 80(%rsp)\n movups %xmm6, 96(%rsp)\n movups %xmm7, 112(%rsp)\n"
        /* The number pushed by the jump lies above the eight registers. */
        "  movq 192(%rsp), %rdi\n"
        "  movq %rsp, %rbx\n  andq $-16, %rsp\n  call isogloss_find_{lib}\n  movq %rbx, %rsp\n"
        "  movq %rax, 192(%rsp)\n"
        "  movups (%rsp), %xmm0\n movups 16(%rsp), %xmm1\n movups 32(%rsp), %xmm2\n movups 48(%rsp), %xmm3\n"
        "  movups 64(%rsp), %xmm4\n movups 80(%rsp), %xmm5\n movups 96(%rsp), %xmm6\n movups 112(%rsp), %xmm7\n"
        "  addq $128, %rsp\n"
        "  popq %rbx\n popq %r9\n popq %r8\n popq %rcx\n popq %rdx\n popq %rsi\n popq %rdi\n popq %rax\n"
        /* What was the number is now the function. */
        "  ret\n");
"""
LIBRARY_C = r"""
#include <dlfcn.h>
#include <stddef.h>

static const char *const files[] = {{{files}, NULL}};
static const char *const names[] = {{{names}}};

static int missing(void) {{ return {code}; }}
static int missing_text(int code, const char **text) {{ (void)code; *text = "{lib}: not found"; return 0; }}
static const char *missing_name(int code) {{ (void)code; return "{lib}: not found"; }}
static void *const absent[] = {{{absent}}};

__attribute__((used)) void *isogloss_find_{lib}(size_t index);
extern void *isogloss_slots_{lib}[];
{firsts}
__attribute__((visibility("hidden"))) void *isogloss_slots_{lib}[] = {{{slots}}};

void *isogloss_find_{lib}(size_t index) {{
  static void *library = NULL;
  for (size_t i = 0; library == NULL && files[i] != NULL; i++) library = dlopen(files[i], RTLD_NOW | RTLD_GLOBAL);
  void *found = library == NULL ? NULL : dlsym(library, names[index]);
  if (found == NULL) found = (void *)absent[index];
  isogloss_slots_{lib}[index] = found;
  return found;
}}
"""


def run(*command, **more):
    subprocess.run([str(c) for c in command], check=True, **more)


def cudarc():
    """The sources of the crate that names the functions."""
    root = pathlib.Path(__file__).resolve().parents[2]
    command = ["cargo", "metadata", "--format-version", "1", "--features", "cuda", "--locked",
               "--filter-platform", "x86_64-unknown-linux-gnu"]
    text = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    return pathlib.Path(re.search(r'"([^"]*/cudarc-[^"/]*)/Cargo.toml"', text)[1])


def unpack(folder):
    """The wheels' one folder."""
    with tempfile.TemporaryDirectory() as wheels:
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, *WHEELS)
        for wheel in pathlib.Path(wheels).glob("*.whl"):
            with zipfile.ZipFile(wheel) as z:
                z.extractall(folder)
    found = {p.parent.parent for p in folder.glob("nvidia/*/bin/nvcc")}
    if len(found) != 1:
        sys.exit(f"{folder}: the wheels hold no nvcc where it was expected")
    for tool in folder.glob("nvidia/*/*/bin/*"):
        tool.chmod(0o755)
    toolkit = found.pop()
    for sub in ["bin", "nvvm/bin"]:
        for tool in (toolkit / sub).glob("*"):
            tool.chmod(0o755)
    return toolkit


def loaded_library(lib, lib64, sources, major):
    """`lib` as functions that are looked for when first called."""
    files, where, code = LIBRARIES[lib]
    text = "".join(p.read_text() for p in sorted((sources / "src" / where).rglob("*.rs")))
    names = sorted(set(re.findall(r'load::<_F>\(\s*"(\w+)"', text)))
    if not names:
        sys.exit(f"{sources}: no functions of {lib} found")
    quoted = ", ".join(f'"{f.format(major=major)}"' for f in files)
    out = LIBRARY_C.format(
        lib=lib, files=quoted, code=code, names=", ".join(f'"{n}"' for n in names),
        firsts="\n".join(f"extern char isogloss_first_{lib}_{i}[];" for i in range(len(names))),
        slots=", ".join(f"isogloss_first_{lib}_{i}" for i in range(len(names))),
        absent=", ".join(f"(void *){ABSENT.get(n, 'missing')}" for n in names))
    out += X86_64_FILL.format(lib=lib)
    out += "".join(X86_64.format(lib=lib, name=n, at=8 * i, index=i) for i, n in enumerate(names))
    source = lib64 / f"{lib}_loaded.c"
    source.write_text(out)
    run("gcc", "-O1", "-fPIC", "-w", "-c", source, "-o", lib64 / f"{lib}_loaded.o")
    run("ar", "rcs", lib64 / f"lib{lib}_loaded.a", lib64 / f"{lib}_loaded.o")
    # Asked for as a shared library, it is this archive.
    (lib64 / f"lib{lib}.so").write_text(f"INPUT(-l:lib{lib}_loaded.a -ldl)\n")


# Accepts what a compiler is given, and makes files without kernels.
NO_COMPILER = """#!/bin/sh
case " $* " in *" --version "*)
  printf 'nvcc: NVIDIA (R) Cuda compiler driver\\n\\n\\nCuda compilation tools, release 13.0, V13.0.88\\n'; exit 0;;
esac
out= src=
while [ $# -gt 0 ]; do
  case $1 in
    -o) out=$2; shift;;
    --output-directory) dir=$2; shift;;
    *.cu) src=$1;;
  esac
  shift
done
case ${out:-} in
  *.a) ar rcs "$out";;
  *.o) printf '' | gcc -x c -c - -o "$out";;
  '') printf '// none\\n' > "${dir:-.}/$(basename "$src" .cu).ptx";;
  *) printf '// none\\n' > "$out";;
esac
"""


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", type=pathlib.Path)
    ap.add_argument("--from", dest="installed", type=pathlib.Path, help="an installed toolkit")
    ap.add_argument("--nvcc", choices=["real", "none"], default="real")
    a = ap.parse_args()
    if os.uname().machine != "x86_64":
        sys.exit("this script knows x86_64 only; with an installed toolkit, `cargo build --release --features cuda`")
    new = a.folder.with_name(a.folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    lib64 = new / "lib64"
    lib64.mkdir(parents=True)
    major = "13"
    if a.nvcc == "none":
        (new / "bin").mkdir()
        (new / "bin" / "nvcc").write_text(NO_COMPILER)
        (new / "bin" / "nvcc").chmod(0o755)
        (new / "include").mkdir()
        (new / "include" / "cuda.h").write_text("#define CUDA_VERSION 13000\n")
        run("ar", "rcs", lib64 / "libcudart.a")
    else:
        toolkit = a.installed.resolve() if a.installed else unpack(new / "wheels").resolve()
        said = subprocess.run([toolkit / "bin" / "nvcc", "--version"], check=True, stdout=subprocess.PIPE, text=True)
        major = re.search(r"release (\d+)\.", said.stdout)[1]
        for sub in ["bin", "nvvm", "include"]:
            target = toolkit / sub
            # Names inside must still be right when the folder has moved to its place.
            if not a.installed:
                target = pathlib.Path(os.path.relpath(target, new))
            (new / sub).symlink_to(target)
        for file in ["libcudart_static.a", "libcudadevrt.a"]:
            found = [p for p in toolkit.glob(f"**/{file}")]
            if not found:
                sys.exit(f"{toolkit}: no {file}")
            shutil.copy(found[0], lib64)
        (lib64 / "libcudart.so").write_text("INPUT(-l:libcudart_static.a -lrt -lpthread -ldl)\n")
    sources = cudarc()
    for lib in LIBRARIES:
        loaded_library(lib, lib64, sources, major)
    shutil.rmtree(a.folder, ignore_errors=True)
    new.rename(a.folder)
    print(a.folder)


if __name__ == "__main__":
    main()
