#!/usr/bin/env python3
"""One kernel of PTX as C, for the emulated driver.

    python3 ptx.py MODULE.ptx KERNEL OUT.c

A thread of the kernel is a call of a C function; where it waits for others (barriers, shuffles) it calls back
into the driver. Registers are C variables, instructions statements, branches `goto`. An instruction that is not
known ends the translation with its text: nothing is guessed. Written for what nvcc makes of kernels without
tensor cores (PTX ISA, sections 5 to 10).
"""
import re
import sys

from instructions import BYTES, HELD, Instructions, Unknown, plain, split, width


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)


class Module:
    def __init__(self, text):
        self.text = without_comments(text)
        self.variables = {}
        # What stands outside functions.
        depth, last = 0, 0
        outside = []
        for m in re.finditer(r"[{}]", self.text):
            if m[0] == "{":
                if depth == 0:
                    outside.append(self.text[last:m.start()])
                    head = self.text[last:m.start()]
                    if "=" in head.rsplit(";", 1)[-1]:
                        # The values of an array.
                        end = self.text.index("}", m.start())
                        outside[-1] += self.text[m.start():end + 1]
                depth += 1
            else:
                depth -= 1
                last = m.end()
        outside.append(self.text[last:])
        for statement in "".join(outside).split(";"):
            m = re.search(r"\.(global|const|shared)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)((?:\[\d*\])*)\s*(=\s*.*)?$",
                          statement.strip(), re.S)
            if m:
                self.variables[m[4]] = dict(space=m[1], align=int(m[2] or 1), type=m[3], sizes=m[5], value=m[6],
                                            extern=".extern" in statement)

    def function(self, name, kind):
        m = re.search(r"\.%s\s+(?:\(([^)]*)\)\s*)?%s\s*\(([^)]*)\)\s*([^{;]*)\{" % (kind, re.escape(name)), self.text)
        if m is None:
            return None
        depth, at = 1, m.end()
        for b in re.finditer(r"[{}]", self.text[m.end():]):
            depth += 1 if b[0] == "{" else -1
            if depth == 0:
                at = m.end() + b.start()
                break
        return (m[1] or "").strip(), m[2].strip(), self.text[m.end():at]


def count(sizes):
    n = 1
    for s in re.findall(r"\[(\d+)\]", sizes):
        n *= int(s)
    return n


