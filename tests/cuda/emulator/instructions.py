"""Instructions of PTX as C, by their kinds (PTX ISA, section 9); see ptx.py."""
import re

INT = {f"{k}{n}": f"{'int' if k == 's' else 'uint'}{n}_t" for k in "usb" for n in (8, 16, 32, 64)}
CTYPE = {**INT, "f32": "float", "f64": "double", "f16": "float", "bf16": "float", "pred": "int"}
# What a register or variable is held in.
HELD = {**{k: f"uint{k[1:]}_t" for k in INT}, "f16": "uint16_t", "bf16": "uint16_t", "f32": "float", "f64": "double",
        "pred": "int", "f16x2": "uint32_t", "bf16x2": "uint32_t"}
BYTES = {"8": 1, "16": 2, "32": 4, "64": 8}
COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
# Comparisons that hold where an operand is no number.
UNORDERED = {"equ": "==", "neu": "!=", "ltu": "<", "leu": "<=", "gtu": ">", "geu": ">="}


class Unknown(Exception):
    pass


def width(ty):
    return int(re.search(r"\d+", ty)[0])


def is_float(ty):
    return ty in ("f16", "bf16", "f32", "f64")


def plain(name):
    return "v_" + re.sub(r"\W", lambda m: "_" if m[0] in "%" else "_D", name)


def split(text):
    """Operands, apart at commas outside brackets."""
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "{[("
        depth -= c in "}])"
        if c == "," and depth == 0:
            parts.append(text[last:i].strip())
            last = i + 1
    rest = text[last:].strip()
    return parts + [rest] if rest else parts


