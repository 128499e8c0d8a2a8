/* What a kernel translated by ptx.py is compiled with: its view of the block it runs in, and the arithmetic
 * of PTX that C has no operator for. */
#ifndef ISOGLOSS_EMULATOR_KERNEL_H
#define ISOGLOSS_EMULATOR_KERNEL_H
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct Thread Thread;
struct Thread {
  unsigned tid[3], ctaid[3], ntid[3], nctaid[3];
  unsigned lane, warp;
  /* The block's shared memory, whose addresses in the kernel are offsets. */
  uint8_t *shared;
  void (*barrier)(Thread *);
  uint32_t (*shuffle)(Thread *, int kind, uint32_t value, uint32_t by, uint32_t clamp, uint32_t mask, int *inside);
  /* The lanes of `mask` whose predicate holds. */
  uint32_t (*ballot)(Thread *, int predicate, uint32_t mask);
  void (*trap)(Thread *, const char *why);
};
enum { SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_BFLY, SHUFFLE_IDX };

static inline float f32_of(uint32_t b) { float f; memcpy(&f, &b, 4); return f; }
static inline double f64_of(uint64_t b) { double f; memcpy(&f, &b, 8); return f; }
static inline uint32_t bits32(float f) { uint32_t b; memcpy(&b, &f, 4); return b; }
static inline uint64_t bits64(double f) { uint64_t b; memcpy(&b, &f, 8); return b; }
static inline float f16_of(uint16_t b) { _Float16 f; memcpy(&f, &b, 2); return (float)f; }
static inline uint16_t f16_bits(double x) { _Float16 f = (_Float16)x; uint16_t b; memcpy(&b, &f, 2); return b; }
static inline float bf16_of(uint16_t b) { return f32_of((uint32_t)b << 16); }
/* To the nearest, ties to even; what is no number stays none. */
static inline uint16_t bf16_bits(float f) {
  uint32_t b = bits32(f);
  if (f != f) return 0x7fff;
  return (uint16_t)((b + 0x7fff + ((b >> 16) & 1)) >> 16);
}

/* Rounding of an exact `x` other than to the nearest. */
static inline float down_f32(double x) { float f = (float)x; return (double)f > x ? nextafterf(f, -INFINITY) : f; }
static inline float up_f32(double x) { float f = (float)x; return (double)f < x ? nextafterf(f, INFINITY) : f; }
static inline float zero_f32(double x) { return x < 0 ? up_f32(x) : down_f32(x); }

/* To whole numbers, held within their type; what is no number gives 0. */
#define TO_INT(name, type, least, beyond)                                                   \
  static inline type to_##name(double x) {                                                  \
    if (x != x) return 0;                                                                   \
    if (x >= beyond) return (type)(least == 0 ? (type)~(type)0 : ~(type)least);             \
    if (x <= (double)least) return (type)least;                                             \
    return (type)x;                                                                         \
  }
TO_INT(u8, uint8_t, 0, 256.0)
TO_INT(u16, uint16_t, 0, 65536.0)
TO_INT(u32, uint32_t, 0, 4294967296.0)
TO_INT(u64, uint64_t, 0, 18446744073709551616.0)
TO_INT(s8, int8_t, INT8_MIN, 128.0)
TO_INT(s16, int16_t, INT16_MIN, 32768.0)
TO_INT(s32, int32_t, INT32_MIN, 2147483648.0)
TO_INT(s64, int64_t, INT64_MIN, 9223372036854775808.0)

static inline double saturate(double x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
/* The number where only one is one; otherwise the larger or smaller, -0 below 0. */
static inline double max_of(double a, double b) { return a != a ? b : b != b ? a : a > b ? a : b > a ? b : signbit(a) ? b : a; }
static inline double min_of(double a, double b) { return a != a ? b : b != b ? a : a < b ? a : b < a ? b : signbit(a) ? a : b; }
static inline double max_nan(double a, double b) { return a != a || b != b ? NAN : max_of(a, b); }
static inline double min_nan(double a, double b) { return a != a || b != b ? NAN : min_of(a, b); }

static inline uint32_t prmt(uint32_t a, uint32_t b, uint32_t s) {
  uint64_t both = (uint64_t)b << 32 | a;
  uint32_t r = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t pick = s >> (4 * i) & 15;
    uint8_t byte = (uint8_t)(both >> (8 * (pick & 7)));
    if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
    r |= (uint32_t)byte << (8 * i);
  }
  return r;
}
static inline uint64_t bfi(uint64_t a, uint64_t b, uint32_t at, uint32_t n, int width) {
  at &= 255; n &= 255;
  uint64_t ones = n >= 64 ? ~0ull : (1ull << n) - 1;
  uint64_t mask = at >= (uint32_t)width ? 0 : ones << at;
  return (b & ~mask) | ((a << (at & 63)) & mask);
}
static inline uint64_t bfe(uint64_t a, uint32_t at, uint32_t n, int width, int has_sign) {
  at &= 255; n &= 255;
  if (n == 0) return 0;
  if (has_sign) {
    uint64_t r = 0, sign = a >> (at + n - 1 < (uint32_t)width ? at + n - 1 : (uint32_t)width - 1) & 1;
    for (int i = 0; i < width; i++) {
      uint64_t bit = i < (int)n && at + i < (uint32_t)width ? a >> (at + i) & 1 : sign;
      r |= bit << i;
    }
    return r;
  }
  return (at >= (uint32_t)width ? 0 : a >> at) & (n >= 64 ? ~0ull : (1ull << n) - 1);
}
static inline uint32_t lop3(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
  uint32_t r = 0;
  for (int i = 0; i < 8; i++)
    if (table >> i & 1) r |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  return r;
}
static inline uint32_t funnel(uint32_t low, uint32_t high, uint32_t by, int left, int clamp) {
  by = clamp ? (by > 32 ? 32 : by) : by & 31;
  uint64_t both = (uint64_t)high << 32 | low;
  if (left) return by == 0 ? high : (uint32_t)(both >> (32 - by));
  return by == 32 ? high : (uint32_t)(both >> by);
}
#endif
