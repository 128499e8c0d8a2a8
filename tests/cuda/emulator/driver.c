/* A CUDA driver without a GPU: kernels run on the processor, block by block, a thread after the other, each up to
 * where it waits for others. It is there to find what a GPU would trip over (a kernel that is not there, a wrong
 * argument, a read behind an array or of what was never written, threads that wait for ever), and to compare
 * results. It says nothing about speed, and of threads that race only what another order of turns shows.
 *
 * Every array of the device ends at a page that cannot be touched, starts as NaN, and is gone once freed.
 * Functions are those of the driver's interface with the same names; those missing here are not called.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NOT_FOUND = 500 };
typedef uint64_t Address;

static void die(const char *what, const char *name) {
  fprintf(stderr, "emulated GPU: %s%s%s\n", what, *name ? ": " : "", name);
  fflush(stderr);
  _exit(134);
}

/* Memory */

enum { PAGE = 4096, BUCKETS = 1 << 16 };
typedef struct Array Array;
struct Array { Address start; size_t bytes, mapped; uint8_t *map; Array *next; };
static Array *arrays[BUCKETS];
static size_t in_use, most_in_use, budget = 8ull << 30;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *running = "";

static Array **slot(Address at) {
  Array **a = &arrays[(at >> 4) % BUCKETS];
  while (*a && (*a)->start != at) a = &(*a)->next;
  return a;
}

static int take(Address *out, size_t bytes) {
  size_t kept = (bytes + 15) / 16 * 16, pages = (kept + PAGE - 1) / PAGE * PAGE;
  if (in_use + bytes > budget) return OUT_OF_MEMORY;
  uint8_t *map = mmap(NULL, pages + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED || mprotect(map + pages, PAGE, PROT_NONE) != 0) return OUT_OF_MEMORY;
  memset(map, 0xff, pages);
  Array *a = malloc(sizeof *a);
  *a = (Array){(Address)(uintptr_t)(map + pages - kept), bytes, pages + PAGE, map, NULL};
  *slot(a->start) = a;
  in_use += bytes;
  if (in_use > most_in_use) most_in_use = in_use;
  *out = a->start;
  return OK;
}

static int give(Address at) {
  if (at == 0) return OK;
  Array **s = slot(at), *a = *s;
  if (a == NULL) return INVALID_VALUE;
  *s = a->next;
  in_use -= a->bytes;
  munmap(a->map, a->mapped);
  free(a);
  return OK;
}

int cuMemAlloc_v2(Address *out, size_t bytes) {
  if (bytes == 0) return INVALID_VALUE;
  pthread_mutex_lock(&lock);
  int r = take(out, bytes);
  pthread_mutex_unlock(&lock);
  return r;
}
int cuMemFree_v2(Address at) {
  pthread_mutex_lock(&lock);
  int r = give(at);
  pthread_mutex_unlock(&lock);
  return r;
}
int cuMemAllocAsync(Address *out, size_t bytes, void *stream) {
  (void)stream;
  if (bytes == 0) { *out = 0; return OK; }
  return cuMemAlloc_v2(out, bytes);
}
int cuMemFreeAsync(Address at, void *stream) { (void)stream; return cuMemFree_v2(at); }
int cuMemGetInfo_v2(size_t *free_, size_t *total) { *free_ = budget - in_use; *total = budget; return OK; }
int cuDeviceTotalMem_v2(size_t *total, int device) { (void)device; *total = budget; return OK; }
int cuMemHostAlloc(void **out, size_t bytes, unsigned flags) { (void)flags; return (*out = malloc(bytes)) ? OK : OUT_OF_MEMORY; }
int cuMemFreeHost(void *at) { free(at); return OK; }