class Instructions:
    """What a statement of a kernel becomes. Who takes this on knows names and places: `registers` with what each is held
    in, `result`, `waits`, `symbol`, `address`, `need`.
    """

    # Operands

    def read(self, operand, ty):
        operand = operand.strip()
        if operand.startswith("!"):
            return f"!{self.read(operand[1:], ty)}"
        if ty == "pred" and re.fullmatch(r"-?\d+", operand):
            return str(int(int(operand) != 0))
        if operand in self.registers:
            held, name = self.registers[operand], plain(operand)
            if held == "pred":
                return name
            if is_float(ty):
                if held in ("f32", "f64"):
                    return name
                bits = f"(uint{width(ty)}_t){name}"
                return f"{ty}_of({bits})"
            if held == "f32":
                return f"({CTYPE.get(ty, HELD[ty])})bits32({name})"
            if held == "f64":
                return f"({CTYPE.get(ty, HELD[ty])})bits64({name})"
            return f"({CTYPE.get(ty, HELD.get(ty))}){name}"
        m = re.fullmatch(r"%(tid|ntid|ctaid|nctaid)\.([xyz])", operand)
        if m:
            return f"T->{m[1]}[{'xyz'.index(m[2])}]"
        special = {"%laneid": "T->lane", "%warpid": "T->warp", "WARP_SZ": "32u", "%lanemask_lt": "((1u << T->lane) - 1)"}
        if operand in special:
            return special[operand]
        m = re.fullmatch(r"0([fFdD])([0-9A-Fa-f]+)", operand)
        if m:
            wide = m[1] in "dD"
            if is_float(ty):
                return f"f{64 if wide else 32}_of(0x{m[2]}u{'ll' if wide else ''})"
            return f"0x{m[2]}u{'ll' if wide else ''}"
        m = re.fullmatch(r"(-?(?:0x[0-9A-Fa-f]+|\d+))U?", operand)
        if m:
            if is_float(ty):
                return f"{ty}_of({m[1]})"
            n = int(m[1], 0)
            bits = n & (2**64 - 1)
            return f"(({CTYPE.get(ty, HELD.get(ty))})0x{bits:x}ull)"
        if re.fullmatch(r"[$\w]+", operand):
            return self.symbol(operand)
        raise Unknown(f"operand {operand}")

    def write(self, operand, ty, value):
        operand = operand.strip()
        if operand == "_":
            return f"(void)({value});"
        held, name = self.registers[operand], plain(operand)
        if held == "pred" or ty == "pred":
            return f"{name} = ({value}) != 0;"
        if ty in ("f16", "bf16"):
            return f"{name} = {ty}_bits({value});"
        if is_float(ty):
            if held in ("f32", "f64"):
                return f"{name} = {value};"
            return f"{name} = bits{width(ty)}({value});"
        if held in ("f32", "f64"):
            return f"{name} = {held}_of({value});"
        return f"{name} = ({CTYPE.get(ty, HELD.get(ty))})({value});"

    # Instructions

    def instruction(self, text):
        m = re.match(r"@(!?)([%\w$]+)\s+", text)
        if m:
            rest = self.instruction(text[m.end():])
            return f"if ({m[1]}{plain(m[2])}) {{ {rest} }}"
        m = re.match(r"([\w.:]+)\s*(.*)$", text, re.S)
        if m is None:
            raise Unknown(text)
        parts = m[1].replace("::", "_").split(".")
        return self.operation(parts[0], parts[1:], m[2].strip(), text)

    def operation(self, op, mods, rest, text):
        if op in ("ret", "exit"):
            return "return;" if self.result is None else f"return {self.result};"
        if op == "bra":
            return f"goto L{plain(rest)};"
        if op == "trap":
            return 'T->trap(T, "trap");'
        if op in ("membar", "fence", "pragma", "prefetch"):
            return ";"
        if op in ("bar", "barrier"):
            if "warp" in mods:
                self.waits = True
                return f"T->ballot(T, 0, {self.read(rest, 'u32')});"
            if rest.split(",")[0].strip() not in ("0", "") or "," in rest:
                raise Unknown(text)
            self.waits = True
            return "T->barrier(T);"
        if op == "call":
            return self.call(rest, text)
        a = split(rest)
        ty = mods[-1] if mods else ""
        kinds = set(mods)
        if op in ("ld", "st"):
            return self.memory(op, mods, a)
        if op in ("atom", "red"):
            return self.atomic(op, mods, a, text)
        if op == "shfl":
            self.waits = True
            dst, _, inside = a[0].partition("|")
            kind = "SHUFFLE_" + mods[1].upper()
            call = f"T->shuffle(T, {kind}, {self.read(a[1], 'b32')}, {self.read(a[2], 'b32')}, {self.read(a[3], 'b32')}, " \
                   f"{self.read(a[4], 'b32')}, &inside)"
            out = f"int inside; uint32_t got = {call}; {self.write(dst, 'b32', 'got')}"
            return "{ " + out + (f" {plain(inside)} = inside;" if inside else "") + " }"
        if op == "vote":
            self.waits = True
            mask = self.read(a[2], "b32")
            lanes = f"T->ballot(T, {self.read(a[1], 'pred')}, {mask})"
            value = {"ballot": lanes, "any": f"{lanes} != 0", "all": f"{lanes} == ({mask})"}[mods[1]]
            return self.write(a[0], ty, value)
        if op == "activemask":
            raise Unknown(text)
        if op in ("mov", "cvta"):
            return self.move(op, mods, a, ty)
        if op == "setp":
            return self.compare(mods, a, text)
        if op == "set":
            # set.CmpOp.dtype.stype
            test = self.test(mods[0], a[1], a[2], mods[-1])
            dty = mods[-2]
            if is_float(dty):
                return self.write(a[0], dty, f"({test}) ? 1.0f : 0.0f")
            return self.write(a[0], dty, f"({test}) ? -1 : 0")
        if op == "selp":
            return self.write(a[0], ty, f"{self.read(a[3], 'pred')} ? {self.read(a[1], ty)} : {self.read(a[2], ty)}")
        if op == "cvt":
            return self.convert(mods, a, text)
        if "cc" in kinds or op in ("addc", "subc", "madc"):
            return self.carried(op, mods, a, ty, text)
        r = lambda i, t=ty: self.read(a[i], t)
        if ty in ("f16x2", "bf16x2"):
            return self.pairs(op, mods, a, ty, text)
        if is_float(ty):
            return self.write(a[0], ty, self.float_value(op, kinds, [r(i) for i in range(1, len(a))], ty, text))
        if ty == "pred":
            x = [self.read(o, "pred") for o in a[1:]]
            value = {"and": "&", "or": "|", "xor": "^"}
            return self.write(a[0], ty, f"!{x[0]}" if op == "not" else x[0] if op == "mov" else f"({x[0]}) {value[op]} ({x[1]})")
        return self.whole(op, kinds, a, ty, text)

    def float_value(self, op, kinds, x, ty, text):
        if "sat" in kinds:
            return f"saturate({self.float_value(op, kinds - {'sat'}, x, ty, text)})"
        if op in ("add", "sub", "mul", "fma", "mad") and kinds & {"rm", "rp", "rz"}:
            f = {"rm": "down_f32", "rp": "up_f32", "rz": "zero_f32"}[(kinds & {"rm", "rp", "rz"}).pop()]
            wide = [f"(double){v}" for v in x]
            exact = {"add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}"}.get(op, "{0} * {1} + {2}").format(*wide)
            # In doubles there is no wider type to be exact in: to the nearest.
            return exact if ty == "f64" else f"{f}({exact})"
        s = "" if ty == "f64" else "f"
        if op in ("min", "max"):
            value = f"{op}_{'nan' if 'NaN' in kinds else 'of'}({x[0]}, {x[1]})"
            return f"({CTYPE[ty]}){value}"
        two = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
        if op in two:
            return f"{x[0]} {two[op]} {x[1]}"
        if op in ("fma", "mad"):
            return f"fma{s}({x[0]}, {x[1]}, {x[2]})"
        if op == "copysign":
            return f"copysign{s}({x[1]}, {x[0]})"
        one = {"neg": "-{0}", "abs": "fabs{s}({0})", "sqrt": "sqrt{s}({0})", "rsqrt": "1 / sqrt{s}({0})", "rcp": "1 / ({0})",
               "ex2": "exp2{s}({0})", "lg2": "log2{s}({0})", "sin": "sin{s}({0})", "cos": "cos{s}({0})", "tanh": "tanh{s}({0})"}
        if op in one:
            return one[op].format(x[0], s=s)
        if op == "mov":
            return x[0]
        raise Unknown(text)

    def pairs(self, op, mods, a, ty, text):
        half = ty[:-2]
        halves = []
        for shift in (0, 16):
            x = [f"{half}_of((uint16_t)({self.read(o, 'b32')} >> {shift}))" for o in a[1:]]
            halves.append(f"(uint32_t){half}_bits({self.float_value(op, set(mods), x, half, text)}) << {shift}")
        return self.write(a[0], "b32", " | ".join(halves))

    def whole(self, op, kinds, a, ty, text):
        r = lambda i, t=ty: self.read(a[i], t)
        w = width(ty)
        u, s = f"uint{w}_t", f"int{w}_t"
        two = {"and": "&", "or": "|", "xor": "^"}
        if op in ("add", "sub"):
            return self.write(a[0], ty, f"({u}){r(1)} {'+' if op == 'add' else '-'} ({u}){r(2)}")
        if op in two:
            return self.write(a[0], ty, f"{r(1)} {two[op]} {r(2)}")
        if op in ("mul", "mad"):
            signed = ty[0] == "s"
            wide = f"{'' if signed else 'u'}int{2 * w}_t" if w < 64 else f"{'' if signed else 'unsigned '}__int128"
            product = f"({wide}){r(1)} * ({wide}){r(2)}"
            if "wide" in kinds:
                value, out = product, f"{ty[0]}{2 * w}"
            elif "hi" in kinds:
                value, out = f"({product}) >> {w}", ty
            else:
                value, out = f"({u})({product})", ty
            if op == "mad":
                value = f"({value}) + {self.read(a[3], out)}"
            return self.write(a[0], out, value)
        if op in ("div", "rem"):
            # By zero, a GPU goes on with something.
            return self.write(a[0], ty, f"{r(2)} == 0 ? ~({CTYPE[ty]})0 : {r(1)} {'/' if op == 'div' else '%'} {r(2)}")
        if op in ("min", "max"):
            return self.write(a[0], ty, f"{r(1)} {'<' if op == 'min' else '>'} {r(2)} ? {r(1)} : {r(2)}")
        if op == "neg":
            return self.write(a[0], ty, f"0 - ({u}){r(1)}")
        if op == "abs":
            return self.write(a[0], ty, f"{r(1)} < 0 ? 0 - ({u}){r(1)} : ({u}){r(1)}")
        if op == "not":
            return self.write(a[0], ty, f"~{r(1)}")
        if op in ("shl", "shr"):
            by = self.read(a[2], "u32")
            if op == "shl":
                return self.write(a[0], ty, f"{by} >= {w} ? 0 : ({u}){r(1)} << {by}")
            if ty[0] == "s":
                return self.write(a[0], ty, f"({s}){r(1)} >> ({by} >= {w} ? {w - 1} : {by})")
            return self.write(a[0], ty, f"{by} >= {w} ? 0 : ({u}){r(1)} >> {by}")
        if op == "shf":
            return self.write(a[0], ty, f"funnel({r(1)}, {r(2)}, {self.read(a[3], 'u32')}, {int('l' in kinds)}, {int('clamp' in kinds)})")
        if op == "popc":
            return self.write(a[0], "u32", f"__builtin_popcountll((uint{w}_t){r(1)})")
        if op == "clz":
            return self.write(a[0], "u32", f"{r(1)} == 0 ? {w} : __builtin_clzll((uint{w}_t){r(1)}) - {64 - w}")
        if op == "prmt":
            return self.write(a[0], ty, f"prmt({r(1)}, {r(2)}, {r(3)})")
        if op == "bfi":
            return self.write(a[0], ty, f"bfi({r(1)}, {r(2)}, {self.read(a[3], 'u32')}, {self.read(a[4], 'u32')}, {w})")
        if op == "bfe":
            return self.write(a[0], ty, f"bfe(({u}){r(1)}, {self.read(a[2], 'u32')}, {self.read(a[3], 'u32')}, {w}, {int(ty[0] == 's')})")
        if op == "lop3":
            return self.write(a[0], ty, f"lop3({r(1)}, {r(2)}, {r(3)}, {r(4)})")
        raise Unknown(text)

    def carried(self, op, mods, a, ty, text):
        """Sums with a carry, in and out."""
        w = width(ty)
        u, uu = f"uint{w}_t", "unsigned __int128"
        carry_in = "carry" if op.endswith("c") else "0"
        base = op.rstrip("c") if op != "subc" else "sub"
        r = lambda i: f"({u}){self.read(a[i], ty)}"
        if base == "mad":
            product = f"(({uu}){r(1)} * {r(2)})"
            part = f"({u})({product} >> {w})" if "hi" in mods else f"({u}){product}"
            total = f"({uu}){part} + {r(3)} + {carry_in}"
        elif base == "add":
            total = f"({uu}){r(1)} + {r(2)} + {carry_in}"
        elif base == "sub":
            total = f"({uu}){r(1)} - {r(2)} - {carry_in}"
        else:
            raise Unknown(text)
        out = f"{uu} total = {total}; {self.write(a[0], ty, f'({u})total')}"
        if "cc" in mods:
            out += f" carry = (unsigned)(total >> {w}) & 1;"
        return "{ " + out + " }"

    def test(self, how, x, y, ty):
        if how in UNORDERED:
            a, b = self.read(x, ty), self.read(y, ty)
            return f"({a} != {a} || {b} != {b} || {a} {UNORDERED[how]} {b})"
        if how in ("num", "nan"):
            a, b = self.read(x, ty), self.read(y, ty)
            both = f"({a} == {a} && {b} == {b})"
            return both if how == "num" else f"!{both}"
        if how in ("lo", "ls", "hi", "hs"):
            ty = "u" + ty[1:]
        a, b = self.read(x, ty), self.read(y, ty)
        if how == "ne" and is_float(ty):
            return f"({a} == {a} && {b} == {b} && {a} != {b})"
        return f"({a} {COMPARE[how]} {b})"

    def compare(self, mods, a, text):
        ty = mods[-1]
        value = self.test(mods[0], a[1], a[2], ty)
        join = [m for m in mods[1:-1] if m in ("and", "or", "xor")]
        dst, _, other = a[0].partition("|")
        if other:
            raise Unknown(text)
        if join:
            value = f"({value}) {dict(zip(('and', 'or', 'xor'), '&|^'))[join[0]]} ({self.read(a[3], 'pred')})"
        return self.write(dst, "pred", value)

    def move(self, op, mods, a, ty):
        if op == "cvta":
            shared, to = "shared" in mods, "to" in mods
            value = self.read(a[1], "u64")
            if shared:
                base = "(uint64_t)(uintptr_t)T->shared"
                value = f"{value} - {base}" if to else f"{value} + {base}"
            return self.write(a[0], "u64", value)
        dst, src = a
        if src.startswith("{"):
            x = split(src[1:-1])
            part = width(ty) // len(x)
            value = " | ".join(f"(uint{width(ty)}_t){self.read(o, f'b{part}')} << {i * part}" for i, o in enumerate(x))
            return self.write(dst, ty, value)
        if dst.startswith("{"):
            x = split(dst[1:-1])
            part = width(ty) // len(x)
            value = self.read(src, ty)
            return "{ uint%d_t whole = %s; %s }" % (width(ty), value, " ".join(
                self.write(o, f"b{part}", f"whole >> {i * part}") for i, o in enumerate(x)))
        return self.write(dst, ty, self.read(src, ty))

    def convert(self, mods, a, text):
        to, of = mods[-2], mods[-1]
        how = set(mods[:-2])
        if to in ("f16x2", "bf16x2"):
            half = to[:-2]
            value = f"(uint32_t){half}_bits({self.read(a[1], of)}) << 16 | {half}_bits({self.read(a[2], of)})"
            return self.write(a[0], "b32", value)
        if to not in CTYPE or of not in CTYPE:
            raise Unknown(text)
        x = self.read(a[1], of)
        whole = {"rni": "rint({})", "rzi": "trunc({})", "rmi": "floor({})", "rpi": "ceil({})"}
        if is_float(of):
            round_ = [whole[h] for h in how if h in whole]
            if round_:
                x = round_[0].format(f"(double)({x})")
            if "relu" in how:
                x = f"max_of({x}, 0)"
            if is_float(to):
                if "sat" in how:
                    x = f"saturate({x})"
                if to == "f32" and how & {"rm", "rp", "rz"}:
                    x = {"rm": "down_f32", "rp": "up_f32", "rz": "zero_f32"}[(how & {"rm", "rp", "rz"}).pop()] + f"({x})"
                return self.write(a[0], to, f"({CTYPE[to]})({x})")
            if not round_:
                raise Unknown(text)
            return self.write(a[0], to, f"to_{'u' + to[1:] if to[0] == 'b' else to}({x})")
        if is_float(to):
            if to == "f32" and how & {"rm", "rp", "rz"}:
                x = {"rm": "down_f32", "rp": "up_f32", "rz": "zero_f32"}[(how & {"rm", "rp", "rz"}).pop()] + f"((double)({x}))"
            return self.write(a[0], to, f"({CTYPE[to]})({x})")
        if "sat" in how:
            lo, hi = (-(2**(width(to) - 1)), 2**(width(to) - 1) - 1) if to[0] == "s" else (0, 2**width(to) - 1)
            x = f"(__int128)({x}) < ({lo}) ? ({lo}) : (__int128)({x}) > {hi}u ? {hi}u : ({x})"
        return self.write(a[0], to, x)

    def memory(self, op, mods, a):
        spaces = {"global", "shared", "local", "const", "param"}
        space = next((m.split("_")[0] for m in mods if m.split("_")[0] in spaces), "generic")
        ty = mods[-1]
        lanes = next((int(m[1]) for m in mods if m in ("v2", "v4", "v8")), 1)
        value, place = (a[0], a[1]) if op == "ld" else (a[1], a[0])
        address = self.address(place, space)
        regs = split(value[1:-1]) if lanes > 1 else [value]
        ctype = HELD[ty] if ty[0] in "bf" else INT[ty]
        raw = f"b{width(ty)}" if is_float(ty) and ty in ("f16", "bf16") else ty
        out = []
        for i, reg in enumerate(regs):
            at = f"((volatile {ctype} *)at)[{i}]" if "volatile" in mods else f"(({ctype} *)at)[{i}]"
            if op == "ld":
                out.append(self.write(reg, raw, at))
            else:
                out.append(f"{at} = {self.read(reg, raw)};")
        whole = BYTES[str(width(ty))] * lanes
        if whole > 1 and space != "param":
            out.insert(0, 'if ((uintptr_t)at %% %d) T->trap(T, "an address that is not a multiple of %d");' % (whole, whole))
        return "{ uint8_t *at = (uint8_t *)%s; %s }" % (address, " ".join(out))

    def atomic(self, op, mods, a, text):
        # Threads take turns: nothing comes between.
        space = "shared" if "shared" in mods else "global"
        ty, kind = mods[-1], next(m for m in mods if m in ("add", "min", "max", "and", "or", "xor", "cas", "exch", "inc"))
        place, values = (a[1], a[2:]) if op == "atom" else (a[0], a[1:])
        ctype = HELD[ty] if ty[0] in "bf" else INT[ty]
        x = self.read(values[0], ty)
        new = {"add": f"old + {x}", "min": f"old < {x} ? old : {x}", "max": f"old > {x} ? old : {x}", "and": f"old & {x}",
               "or": f"old | {x}", "xor": f"old ^ {x}", "exch": x}
        if kind == "cas":
            change = f"old == {x} ? {self.read(values[1], ty)} : old"
        elif kind in new and ty not in ("f16", "bf16"):
            change = new[kind]
        else:
            raise Unknown(text)
        out = f"{ctype} *at = ({ctype} *){self.address(place, space)}; {ctype} old = *at; *at = {change};"
        if op == "atom":
            out += " " + self.write(a[0], f"b{width(ty)}" if ty in ("f16", "bf16") else ty, "old")
        return "{ " + out + " }"

    def call(self, rest, text):
        m = re.fullmatch(r"(?:\(([\w$]+)\)\s*,\s*)?([\w$]+)\s*(?:,\s*\(([^)]*)\))?", rest.strip(), re.S)
        if m is None:
            raise Unknown(text)
        if m[2] == "__assertfail":
            return 'T->trap(T, "an assertion of the kernel failed");'
        args = [f"v_{p.strip()}" for p in (m[3] or "").split(",") if p.strip()]
        self.need(m[2])
        call = f"f_{plain(m[2])}(T{''.join(', ' + x for x in args)})"
        return f"v_{m[1]} = {call};" if m[1] else f"{call};"