class Translator(Instructions):
    def __init__(self, module):
        self.module = module
        self.shared_bytes = 0
        self.shared = {}
        self.dynamic = set()
        self.globals = {}
        self.functions = {}
        self.waits = False

    # Memory

    def place_shared(self, name, v):
        if name in self.shared:
            return
        if v["extern"] or v["sizes"] == "[]":
            self.dynamic.add(name)
            self.shared[name] = None
            return
        at = -(-self.shared_bytes // v["align"]) * v["align"]
        self.shared[name] = at
        self.shared_bytes = at + count(v["sizes"]) * BYTES[str(width(v["type"]))]

    def symbol(self, name):
        if name in self.local:
            return f"(uint64_t)(uintptr_t){plain(name)}"
        if name in self.params:
            return f"(uint64_t)(uintptr_t){self.params[name]}"
        v = self.module.variables.get(name)
        if name not in self.shared and v is None:
            raise Unknown(f"name {name}")
        if name in self.shared or v["space"] == "shared":
            if name not in self.shared:
                self.place_shared(name, v)
            return "DYNAMIC_SHARED" if name in self.dynamic else f"{self.shared[name]}u"
        if name not in self.globals:
            value = re.sub(r"0[fF]([0-9A-Fa-f]{8})", r"0x\1", v["value"] or "= {0}")
            if v["type"] in ("f32", "f64"):
                raise Unknown(f"values of {name}")
            n = count(v["sizes"])
            self.globals[name] = f"static {HELD[v['type']]} g_{plain(name)}[{n}] __attribute__((aligned({max(v['align'], 8)}))) {value};"
        return f"(uint64_t)(uintptr_t)g_{plain(name)}"

    def address(self, operand, space):
        inside = operand.strip()[1:-1].strip()
        m = re.fullmatch(r"([%$\w.]+)\s*(?:\+\s*(-?\w+))?", inside)
        base, offset = m[1], m[2] or "0"
        if base in self.registers:
            value = f"(uint64_t){plain(base)}"
        elif re.fullmatch(r"-?\d+|0x[0-9a-fA-F]+", base):
            value = f"(uint64_t){base}"
        else:
            value = self.symbol(base)
        if space == "shared":
            return f"(T->shared + (uint32_t)({value} + ({offset})))"
        return f"(uintptr_t)({value} + (int64_t)({offset}))"

    # Functions

    def declare(self, text):
        """Registers and variables of a scope."""
        m = re.match(r"\.reg\s+\.(\w+)\s+(.*)$", text, re.S)
        if m:
            out = []
            for name in split(m[2]):
                many = re.fullmatch(r"(%?[\w$]+)<(\d+)>", name)
                names = [f"{many[1]}{i}" for i in range(int(many[2]))] if many else [name]
                for n in names:
                    self.registers[n] = {"f16x2": "b32", "bf16x2": "b32", "f16": "b16", "bf16": "b16"}.get(m[1], m[1])
                out += [plain(n) for n in names]
            return f"{HELD[m[1]]} {', '.join(out)};"
        m = re.match(r"\.(local|shared|param)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)((?:\[\d*\])*)$", text)
        if m is None:
            return None
        space, align, ty, name, sizes = m.groups()
        if space == "shared":
            self.place_shared(name, dict(extern=False, sizes=sizes, align=int(align or 1), type=ty))
            return ""
        self.local.add(name)
        if sizes:
            return f"{HELD[ty]} {plain(name)}[{count(sizes)}] __attribute__((aligned({max(int(align or 1), 8)})));"
        self.params[name] = f"&{plain(name)}"
        self.local.discard(name)
        return f"{HELD[ty]} {plain(name)};"

    def body(self, text):
        out, at = [], 0
        text = text.strip()
        while at < len(text):
            rest = text[at:]
            m = re.match(r"\s+", rest)
            if m:
                at += m.end()
                continue
            if rest[0] in "{}":
                out.append(rest[0] if rest[0] == "{" else ";}")
                at += 1
                continue
            if rest[0] == ";":
                at += 1
                continue
            m = re.match(r"([$\w%]+):(?!:)", rest)
            if m:
                out.append(f"L{plain(m[1])}: ;")
                at += m.end()
                continue
            end = rest.index(";")
            statement = " ".join(rest[:end].split())
            at += end + 1
            if statement.startswith(".pragma"):
                continue
            if statement.startswith("."):
                declared = self.declare(statement)
                if declared is None:
                    raise Unknown(statement)
                out.append(declared)
                continue
            out.append(self.instruction(statement))
        return "\n  ".join(out)

    def parameters(self, text):
        """Type and name of each."""
        found = []
        for p in split(text):
            m = re.match(r"\.(?:param|reg)\s+(?:\.align\s+\d+\s+)?\.(\w+)(?:\s+\.ptr[^%\w]*(?:\.\w+\s*)*(?:\d+)?)?\s+([\w$]+)(\[\d+\])?$", p)
            if m is None:
                raise Unknown(p)
            found.append((m[1], m[2], m[3]))
        return found

    def need(self, name):
        if name in self.functions:
            return
        self.functions[name] = None
        found = self.module.function(name, "func")
        if found is None:
            raise Unknown(f"function {name}")
        kept = self.registers, self.local, self.params, self.result
        returned, params, body = found
        self.registers, self.local, self.params, self.result = {}, set(), {}, None
        result = self.parameters(returned)
        args = self.parameters(params)
        if any(size for _, _, size in result + args):
            raise Unknown(f"parameters of {name}")
        for _, n, _ in result + args:
            self.params[n] = f"&{plain(n)}"
        self.result = plain(result[0][1]) if result else None
        kind = HELD[result[0][0]] if result else "void"
        lines = self.body(body)
        own = f"{kind} {self.result};" if result else ""
        signature = "".join(f", {HELD[t]} {plain(n)}" for t, n, _ in args)
        end = f"return {self.result};" if result else ""
        self.functions[name] = f"static {kind} f_{plain(name)}(Thread *T{signature}) {{\n  unsigned carry = 0; (void)carry; {own}\n  {lines}\n  {end}\n}}"
        self.registers, self.local, self.params, self.result = kept

    def kernel(self, name):
        found = self.module.function(name, "entry")
        if found is None:
            raise Unknown(f"kernel {name}")
        _, params, body = found
        args = self.parameters(params)
        self.registers, self.local, self.result = {}, set(), None
        self.params = {n: f"args[{i}]" for i, (_, n, _) in enumerate(args)}
        lines = self.body(body)
        dynamic = -(-self.shared_bytes // 16) * 16
        parts = ['#include "kernel.h"', f"#define DYNAMIC_SHARED {dynamic}u", *self.globals.values()]
        # A function stands behind those it calls.
        parts += [f for f in reversed(self.functions.values())]
        parts.append(f"const unsigned kernel_shared = {dynamic if self.dynamic else self.shared_bytes};")
        parts.append(f"const unsigned kernel_waits = {int(self.waits)};")
        parts.append(f"void kernel_thread(Thread *T, void **args) {{\n  unsigned carry = 0; (void)carry; (void)args;\n  {lines}\n  return;\n}}")
        return "\n".join(parts) + "\n"


def main():
    module, name, out = sys.argv[1:]
    with open(module, encoding="utf-8") as f:
        module = Module(f.read())
    try:
        c = Translator(module).kernel(name)
    except Unknown as e:
        sys.exit(f"{name}: not known: {e}")
    with open(out, "w", encoding="utf-8") as f:
        f.write(c)


if __name__ == "__main__":
    main()
