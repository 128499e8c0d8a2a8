//! Written out, because compilers broadcast each value of `a` into a register first and keep the
//! sums in memory. Every other row is multiplied straight from memory here: 32 instructions a
//! step instead of 38, which matters where a core is shared with another thread; all of them would
//! be too many for the load ports. The lines of `C` and what is packed next are fetched in the
//! first half, a few at a time: all at once would hold up the panels.

use std::arch::asm;
use std::arch::x86_64::_mm512_set1_ps;

use super::{Ahead, Out};
use crate::kernels::product::pack::FETCHES;

/// Row `r` of step `i`, straight from memory.
macro_rules! memory_row {
    ($i:literal, $r:literal, $s0:literal, $s1:literal) => {
        concat!(
            "vfmadd231ps zmm",
            $s0,
            ", zmm24, dword ptr [{a} + 48*",
            $i,
            " + 4*",
            $r,
            "]{{1to16}}\n",
            "vfmadd231ps zmm",
            $s1,
            ", zmm25, dword ptr [{a} + 48*",
            $i,
            " + 4*",
            $r,
            "]{{1to16}}\n",
        )
    };
}
/// Row `r` of step `i`, by way of a register.
macro_rules! register_row {
    ($i:literal, $r:literal, $x:literal, $s0:literal, $s1:literal) => {
        concat!(
            "vbroadcastss zmm",
            $x,
            ", dword ptr [{a} + 48*",
            $i,
            " + 4*",
            $r,
            "]\n",
            "vfmadd231ps zmm",
            $s0,
            ", zmm24, zmm",
            $x,
            "\n",
            "vfmadd231ps zmm",
            $s1,
            ", zmm25, zmm",
            $x,
            "\n",
        )
    };
}
/// Step `i` from here.
macro_rules! step {
    ($i:literal) => {
        concat!(
            "vmovaps zmm24, zmmword ptr [{b} + 128*",
            $i,
            "]\n",
            "vmovaps zmm25, zmmword ptr [{b} + 128*",
            $i,
            " + 64]\n",
            memory_row!($i, 0, 0, 1),
            register_row!($i, 1, 26, 2, 3),
            memory_row!($i, 2, 4, 5),
            register_row!($i, 3, 27, 6, 7),
            memory_row!($i, 4, 8, 9),
            register_row!($i, 5, 30, 10, 11),
            memory_row!($i, 6, 12, 13),
            register_row!($i, 7, 29, 14, 15),
            memory_row!($i, 8, 16, 17),
            register_row!($i, 9, 26, 18, 19),
            memory_row!($i, 10, 20, 21),
            register_row!($i, 11, 27, 22, 23),
        )
    };
}

/// One of the macros below for each row of sums.
macro_rules! each_row {
    ($row:ident) => {
        concat!(
            $row!(0, 1),
            $row!(2, 3),
            $row!(4, 5),
            $row!(6, 7),
            $row!(8, 9),
            $row!(10, 11),
            $row!(12, 13),
            $row!(14, 15),
            $row!(16, 17),
            $row!(18, 19),
            $row!(20, 21),
            $row!(22, 23),
        )
    };
}
macro_rules! zero {
    ($s0:literal, $s1:literal) => {
        concat!(
            "vpxord zmm",
            $s0,
            ", zmm",
            $s0,
            ", zmm",
            $s0,
            "\n",
            "vpxord zmm",
            $s1,
            ", zmm",
            $s1,
            ", zmm",
            $s1,
            "\n",
        )
    };
}
macro_rules! scale_and_add {
    ($s0:literal, $s1:literal) => {
        concat!(
            "vfmadd213ps zmm",
            $s0,
            ", zmm28, zmmword ptr [{t}]\n",
            "vfmadd213ps zmm",
            $s1,
            ", zmm28, zmmword ptr [{t} + 64]\n",
            "add {t}, {stride}\n",
        )
    };
}
macro_rules! scale {
    ($s0:literal, $s1:literal) => {
        concat!(
            "vmulps zmm",
            $s0,
            ", zmm28, zmm",
            $s0,
            "\n",
            "vmulps zmm",
            $s1,
            ", zmm28, zmm",
            $s1,
            "\n",
        )
    };
}
macro_rules! add_bias {
    ($s0:literal, $s1:literal) => {
        concat!(
            "vaddps zmm",
            $s0,
            ", zmm",
            $s0,
            ", zmm24\n",
            "vaddps zmm",
            $s1,
            ", zmm",
            $s1,
            ", zmm25\n",
        )
    };
}
/// The value comes second: a NaN stays visible.
macro_rules! positive {
    ($s0:literal, $s1:literal) => {
        concat!(
            "vmaxps zmm",
            $s0,
            ", zmm24, zmm",
            $s0,
            "\n",
            "vmaxps zmm",
            $s1,
            ", zmm24, zmm",
            $s1,
            "\n",
        )
    };
}
macro_rules! store {
    ($s0:literal, $s1:literal) => {
        concat!(
            "vmovups zmmword ptr [{c}], zmm",
            $s0,
            "\n",
            "vmovups zmmword ptr [{c} + 64], zmm",
            $s1,
            "\n",
            "add {c}, {stride}\n",
        )
    };
}

