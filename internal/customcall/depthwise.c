// A depthwise convolution has so little to compute that it takes as long as its memory. XLA's compiler has none: it
// makes loops over channels, or, of a sum of shifted copies, one that asks at each number where it lies.
//
// Here a few neighbouring pixels of a row, by one or two vectors of channels, stay in registers while the kernel passes
// by, so that its weights are read once for all of them. Pixels at the border, where some places of the kernel lie
// outside, are summed one by one.
//
// An output is the sum of its products in the order of the kernel's places: the same bits on any number of threads.
#include "depthwise.h"

#include <stddef.h>

#define PIXELS 4                 // that stay in registers
#define TASK_PRODUCTS (1 << 19)  // a task has so many at least: less is not worth a thread's waking up
#define TASKS 64                 // and there are so many at most

// row computes a row of outputs, y, for some neighbouring channels: of places first to last-1 of the kernel's rows,
// of which the first lies on the row x.
typedef void row(const loupe_depthwise* d, const float* x, const float* w, float* y, int64_t first, int64_t last);

// block is a number of neighbouring channels, and what computes so many.
typedef struct {
  int64_t lanes;
  row* of;
} block;

#if defined(__x86_64__) && defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#define ROW(name, isa, V, tj)                                                                                          \
  __attribute__((target(isa))) static void name(const loupe_depthwise* d, const float* x, const float* w, float* y,    \
                                                int64_t first, int64_t last) {                                         \
    typedef float vector __attribute__((vector_size(V * sizeof(float)), aligned(sizeof(float)), may_alias));           \
    const int64_t c = d->c, line = d->w * c, step = d->stride * c;                                                     \
    for (int64_t o = 0; o < d->ow;) {                                                                                  \
      int64_t left = o * d->stride - d->pl;                                                                            \
      if (left >= 0 && o + PIXELS <= d->ow && left + (PIXELS - 1) * d->stride + d->kw <= d->w) {                       \
        vector sum[PIXELS][tj];                                                                                        \
        UNROLL for (int t = 0; t < PIXELS; t++) UNROLL for (int j = 0; j < tj; j++) sum[t][j] = (vector){0};           \
        for (int64_t i = first; i < last; i++) {                                                                       \
          const float *p = x + (i - first) * line + left * c, *q = w + i * d->kw * c;                                  \
          for (int64_t k = 0; k < d->kw; k++, p += c, q += c) {                                                        \
            UNROLL for (int j = 0; j < tj; j++) {                                                                      \
              vector by = *(const vector*)(q + j * V);                                                                 \
              UNROLL for (int t = 0; t < PIXELS; t++) sum[t][j] += *(const vector*)(p + t * step + j * V) * by;        \
            }                                                                                                          \
          }                                                                                                            \
        }                                                                                                              \
        UNROLL for (int t = 0; t < PIXELS; t++) UNROLL for (int j = 0; j < tj; j++) {                                  \
          *(vector*)(y + (o + t) * c + j * V) = sum[t][j];                                                             \
        }                                                                                                              \
        o += PIXELS;                                                                                                   \
        continue;                                                                                                      \
      }                                                                                                                \
      int64_t from = left < 0 ? -left : 0, to = d->w - left < d->kw ? d->w - left : d->kw;                             \
      vector sum[tj];                                                                                                  \
      UNROLL for (int j = 0; j < tj; j++) sum[j] = (vector){0};                                                        \
      for (int64_t i = first; i < last; i++) {                                                                         \
        const float *p = x + (i - first) * line + (left + from) * c, *q = w + (i * d->kw + from) * c;                  \
        for (int64_t k = from; k < to; k++, p += c, q += c) {                                                          \
          UNROLL for (int j = 0; j < tj; j++) sum[j] += *(const vector*)(p + j * V) * *(const vector*)(q + j * V);     \
        }                                                                                                              \
      }                                                                                                                \
      UNROLL for (int j = 0; j < tj; j++) *(vector*)(y + o * c + j * V) = sum[j];                                      \
      o++;                                                                                                             \
    }                                                                                                                  \
  }

ROW(avx512_32, "avx512f", 16, 2)
ROW(avx512_16, "avx512f", 16, 1)
ROW(avx512_8, "avx512f,avx512vl", 8, 1)
ROW(avx512_4, "avx512f,avx512vl", 4, 1)
ROW(avx2_16, "avx2,fma", 8, 2)
ROW(avx2_8, "avx2,fma", 8, 1)
ROW(avx2_4, "avx2,fma", 4, 1)
ROW(one, "avx2,fma", 1, 1)

static const block avx512[] = {{32, avx512_32}, {16, avx512_16}, {8, avx512_8}, {4, avx512_4}, {1, one}};
static const block avx2[] = {{16, avx2_16}, {8, avx2_8}, {4, avx2_4}, {1, one}};

// usable are the processor's blocks, the widest first; the last one is of one channel.
static const block* usable(void) {
  switch (loupe_vectors()) {
    case 16:
      return avx512;
    case 8:
      return avx2;
    default:
      return NULL;
  }
}
#else
static const block* usable(void) { return NULL; }
#endif

// work is one call.
typedef struct {
  const loupe_depthwise* d;
  const block* blocks;
  const float *images, *kernel;
  float* outputs;
  int64_t rows; // of all images' outputs that a task has
} work;

// some is a task: some rows of outputs.
static void some(void* data, int64_t number) {
  const work* k = data;
  const loupe_depthwise* d = k->d;
  int64_t end = (number + 1) * k->rows, all = d->n * d->oh;
  for (int64_t r = number * k->rows; r < end && r < all; r++) {
    int64_t image = r / d->oh, top = r % d->oh * d->stride - d->pt;
    int64_t first = top < 0 ? -top : 0, last = d->h - top < d->kh ? d->h - top : d->kh;
    const float* x = k->images + (image * d->h + (first < last ? top + first : 0)) * d->w * d->c;
    float* y = k->outputs + r * d->ow * d->c;
    const block* b = k->blocks;
    for (int64_t c = 0; c < d->c; c += b->lanes) {
      while (b->lanes > d->c - c) {
        b++;
      }
      b->of(d, x + c, k->kernel + c, y + c, first, last);
    }
  }
}

const char* loupe_convolve_depthwise(const loupe_depthwise* d, const float* images, const float* kernel, float* outputs,
                                     loupe_parallel* parallel, void* pool) {
  work k = {.d = d, .blocks = usable(), .images = images, .kernel = kernel, .outputs = outputs};
  if (k.blocks == NULL) {
    return "loupe has no kernels for this processor";
  }
  int64_t all = d->n * d->oh, tasks = all * d->ow * d->c * d->kh * d->kw / TASK_PRODUCTS;
  tasks = tasks < 1 ? 1 : tasks > TASKS ? TASKS : tasks;
  k.rows = (all + tasks - 1) / tasks;
  parallel(pool, (all + k.rows - 1) / k.rows, some, &k);
  return NULL;
}