/* Copies. */
static unsigned long copies_in, copies_out, copies_within, fills, bytes_in, bytes_out;
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *s) {
  (void)s; copies_in++; bytes_in += n; memcpy((void *)(uintptr_t)to, from, n); return OK;
}
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *s) {
  (void)s; copies_out++; bytes_out += n; memcpy(to, (void *)(uintptr_t)from, n); return OK;
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void *s) {
  (void)s; copies_within++; memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, n); return OK;
}
int cuMemcpyHtoD_v2(Address to, const void *from, size_t n) { return cuMemcpyHtoDAsync_v2(to, from, n, NULL); }
int cuMemcpyDtoH_v2(void *to, Address from, size_t n) { return cuMemcpyDtoHAsync_v2(to, from, n, NULL); }
int cuMemcpyDtoD_v2(Address to, Address from, size_t n) { return cuMemcpyDtoDAsync_v2(to, from, n, NULL); }
int cuMemsetD8Async(Address at, unsigned char value, size_t n, void *s) {
  (void)s; fills++; memset((void *)(uintptr_t)at, value, n); return OK;
}
int cuMemsetD8_v2(Address at, unsigned char value, size_t n) { return cuMemsetD8Async(at, value, n, NULL); }

/* Devices, contexts, streams, events: everything is done when asked for. */
static __thread void *current;
/* Threads and blocks take their turns from the last to the first: what rests on an order comes out otherwise. */
static int backwards;
static int context_object;
static void told(int signal, siginfo_t *info, void *at) {
  (void)signal; (void)at;
  char address[64];
  snprintf(address, sizeof address, "%s, address %p", *running ? running : "the host", info->si_addr);
  die("memory that is no array's, or no longer", address);
}
static void report(void);
int cuInit(unsigned flags) {
  (void)flags;
  static int once;
  if (!once++) {
    struct sigaction action = {.sa_sigaction = told, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static uint8_t stack[65536];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    if (getenv("EMULATED_MEMORY")) budget = strtoull(getenv("EMULATED_MEMORY"), NULL, 10);
    backwards = getenv("EMULATED_BACKWARDS") != NULL;
    if (getenv("EMULATED_REPORT")) atexit(report);
  }
  return OK;
}
int cuDriverGetVersion(int *v) { *v = 13000; return OK; }
static int devices(void) {
  const char *set = getenv("EMULATED_DEVICES");
  return set ? atoi(set) : 1;
}
int cuDeviceGetCount(int *n) { *n = devices(); return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal >= 0 && ordinal < devices() ? OK : 101; }
int cuDeviceGetName(char *name, int n, int device) { (void)device; snprintf(name, n, "emulated GPU"); return OK; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  switch (attribute) {
    case 75: *value = 8; break;            /* compute capability, major */
    case 76: *value = 0; break;            /* minor */
    case 115: *value = 1; break;           /* pools of memory */
    case 1: *value = 1024; break;          /* threads of a block */
    case 8: *value = 49152; break;         /* shared memory of a block */
    case 10: *value = 32; break;           /* lanes of a warp */
    case 16: *value = 4; break;            /* multiprocessors */
    default: *value = 0;
  }
  return OK;
}
int cuDevicePrimaryCtxRetain(void **c, int device) { (void)device; *c = &context_object; return OK; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return OK; }
int cuCtxGetCurrent(void **c) { *c = current; return OK; }
int cuCtxSetCurrent(void *c) { current = c; return OK; }
int cuCtxSynchronize(void) { return OK; }
int cuStreamCreate(void **s, unsigned flags) { (void)flags; *s = malloc(1); return OK; }
int cuStreamDestroy_v2(void *s) { free(s); return OK; }
int cuStreamSynchronize(void *s) { (void)s; return OK; }
int cuStreamWaitEvent(void *s, void *e, unsigned f) { (void)s; (void)e; (void)f; return OK; }
int cuStreamIsCapturing(void *s, int *status) { (void)s; *status = 0; return OK; }
int cuEventCreate(void **e, unsigned flags) { (void)flags; *e = malloc(1); return OK; }
int cuEventDestroy_v2(void *e) { free(e); return OK; }
int cuEventRecord(void *e, void *s) { (void)e; (void)s; return OK; }
int cuEventSynchronize(void *e) { (void)e; return OK; }
int cuEventQuery(void *e) { (void)e; return OK; }
static const char *name_of(int code) { return code == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR"; }
int cuGetErrorName(int code, const char **text) { *text = name_of(code); return OK; }
int cuGetErrorString(int code, const char **text) {
  *text = code == OUT_OF_MEMORY ? "out of memory" : code == NOT_FOUND ? "named symbol not found" : "emulated error";
  return OK;
}

/* Modules: the text of the PTX in a file; functions are translated, compiled and loaded when asked for. */
typedef struct Function Function;
struct Function {
  char name[200];
  uint64_t module;
  void (*thread)(Thread *, void **);
  unsigned shared, waits;
  unsigned long launches;
  Function *next;
};
typedef struct { char file[4096]; uint64_t key; } Module;
static Function *functions;
static const char *cache(void) {
  static char folder[3000];
  if (!*folder) {
    const char *set = getenv("EMULATED_CACHE");
    snprintf(folder, sizeof folder, "%s", set ? set : "/tmp/isogloss-emulated");
    mkdir(folder, 0777);
  }
  return folder;
}
static uint64_t hash(const char *text, uint64_t h) {
  for (; *text; text++) h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
  return h;
}
static const char *here(void);
/* Of what kernels are translated with. */
static uint64_t version(void) {
  static uint64_t known;
  static char text[1 << 18];
  if (known) return known;
  known = 0xcbf29ce484222325ull;
  static const char *const files[] = {"ptx.py", "instructions.py", "kernel.h"};
  for (int i = 0; i < 3; i++) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", here(), files[i]);
    FILE *f = fopen(path, "r");
    if (f == NULL) die("cannot read", path);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    known = hash(text, known);
  }
  return known;
}
int cuModuleLoadData(void **out, const char *image) {
  if (strstr(image, ".entry") == NULL) return INVALID_IMAGE;
  Module *m = malloc(sizeof *m);
  m->key = hash(image, version());
  snprintf(m->file, sizeof m->file, "%s/%016llx.ptx", cache(), (unsigned long long)m->key);
  if (access(m->file, R_OK) != 0) {
    char part[4200];
    snprintf(part, sizeof part, "%s.%d", m->file, getpid());
    FILE *f = fopen(part, "w");
    if (f == NULL || fputs(image, f) < 0 || fclose(f) != 0 || rename(part, m->file) != 0) die("cannot write", part);
  }
  *out = m;
  return OK;
}
int cuModuleUnload(void *m) { free(m); return OK; }
static const char *here(void) {
  static char folder[3000];
  Dl_info info;
  if (!*folder && dladdr((void *)here, &info)) {
    const char *set = getenv("EMULATED_SOURCE");
    snprintf(folder, sizeof folder, "%s", set ? set : info.dli_fname);
    if (!set) *strrchr(folder, '/') = 0;
  }
  return folder;
}
int cuModuleGetFunction(void **out, Module *m, const char *name) {
  pthread_mutex_lock(&lock);
  for (Function *f = functions; f; f = f->next)
    if (f->module == m->key && strcmp(f->name, name) == 0) { *out = f; pthread_mutex_unlock(&lock); return OK; }
  char base[4500], command[48000], so[4600];
  snprintf(base, sizeof base, "%s/%016llx-%s", cache(), (unsigned long long)m->key, name);
  snprintf(so, sizeof so, "%s.so", base);
  if (access(so, R_OK) != 0) {
    snprintf(command, sizeof command,
             "python3 -B '%s/ptx.py' '%s' '%s' '%s.%d.c' && cc -O2 -march=native -ffp-contract=off -fwrapv -fno-strict-aliasing "
             "-fPIC -shared -w '-I%s' '%s.%d.c' -o '%s.%d' -lm && mv '%s.%d' '%s'",
             here(), m->file, name, base, getpid(), here(), base, getpid(), so, getpid(), so, getpid(), so);
    if (system(command) != 0) { pthread_mutex_unlock(&lock); fprintf(stderr, "emulated GPU: no kernel %s\n", name); return NOT_FOUND; }
  }
  void *library = dlopen(so, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) die("cannot load", dlerror());
  Function *f = calloc(1, sizeof *f);
  snprintf(f->name, sizeof f->name, "%s", name);
  f->module = m->key;
  f->thread = (void (*)(Thread *, void **))dlsym(library, "kernel_thread");
  f->shared = *(unsigned *)dlsym(library, "kernel_shared");
  f->waits = *(unsigned *)dlsym(library, "kernel_waits");
  f->next = functions;
  functions = f;
  *out = f;
  pthread_mutex_unlock(&lock);
  return OK;
}
int cuFuncSetAttribute(void *f, int attribute, int value) { (void)f; (void)attribute; (void)value; return OK; }
int cuFuncGetAttribute(int *value, int attribute, void *f) { (void)attribute; (void)f; *value = 1024; return OK; }

/* Threads that wait: each has a stack, and they take turns. */
enum { MOST = 1024, STACK = 1 << 16 };
typedef enum { READY, AT_BARRIER, IN_WARP, DONE } State;
typedef struct {
  Thread t;
  void *stack_pointer;
  State state;
  /* What it waits for with its warp, and how many such meetings it has had: a lane may be one ahead. */
  uint32_t mask, met;
  uint32_t value[2];
} Fiber;
static Fiber fibers[MOST];
static uint8_t *stacks;
static unsigned live, at;
/* Lanes of each warp that wait for others of it. */
static uint32_t arrived[MOST / 32];
static void *scheduler;
static Function *function;
static void **arguments;

#if !defined(__x86_64__)
#error "switching between threads is written for x86-64"
#endif
void switch_to(void **save, void *load);
__asm__(".text\n.globl switch_to\n.type switch_to, @function\nswitch_to:\n"
        "  pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
        "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
        "  popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n  ret\n");

static void wait_as(State state) {
  Fiber *f = &fibers[at];
  f->state = state;
  switch_to(&f->stack_pointer, scheduler);
}
static void enter(void) {
  function->thread(&fibers[at].t, arguments);
  wait_as(DONE);
}
static void barrier(Thread *t) { (void)t; wait_as(AT_BARRIER); }
/* Returns when all lanes of `mask` have come with a value; in which of the two places those lie. */
static unsigned meet(Thread *t, uint32_t value, uint32_t mask) {
  Fiber *f = (Fiber *)t;
  unsigned first = t->warp * 32, lanes = live - first < 32 ? live - first : 32;
  uint32_t here = lanes == 32 ? ~0u : (1u << lanes) - 1, bit = 1u << t->lane;
  if (!(mask & bit)) die("a lane waits for a meeting it is not asked to", function->name);
  unsigned place = f->met++ & 1;
  f->value[place] = value;
  f->mask = mask;
  arrived[t->warp] |= bit;
  mask &= here;
  if ((arrived[t->warp] & mask) != mask) {
    wait_as(IN_WARP);
    return place;
  }
  for (unsigned i = 0; i < lanes; i++)
    if (mask >> i & 1) {
      if (fibers[first + i].mask != f->mask || fibers[first + i].met != f->met) die("lanes meet that ask for others", function->name);
      fibers[first + i].state = READY;
    }
  arrived[t->warp] &= ~mask;
  return place;
}
static uint32_t shuffle(Thread *t, int kind, uint32_t value, uint32_t by, uint32_t c, uint32_t mask, int *inside) {
  unsigned place = meet(t, value, mask);
  uint32_t segment = c >> 8 & 31, clamp = c & 31, lane = t->lane, first = lane & segment;
  uint32_t last = first | (clamp & ~segment), from;
  int p;
  by &= 31;
  switch (kind) {
    case SHUFFLE_UP: from = lane - by; p = (int)from >= (int)last; break;
    case SHUFFLE_DOWN: from = lane + by; p = from <= last; break;
    case SHUFFLE_BFLY: from = lane ^ by; p = from <= last; break;
    default: from = first | (by & ~segment); p = from <= last;
  }
  *inside = p;
  if (!p) from = lane;
  if (!(mask >> from & 1) || t->warp * 32 + from >= live) die("a shuffle from a lane that is not there", function->name);
  return fibers[t->warp * 32 + from].value[place];
}
static uint32_t ballot(Thread *t, int predicate, uint32_t mask) {
  unsigned place = meet(t, predicate != 0, mask), lanes = 0;
  for (unsigned i = 0; i < 32 && t->warp * 32 + i < live; i++)
    if (mask >> i & 1) lanes |= fibers[t->warp * 32 + i].value[place] << i;
  return lanes;
}
static void trap(Thread *t, const char *why) { (void)t; die(why, function->name); }

static void run_block_of_fibers(void) {
  if (stacks == NULL) {
    stacks = mmap(NULL, (size_t)MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) die("no memory for stacks", "");
  }
  memset(arrived, 0, sizeof arrived);
  for (unsigned i = 0; i < live; i++) {
    void **top = (void **)(stacks + (size_t)(i + 1) * STACK) - 8;
    memset(top, 0, 64);
    top[6] = (void *)enter;
    fibers[i].stack_pointer = top;
    fibers[i].state = READY;
    fibers[i].met = 0;
  }
  for (;;) {
    unsigned done = 0, waiting = 0, ran = 0;
    for (unsigned n = 0; n < live; n++) {
      at = backwards ? live - 1 - n : n;
      if (fibers[at].state == READY) {
        ran = 1;
        switch_to(&scheduler, fibers[at].stack_pointer);
      }
      done += fibers[at].state == DONE;
      waiting += fibers[at].state == AT_BARRIER;
    }
    if (done == live) return;
    if (done + waiting == live) {
      /* Threads that have ended count as arrived. */
      for (unsigned i = 0; i < live; i++)
        if (fibers[i].state == AT_BARRIER) fibers[i].state = READY;
    } else if (!ran) {
      die("threads wait for others that never come", function->name);
    }
  }
}

int cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned dynamic, void *stream, void **args, void **extra) {
  (void)stream; (void)extra;
  size_t threads = (size_t)bx * by * bz;
  size_t shared = f->shared + dynamic;
  if (threads == 0 || threads > MOST || gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bz > 64 || shared > 49152)
    return INVALID_VALUE;
  pthread_mutex_lock(&lock);
  f->launches++;
  function = f;
  running = f->name;
  arguments = args;
  static uint8_t *memory;
  if (memory == NULL) {
    memory = mmap(NULL, 65536 + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + 65536, PAGE, PROT_NONE) != 0) die("no memory", "");
  }
  uint8_t *base = memory + 65536 - (shared + 15) / 16 * 16;
  live = threads;
  for (unsigned i = 0; i < threads; i++)
    fibers[i].t = (Thread){{i % bx, i / bx % by, i / bx / by}, {0, 0, 0}, {bx, by, bz}, {gx, gy, gz}, i % 32, i / 32,
                           base, barrier, shuffle, ballot, trap};
  size_t blocks = (size_t)gx * gy * gz;
  for (size_t b = 0; b < blocks; b++) {
    size_t own = backwards ? blocks - 1 - b : b;
    if (shared) memset(base, 0xff, shared);
    for (unsigned i = 0; i < threads; i++) {
      Thread *t = &fibers[backwards ? threads - 1 - i : i].t;
      t->ctaid[0] = own % gx; t->ctaid[1] = own / gx % gy; t->ctaid[2] = own / gx / gy;
      if (!f->waits) f->thread(t, args);
    }
    if (f->waits) run_block_of_fibers();
  }
  running = "";
  pthread_mutex_unlock(&lock);
  return OK;
}

static int by_launches(const void *a, const void *b) {
  unsigned long x = (*(Function **)a)->launches, y = (*(Function **)b)->launches;
  return x < y ? 1 : x > y ? -1 : 0;
}
static void report(void) {
  Function *all[4096];
  unsigned n = 0;
  unsigned long sum = 0;
  for (Function *f = functions; f && n < 4096; f = f->next) { all[n++] = f; sum += f->launches; }
  qsort(all, n, sizeof *all, by_launches);
  fprintf(stderr, "emulated GPU: %lu launches, copies in %lu (%lu bytes), out %lu (%lu bytes), within %lu, fills %lu, "
          "%zu MiB at most\n", sum, copies_in, bytes_in, copies_out, bytes_out, copies_within, fills, most_in_use >> 20);
  for (unsigned i = 0; i < n; i++) fprintf(stderr, "%10lu  %s\n", all[i]->launches, all[i]->name);
}