const ADD: u32 = 1;
const RELU: u32 = 2;

/// See [`super::Tile::tile`].
///
/// # Safety
/// As there; AVX-512 is there.
#[target_feature(enable = "avx512f")]
#[inline]
pub unsafe fn tile_12_by_2(
    k: usize,
    (a, b): (*const f32, *const f32),
    (c, col): (*mut f32, usize),
    o: &Out,
    ahead: &Ahead,
) {
    // Eight steps for each fetch, then the others.
    let early = (k / 8).min(FETCHES);
    let bias = if o.bias.is_null() { o.bias } else { o.bias.wrapping_add(col) };
    let flags = if o.accumulate { ADD } else { 0 } + if o.relu { RELU } else { 0 };
    // SAFETY: the instructions read `k` steps of both panels and 32 values of the bias if there is
    // one, read and write 12 rows of 32 values from `c` and change the named registers only. What
    // they fetch into the cache need not be valid.
    unsafe {
        asm!(
            each_row!(zero),
            "mov {t}, {c}",
            "test {early}, {early}",
            "jz 3f",
            "2:",
            step!(0),
            "prefetcht0 [{t}]",
            step!(1),
            "prefetcht0 [{t} + 64]",
            step!(2),
            "prefetcht1 [{p}]",
            step!(3),
            "add {t}, {stride}",
            step!(4),
            "prefetcht1 [{p} + {row}]",
            step!(5),
            step!(6),
            "prefetcht1 [{p} + 2*{row}]",
            "add {p}, {line}",
            step!(7),
            "add {a}, 384",
            "add {b}, 1024",
            "dec {early}",
            "jnz 2b",
            "3:",
            "sub {k}, 4",
            "jb 5f",
            "4:",
            step!(0), step!(1), step!(2), step!(3),
            "add {a}, 192",
            "add {b}, 512",
            "sub {k}, 4",
            "jae 4b",
            "5:",
            "add {k}, 4",
            "jz 7f",
            "6:",
            step!(0),
            "add {a}, 48",
            "add {b}, 128",
            "dec {k}",
            "jnz 6b",
            "7:",
            "test {flags:e}, {ADD}",
            "jz 8f",
            "mov {t}, {c}",
            each_row!(scale_and_add),
            "jmp 9f",
            "8:",
            each_row!(scale),
            "9:",
            "test {bias}, {bias}",
            "jz 22f",
            "vmovups zmm24, zmmword ptr [{bias}]",
            "vmovups zmm25, zmmword ptr [{bias} + 64]",
            each_row!(add_bias),
            "22:",
            "test {flags:e}, {RELU}",
            "jz 23f",
            "vpxord zmm24, zmm24, zmm24",
            each_row!(positive),
            "23:",
            each_row!(store),
            ADD = const ADD,
            RELU = const RELU,
            k = inout(reg) k - 8 * early => _,
            early = inout(reg) early => _,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            c = inout(reg) c => _,
            t = out(reg) _,
            stride = in(reg) o.stride * size_of::<f32>(),
            p = inout(reg) ahead.at => _,
            row = in(reg) ahead.row,
            line = in(reg) ahead.line,
            flags = in(reg) flags,
            bias = in(reg) bias,
            in("zmm28") _mm512_set1_ps(o.scale),
            out("zmm0") _,
            out("zmm1") _,
            out("zmm2") _,
            out("zmm3") _,
            out("zmm4") _,
            out("zmm5") _,
            out("zmm6") _,
            out("zmm7") _,
            out("zmm8") _,
            out("zmm9") _,
            out("zmm10") _,
            out("zmm11") _,
            out("zmm12") _,
            out("zmm13") _,
            out("zmm14") _,
            out("zmm15") _,
            out("zmm16") _,
            out("zmm17") _,
            out("zmm18") _,
            out("zmm19") _,
            out("zmm20") _,
            out("zmm21") _,
            out("zmm22") _,
            out("zmm23") _,
            out("zmm24") _,
            out("zmm25") _,
            out("zmm26") _,
            out("zmm27") _,
            out("zmm29") _,
            out("zmm30") _,
            options(nostack),
        );
    }
}
