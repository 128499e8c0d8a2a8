/* The functions of cuBLAS and cuRAND that the tensor library calls, for the emulated driver. Matrices are as theirs:
 * column by column. Sums in f32 (f64 for f64), one after the other. */
#include <stdlib.h>

#include "kernel.h"

int cublasCreate_v2(void **h) { *h = malloc(1); return 0; }
int cublasDestroy_v2(void *h) { free(h); return 0; }
int cublasSetStream_v2(void *h, void *s) { (void)h; (void)s; return 0; }
int cublasSetMathMode(void *h, int mode) { (void)h; (void)mode; return 0; }
int cublasSetPointerMode_v2(void *h, int mode) { (void)h; (void)mode; return 0; }
int cublasSetWorkspace_v2(void *h, void *w, size_t n) { (void)h; (void)w; (void)n; return 0; }
const char *cublasGetStatusName(int c) { (void)c; return "CUBLAS_STATUS_EMULATED"; }
const char *cublasGetStatusString(int c) { (void)c; return "emulated status"; }

enum { R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14 };

static double get(const void *p, int type, size_t i) {
  switch (type) {
    case R_32F: return ((const float *)p)[i];
    case R_64F: return ((const double *)p)[i];
    case R_16F: return f16_of(((const uint16_t *)p)[i]);
    default: return bf16_of(((const uint16_t *)p)[i]);
  }
}
static void put(void *p, int type, size_t i, double x) {
  switch (type) {
    case R_32F: ((float *)p)[i] = (float)x; break;
    case R_64F: ((double *)p)[i] = x; break;
    case R_16F: ((uint16_t *)p)[i] = f16_bits(x); break;
    default: ((uint16_t *)p)[i] = bf16_bits((float)x);
  }
}
static size_t bytes(int type) { return type == R_64F ? 8 : type == R_32F ? 4 : 2; }

/* A copy of `op(x)`, its columns one after the other. */
static void *columns(const void *x, int type, int transposed, int rows, int cols, int ld, int wide) {
  void *out = malloc((size_t)rows * cols * (wide ? 8 : 4) + 1);
  for (int j = 0; j < cols; j++)
    for (int i = 0; i < rows; i++) {
      double v = get(x, type, transposed ? (size_t)i * ld + j : (size_t)j * ld + i);
      if (wide) ((double *)out)[(size_t)j * rows + i] = v;
      else ((float *)out)[(size_t)j * rows + i] = (float)v;
    }
  return out;
}

int cublasGemmStridedBatchedEx(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int at, int lda,
                               long long sa, const void *b, int bt, int ldb, long long sb, const void *beta, void *c, int ct,
                               int ldc, long long sc, int batch, int compute, int algo) {
  (void)h; (void)compute; (void)algo;
  int wide = ct == R_64F;
  if (m < 0 || n < 0 || k < 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7;
  double scale = wide ? *(const double *)alpha : *(const float *)alpha;
  double keep = wide ? *(const double *)beta : *(const float *)beta;
  float *sum = malloc(sizeof(float) * (m + 1));
  double *sum_wide = malloc(sizeof(double) * (m + 1));
  for (int s = 0; s < batch; s++) {
    const char *as = (const char *)a + (long long)bytes(at) * sa * s, *bs = (const char *)b + (long long)bytes(bt) * sb * s;
    char *cs = (char *)c + (long long)bytes(ct) * sc * s;
    void *x = columns(as, at, ta, m, k, lda, wide), *y = columns(bs, bt, tb, k, n, ldb, wide);
    for (int j = 0; j < n; j++) {
      for (int i = 0; i < m; i++) { sum[i] = 0; sum_wide[i] = 0; }
      for (int p = 0; p < k; p++) {
        if (wide) {
          double by = ((double *)y)[(size_t)j * k + p];
          for (int i = 0; i < m; i++) sum_wide[i] += ((double *)x)[(size_t)p * m + i] * by;
        } else {
          float by = ((float *)y)[(size_t)j * k + p], *col = (float *)x + (size_t)p * m;
          for (int i = 0; i < m; i++) sum[i] += col[i] * by;
        }
      }
      for (int i = 0; i < m; i++) {
        size_t place = (size_t)j * ldc + i;
        double v = scale * (wide ? sum_wide[i] : sum[i]);
        put(cs, ct, place, keep == 0 ? v : v + keep * get(cs, ct, place));
      }
    }
    free(x);
    free(y);
  }
  free(sum);
  free(sum_wide);
  return 0;
}

int cublasDgemmStridedBatched(void *h, int ta, int tb, int m, int n, int k, const double *alpha, const double *a, int lda,
                              long long sa, const double *b, int ldb, long long sb, const double *beta, double *c, int ldc,
                              long long sc, int batch) {
  return cublasGemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, a, R_64F, lda, sa, b, R_64F, ldb, sb, beta, c, R_64F, ldc, sc,
                                    batch, 0, 0);
}

int cublasLtCreate(void **h) { *h = malloc(1); return 0; }
int cublasLtDestroy(void *h) { free(h); return 0; }

int curandCreateGenerator(void **g, int kind) { (void)kind; *g = malloc(1); return 0; }
int curandDestroyGenerator(void *g) { free(g); return 0; }
int curandSetPseudoRandomGeneratorSeed(void *g, unsigned long long s) { (void)g; (void)s; return 0; }
int curandSetStream(void *g, void *s) { (void)g; (void)s; return 0; }
