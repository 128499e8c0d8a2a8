#!/usr/bin/env python3
"""Whether the emulated driver finds the faults it is there for.

    python3 tests/cuda/emulator/check.py FOLDER     # where make.py has put it

Each kernel below is launched in a process of its own, and in another with its threads in the opposite order; those
with a fault must end it with the words beside them, or come out otherwise.
"""
import ctypes
import os
import pathlib
import struct
import subprocess
import sys

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
# y[i] = f(x, i) for the threads of one block of 64; `{}` is the body, with %rd1 and %rd2 at x[i] and y[i].
KERNEL = HEAD + """
.visible .entry run(.param .u64 run_param_0, .param .u64 run_param_1)
{{
  .reg .pred %p<4>; .reg .b16 %rs<4>; .reg .b32 %r<8>; .reg .f32 %f<8>; .reg .b64 %rd<8>;
  .shared .align 4 .b8 shared[256];
  ld.param.u64 %rd1, [run_param_0]; ld.param.u64 %rd2, [run_param_1];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %rd3, %r1, 4;
  add.s64 %rd1, %rd1, %rd3; add.s64 %rd2, %rd2, %rd3;
  {}
  ret;
}}
"""
COPY = "ld.global.f32 %f1, [%rd1]; st.global.f32 [%rd2], %f1;"
# Body, what y is to be (a function of i), or what the process is to say.
CASES = {
    "copies": (COPY, lambda i: i),
    "sums of a warp": ("ld.global.f32 %f1, [%rd1];" + "".join(
        f" mov.b32 %r2, %f1; shfl.sync.bfly.b32 %r3, %r2, {by}, 31, -1; mov.b32 %f2, %r3; add.f32 %f1, %f1, %f2;"
        for by in (16, 8, 4, 2, 1)) + " st.global.f32 [%rd2], %f1;", lambda i: 496 if i < 32 else 1520),
    "values of others behind a barrier": (
        "ld.global.f32 %f1, [%rd1]; mov.u32 %r2, shared; shl.b32 %r3, %r1, 2; add.s32 %r4, %r2, %r3; "
        "st.shared.f32 [%r4], %f1; bar.sync 0; sub.s32 %r5, 63, %r1; shl.b32 %r5, %r5, 2; add.s32 %r4, %r2, %r5; "
        "ld.shared.f32 %f2, [%r4]; st.global.f32 [%rd2], %f2;", lambda i: 63 - i),
    "rounding to bf16, ties to even": (
        "mov.f32 %f1, 0f3F808000; cvt.rn.bf16.f32 %rs1, %f1; mov.u16 %rs2, 0; mov.b32 %r2, {%rs2, %rs1}; "
        "mov.b32 %f2, %r2; st.global.f32 [%rd2], %f2;", lambda i: 1),
    "a value of another without a barrier": (
        "ld.global.f32 %f1, [%rd1]; mov.u32 %r2, shared; shl.b32 %r3, %r1, 2; add.s32 %r4, %r2, %r3; "
        "st.shared.f32 [%r4], %f1; sub.s32 %r5, 63, %r1; shl.b32 %r5, %r5, 2; add.s32 %r4, %r2, %r5; "
        "ld.shared.f32 %f2, [%r4]; st.global.f32 [%rd2], %f2;", "differs"),
    "a signed shift": ("sub.s32 %r2, 0, %r1; shr.s32 %r2, %r2, 1; cvt.rn.f32.s32 %f1, %r2; st.global.f32 [%rd2], %f1;",
                       lambda i: -i // 2),
    "what was never written": ("ld.global.f32 %f1, [%rd2]; setp.nan.f32 %p1, %f1, %f1; selp.f32 %f1, 0f3F800000, 0f00000000, %p1; "
                               "st.global.f32 [%rd2], %f1;", lambda i: 1),
    "a read behind an array": (COPY.replace("[%rd1]", "[%rd1+4]"), "memory that is no array's"),
    "a write behind an array": (COPY.replace("[%rd2]", "[%rd2+16]"), "memory that is no array's"),
    "an address that is not aligned": ("ld.global.v2.f32 {%f1, %f2}, [%rd1];", "not a multiple of 8"),
    "a lane that does not come": ("setp.lt.u32 %p1, %r1, 3; @%p1 bra OUT; mov.u32 %r2, 1; "
                                  "shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; OUT:", "wait for others that never come"),
    "a lane that is not asked": ("shfl.sync.idx.b32 %r3, %r1, 0, 31, 1;", "not asked"),
    "shared memory behind its end": ("ld.shared.f32 %f1, [shared+256]; st.global.f32 [%rd2], %f1;", "memory that is no array's"),
    "an instruction that is not known": ("wibble.f32 %f1, %f2;", "no kernel run"),
}


def run(folder, name):
    """One case; what y holds, on standard output."""
    cuda = ctypes.CDLL(str(folder / "libcuda.so.1"))

    def call(function, *args):
        code = getattr(cuda, function)(*args)
        if code:
            sys.exit(f"{function}: {code}")
    call("cuInit", 0)
    module, kernel = ctypes.c_void_p(), ctypes.c_void_p()
    call("cuModuleLoadData", ctypes.byref(module), KERNEL.format(CASES[name][0]).encode())
    call("cuModuleGetFunction", ctypes.byref(kernel), module, b"run")
    x, y = ctypes.c_uint64(), ctypes.c_uint64()
    for at in (x, y):
        call("cuMemAlloc_v2", ctypes.byref(at), ctypes.c_size_t(256))
    call("cuMemcpyHtoD_v2", x, struct.pack("64f", *range(64)), ctypes.c_size_t(256))
    args = (ctypes.c_void_p * 2)(*(ctypes.addressof(a) for a in (x, y)))
    call("cuLaunchKernel", kernel, 1, 1, 1, 64, 1, 1, 0, None, args, None)
    out = ctypes.create_string_buffer(256)
    call("cuMemcpyDtoH_v2", out, y, ctypes.c_size_t(256))
    print(*struct.unpack("64f", out.raw))


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    if len(sys.argv) > 2:
        return run(folder, sys.argv[2])
    failed = 0
    for name, (_, want) in CASES.items():
        done, back = [subprocess.run([sys.executable, "-B", __file__, folder, name], capture_output=True, text=True,
                                     env={**os.environ, **order}) for order in ({}, {"EMULATED_BACKWARDS": "1"})]
        if want == "differs":
            ok = done.stdout != back.stdout
        elif callable(want):
            ok = done.returncode == 0 and done.stdout == back.stdout and [float(v) for v in done.stdout.split()] == [want(i) for i in range(64)]
        else:
            ok = done.returncode != 0 and want in done.stderr
        failed += not ok
        print(f"{'ok' if ok else 'FAILED':7} {name}" + ("" if ok else f": {done.stdout[:200]} {done.stderr.strip()[-300:]}"))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
