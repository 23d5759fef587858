// A convolution of images of few channels is slow where pixels are first gathered to patches, as XLA's CPU compiler
// does: the gathering takes as long as the products.
//
// Here a tile of the outputs, some neighbouring pixels of a row by one or two vectors of channels, stays in registers
// while the kernel passes by, and the images are copied only once, a stripe of rows at a time, with their zeros around:
//
//	[rows, blocks of DEPTH channels, columns, DEPTH]
//
// so that neighbouring pixels of a tile lie a constant DEPTH apart, whatever the stride: columns that strides part from
// one another are put side by side. An image that is spread out, as the gradient by the input of a convolution with
// strides has it, is not filled up with zeros: its outputs fall into phases, each with its own places of the kernel.
//
// An output is the sum of its products in one order that depends on nothing but the geometry: the same bits on any
// number of threads.
#include "convolution.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH 16                  // channels that lie together in a copied stripe
#define STRIPE_BYTES (256 << 10)  // of a copied stripe: within the second-level cache
#define TASK_PRODUCTS (1 << 20)   // a task has so many at least: less is not worth a thread's waking up
#define TASKS 64                  // and there are so many at most
#define UNITS 16                  // stripes are made shorter until there are so many to share
#define SHORT 6                   // pixels of a row of which a tile sums too few at once to take several places
#define TALLEST 14                // pixels of a tile

// tap is one place of the kernel and one block of channels: where its pixel lies, and how many channels these are.
typedef struct {
  int64_t x, channels;
} tap;

// tile computes neighbouring pixels of outputs, y, which lie y_step apart, of which lanes channels are wanted. The
// kernel, w, lies in the order of the taps.
typedef void tile(const tap* taps, int64_t count, const float* x, const float* w, float* y, int64_t y_step,
                  int64_t lanes);

// shape is a tile's: so many channels, and at most so many pixels.
typedef struct {
  int64_t lanes, tallest;
  tile* of[TALLEST + 1]; // by pixels
} shape;

// shapes are those of one kind of processor, the widest first.
typedef struct {
  int count;
  const shape* of[4];
} shapes;

#if defined(__x86_64__) && defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 32")
#define TILE(name, isa, V, tj, places, tt)                                                                            \
  __attribute__((target(isa))) static void name##_##tt(const tap* taps, int64_t count, const float* x, const float* w, \
                                                       float* y, int64_t y_step, int64_t lanes) {                     \
    typedef float vector __attribute__((vector_size(V * sizeof(float)), aligned(sizeof(float)), may_alias));          \
    vector sum[tt][tj];                                                                                               \
    UNROLL for (int t = 0; t < tt; t++) UNROLL for (int j = 0; j < tj; j++) sum[t][j] = (vector){0};                  \
    for (int64_t k = 0; k < count; k++) {                                                                             \
      const float* p = x + taps[k].x;                                                                                 \
      for (const float* end = p + taps[k].channels; p < end; p++, w += places * tj * V) {                             \
        vector by[places][tj];                                                                                        \
        UNROLL for (int s = 0; s < places; s++) UNROLL for (int j = 0; j < tj; j++) {                                 \
          by[s][j] = *(const vector*)(w + (s * tj + j) * V);                                                          \
        }                                                                                                             \
        UNROLL for (int c = 0; c < tt + places - 1; c++) UNROLL for (int s = 0; s < places; s++) {                    \
          UNROLL for (int j = 0; j < tj; j++) {                                                                       \
            if (c - s >= 0 && c - s < tt) {                                                                           \
              sum[c - s < 0 ? 0 : c - s < tt ? c - s : tt - 1][j] += p[c * DEPTH] * by[s][j];                         \
            }                                                                                                         \
          }                                                                                                           \
        }                                                                                                             \
      }                                                                                                               \
    }                                                                                                                 \
    if (lanes == tj * V) {                                                                                            \
      UNROLL for (int t = 0; t < tt; t++, y += y_step) {                                                              \
        UNROLL for (int j = 0; j < tj; j++) *(vector*)(y + j * V) = sum[t][j];                                        \
      }                                                                                                               \
      return;                                                                                                         \
    }                                                                                                                 \
    vector all[tt][tj];                                                                                               \
    UNROLL for (int t = 0; t < tt; t++) UNROLL for (int j = 0; j < tj; j++) all[t][j] = sum[t][j];                    \
    for (int t = 0; t < tt; t++, y += y_step) {                                                                       \
      const float* from = (const float*)all[t];                                                                       \
      for (int64_t l = 0; l < lanes; l++) {                                                                           \
        y[l] = from[l];                                                                                               \
      }                                                                                                               \
    }                                                                                                                 \
  }
#define UP_TO_3(F, ...) F(__VA_ARGS__, 1) F(__VA_ARGS__, 2) F(__VA_ARGS__, 3)
#define UP_TO_6(F, ...) UP_TO_3(F, __VA_ARGS__) F(__VA_ARGS__, 4) F(__VA_ARGS__, 5) F(__VA_ARGS__, 6)
#define UP_TO_9(F, ...) UP_TO_6(F, __VA_ARGS__) F(__VA_ARGS__, 7) F(__VA_ARGS__, 8) F(__VA_ARGS__, 9)
#define UP_TO_12(F, ...) UP_TO_9(F, __VA_ARGS__) F(__VA_ARGS__, 10) F(__VA_ARGS__, 11) F(__VA_ARGS__, 12)
#define UP_TO_14(F, ...) UP_TO_12(F, __VA_ARGS__) F(__VA_ARGS__, 13) F(__VA_ARGS__, 14)
#define ENTRY(name, tt) [tt] = name##_##tt,

UP_TO_14(TILE, avx512_32, "avx512f", 16, 2, 1)
UP_TO_14(TILE, avx512_16, "avx512f", 16, 1, 1)
UP_TO_14(TILE, avx512_8, "avx512f,avx512vl", 8, 1, 1)
UP_TO_14(TILE, avx512_4, "avx512f,avx512vl", 4, 1, 1)
UP_TO_14(TILE, avx512_3x16, "avx512f", 16, 1, 3)
UP_TO_14(TILE, avx512_3x8, "avx512f,avx512vl", 8, 1, 3)
UP_TO_14(TILE, avx512_3x4, "avx512f,avx512vl", 4, 1, 3)
UP_TO_6(TILE, avx2_16, "avx2,fma", 8, 2, 1)
UP_TO_12(TILE, avx2_8, "avx2,fma", 8, 1, 1)
UP_TO_12(TILE, avx2_4, "avx2,fma", 4, 1, 1)
UP_TO_12(TILE, avx2_3x8, "avx2,fma", 8, 1, 3)
UP_TO_12(TILE, avx2_3x4, "avx2,fma", 4, 1, 3)

static const shape of_avx512_32 = {32, 14, {UP_TO_14(ENTRY, avx512_32)}};
static const shape of_avx512_16 = {16, 14, {UP_TO_14(ENTRY, avx512_16)}};
static const shape of_avx512_8 = {8, 14, {UP_TO_14(ENTRY, avx512_8)}};
static const shape of_avx512_4 = {4, 14, {UP_TO_14(ENTRY, avx512_4)}};
static const shape of_avx512_3x16 = {16, 14, {UP_TO_14(ENTRY, avx512_3x16)}};
static const shape of_avx512_3x8 = {8, 14, {UP_TO_14(ENTRY, avx512_3x8)}};
static const shape of_avx512_3x4 = {4, 14, {UP_TO_14(ENTRY, avx512_3x4)}};
static const shape of_avx2_16 = {16, 6, {UP_TO_6(ENTRY, avx2_16)}};
static const shape of_avx2_8 = {8, 12, {UP_TO_12(ENTRY, avx2_8)}};
static const shape of_avx2_4 = {4, 12, {UP_TO_12(ENTRY, avx2_4)}};
static const shape of_avx2_3x8 = {8, 12, {UP_TO_12(ENTRY, avx2_3x8)}};
static const shape of_avx2_3x4 = {4, 12, {UP_TO_12(ENTRY, avx2_3x4)}};
static const shapes avx512[] = {
    {4, {&of_avx512_32, &of_avx512_16, &of_avx512_8, &of_avx512_4}},
    {3, {&of_avx512_3x16, &of_avx512_3x8, &of_avx512_3x4}},
};
static const shapes avx2[] = {
    {3, {&of_avx2_16, &of_avx2_8, &of_avx2_4}},
    {2, {&of_avx2_3x8, &of_avx2_3x4}},
};

static const shapes* usable(void) {
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
static const shapes* usable(void) { return NULL; }
#endif

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// lines is memory for so many floats, which begins with a line of the processor's caches.
static float* lines(int64_t floats) { return aligned_alloc(64, (floats * (int64_t)sizeof(float) + 63) / 64 * 64); }

// phase is every spread-th output of an axis, and the places of the kernel that reach pixels of the image there: the
// output numbered i in the phase sees, at place tap[k], the pixel i * stride + at[k].
typedef struct {
  int64_t outputs, taps;
  int64_t tap[LOUPE_SIDE], at[LOUPE_SIDE];
} phase;

// axis is one of a convolution's two.
typedef struct {
  int64_t phases, longest; // outputs of the longest phase
  int64_t first, last;     // pixels that its first output may see
  phase of[LOUPE_SPREAD];
} axis;

static axis axis_of(int64_t outputs, int64_t side, int64_t dilation, int64_t spread, int64_t before) {
  axis a = {.phases = spread, .first = INT64_MAX, .last = INT64_MIN};
  for (int64_t i = 0; i < spread; i++) {
    phase* p = &a.of[i];
    p->outputs = most(0, (outputs - i + spread - 1) / spread);
    p->taps = 0;
    a.longest = most(a.longest, p->outputs);
    for (int64_t k = 0; k < side; k++) {
      int64_t at = i + k * dilation - before;
      if (at % spread == 0) {
        at /= spread;
        p->tap[p->taps] = k;
        p->at[p->taps++] = at;
        a.first = least(a.first, at);
        a.last = most(a.last, at);
      }
    }
  }
  return a;
}

// work is one call.
typedef struct {
  loupe_convolution c;
  const shapes* shapes;
  int64_t places;               // of the kernel that a tile takes at once
  const float *images, *kernel;
  float* outputs;
  axis rows, cols;
  int64_t lanes;                // output channels, padded
  int64_t blocks;               // of output channels, each a tile wide
  int64_t depths;               // blocks of DEPTH input channels
  int64_t columns;              // of a copied row
  int64_t apart;                // how far apart copied columns lie that strides part from one another
  int64_t plane, row;           // floats of a copied block of channels, of a copied row
  int64_t stripes, shares;      // of an image's rows; of the output channels
  int64_t units, tasks;         // a unit is a stripe of an image and a share
  tap* taps;                    // of all phases
  int64_t first_tap[LOUPE_SPREAD][LOUPE_SPREAD], tap_count[LOUPE_SPREAD][LOUPE_SPREAD];
  int64_t depth_before[LOUPE_SPREAD][LOUPE_SPREAD], depth[LOUPE_SPREAD][LOUPE_SPREAD]; // of the sums of products
  float* packed;                // the kernel, for each phase and block of output channels in the order of the taps
  bool no_memory;
} work;

// block is some output channels.
typedef struct {
  int64_t o, lanes; // those wanted
  const shape* shape;
} block;

// block_at is the block that begins at a channel. All but the last are as wide as their tiles.
static block block_at(const work* k, int64_t o) {
  int64_t left = k->c.co - o;
  int i = 0;
  while (i + 1 < k->shapes->count && left <= k->shapes->of[i + 1]->lanes) {
    i++;
  }
  if (i + 1 < k->shapes->count && left < k->shapes->of[i]->lanes && left > k->shapes->of[i + 1]->lanes && i == 0) {
    i = 1; // the rest is a narrower block
  }
  const shape* s = k->shapes->of[i];
  return (block){.o = o, .lanes = least(left, s->lanes), .shape = s};
}

static block numbered(const work* k, int64_t number) {
  block b = block_at(k, 0);
  for (; number > 0; number--) {
    b = block_at(k, b.o + b.shape->lanes);
  }
  return b;
}

// pack is a task: it brings the kernel of one block of output channels into the order of the taps.
static void pack(void* data, int64_t number) {
  work* k = data;
  const loupe_convolution* c = &k->c;
  block b = numbered(k, number);
  for (int64_t i = 0; i < k->rows.phases; i++) {
    for (int64_t j = 0; j < k->cols.phases; j++) {
      const phase *rows = &k->rows.of[i], *cols = &k->cols.of[j];
      float* of = k->packed + k->depth_before[i][j] * k->lanes + k->depth[i][j] * b.o;
      for (int64_t r = 0; r < rows->taps; r++) {
        for (int64_t s = 0; s < cols->taps; s++) {
          const float* from = k->kernel + (rows->tap[r] * c->kw + cols->tap[s]) * c->ci * c->co;
          float* to = of + (r * cols->taps * c->ci + (k->places > 1 ? s : s * c->ci)) * b.shape->lanes;
          for (int64_t in = 0; in < c->ci; in++, to += k->places * b.shape->lanes) {
            memset(to, 0, b.shape->lanes * sizeof *to);
            if (c->exchanged) {
              for (int64_t l = 0; l < b.lanes; l++) {
                to[l] = from[(b.o + l) * c->ci + in];
              }
            } else {
              memcpy(to, from + in * c->co + b.o, b.lanes * sizeof *to);
            }
          }
        }
      }
    }
  }
}

// copy_channels copies so many channels of pixels, which lie pixel apart, to pixels that lie DEPTH apart.
static void copy_channels(const float* from, int64_t pixels, int64_t pixel, int64_t channels, float* to) {
#define COPY(n)                                                       \
  case n:                                                             \
    for (int64_t i = 0; i < pixels; i++, from += pixel, to += DEPTH) { \
      memcpy(to, from, n * sizeof *to);                               \
    }                                                                 \
    return;
  switch (channels) {
    COPY(1)
    COPY(2)
    COPY(3)
    COPY(4)
    COPY(8)
    COPY(12)
    COPY(16)
  }
#undef COPY
  for (int64_t i = 0; i < pixels; i++, from += pixel, to += DEPTH) {
    for (int64_t c = 0; c < channels; c++) {
      to[c] = from[c];
    }
  }
}

// copied copies rows of an image from first on, which may lie outside of it, with zeros around.
static void copied(const work* k, const float* image, int64_t first, int64_t rows, float* to) {
  const loupe_convolution* c = &k->c;
  for (int64_t y = first; y < first + rows; y++, to += k->row) {
    if (y < 0 || y >= c->h) {
      memset(to, 0, k->row * sizeof *to);
      continue;
    }
    for (int64_t part = 0; part < c->sw; part++) { // columns that lie side by side
      int64_t column = k->cols.first + part, left = most(0, (-column + c->sw - 1) / c->sw);
      left = least(left, k->apart);
      int64_t x = column + left * c->sw, inside = x < c->w ? least(k->apart - left, (c->w - x + c->sw - 1) / c->sw) : 0;
      for (int64_t d = 0; d < k->depths; d++) {
        float* plane = to + d * k->plane + part * k->apart * DEPTH;
        memset(plane, 0, left * DEPTH * sizeof *to);
        copy_channels(image + (y * c->w + x) * c->ci + d * DEPTH, inside, c->sw * c->ci, least(DEPTH, c->ci - d * DEPTH),
                      plane + left * DEPTH);
        memset(plane + (left + inside) * DEPTH, 0, (k->apart - left - inside) * DEPTH * sizeof *to);
      }
    }
  }
}

// row computes outputs of one row that lie in one phase, and one block of their channels.
static void row(const work* k, const block* b, int64_t i, int64_t j, const float* x, float* y) {
  const shape* s = b->shape;
  int64_t outputs = k->cols.of[j].outputs, tiles = (outputs + s->tallest - 1) / s->tallest;
  int64_t step = k->cols.phases * k->c.co, depth = k->depth[i][j];
  const float* w = k->packed + k->depth_before[i][j] * k->lanes + depth * b->o;
  for (int64_t tile = 0; tile < tiles; tile++) { // as nearly of one height as can be
    int64_t from = tile * outputs / tiles, tall = (tile + 1) * outputs / tiles - from;
    s->of[tall](k->taps + k->first_tap[i][j], k->tap_count[i][j], x + from * DEPTH, w, y + from * step, step, b->lanes);
  }
}

// some is a task: some of the units.
static void some(void* data, int64_t number) {
  work* k = data;
  const loupe_convolution* c = &k->c;
  int64_t longest = (k->rows.longest + k->stripes - 1) / k->stripes, seen = k->rows.last - k->rows.first + 1;
  float* copy = lines(((longest - 1) * c->sh + seen) * k->row);
  if (copy == NULL) {
    __atomic_store_n(&k->no_memory, true, __ATOMIC_RELAXED);
    return;
  }
  int64_t last_stripe = -1;
  for (int64_t unit = number * k->units / k->tasks; unit < (number + 1) * k->units / k->tasks; unit++) {
    int64_t share = unit % k->shares, stripe = unit / k->shares, n = stripe / k->stripes, part = stripe % k->stripes;
    int64_t from = part * k->rows.longest / k->stripes, to = (part + 1) * k->rows.longest / k->stripes;
    if (stripe != last_stripe) {
      const float* image = k->images + n * c->h * c->w * c->ci;
      copied(k, image, from * c->sh + k->rows.first, (to - from - 1) * c->sh + seen, copy);
      last_stripe = stripe;
    }
    float* outputs = k->outputs + n * c->oh * c->ow * c->co;
    for (int64_t number = share * k->blocks / k->shares; number < (share + 1) * k->blocks / k->shares; number++) {
      block b = numbered(k, number);
      for (int64_t i = 0; i < k->rows.phases; i++) {
        for (int64_t j = 0; j < k->cols.phases; j++) {
          for (int64_t at = from; at < least(to, k->rows.of[i].outputs) && k->cols.of[j].outputs > 0; at++) {
            float* y = outputs + ((i + at * k->rows.phases) * c->ow + j) * c->co + b.o;
            row(k, &b, i, j, copy + (at - from) * c->sh * k->row, y);
          }
        }
      }
    }
  }
  free(copy);
}

// ordered writes down the taps of all phases.
static void ordered(work* k) {
  const loupe_convolution* c = &k->c;
  int64_t before = 0, depth = 0;
  for (int64_t i = 0; i < k->rows.phases; i++) {
    for (int64_t j = 0; j < k->cols.phases; j++) {
      const phase *rows = &k->rows.of[i], *cols = &k->cols.of[j];
      k->first_tap[i][j] = before;
      k->tap_count[i][j] = rows->taps * cols->taps / k->places * k->depths;
      k->depth_before[i][j] = depth;
      k->depth[i][j] = rows->taps * cols->taps * c->ci;
      depth += k->depth[i][j];
      for (int64_t r = 0; r < rows->taps; r++) {
        for (int64_t s = 0; s < cols->taps; s += k->places) {
          int64_t y = rows->at[r] - k->rows.first, x = cols->at[s] - k->cols.first;
          for (int64_t d = 0; d < k->depths; d++) {
            k->taps[before++] = (tap){
                .x = y * k->row + d * k->plane + (x % c->sw * k->apart + x / c->sw) * DEPTH,
                .channels = least(DEPTH, c->ci - d * DEPTH),
            };
          }
        }
      }
    }
  }
}

const char* loupe_convolve(const loupe_convolution* c, const float* images, const float* kernel, float* outputs,
                           loupe_parallel* parallel, void* pool) {
  work k = {.c = *c, .shapes = usable(), .images = images, .kernel = kernel, .outputs = outputs};
  if (k.shapes == NULL) {
    return "loupe has no kernels for this processor";
  }
  k.rows = axis_of(c->oh, c->kh, c->dh, c->lh, c->pt);
  k.cols = axis_of(c->ow, c->kw, c->dw, c->lw, c->pl);
  k.places = c->kw == 3 && c->sw == 1 && c->dw == 1 && c->lw == 1 && c->ow >= SHORT ? 3 : 1;
  k.shapes += k.places > 1;
  for (int64_t o = 0; o < c->co; k.blocks++) {
    o += block_at(&k, o).shape->lanes;
    k.lanes = o;
  }
  k.depths = (c->ci + DEPTH - 1) / DEPTH;
  k.columns = (k.cols.longest - 1) * c->sw + k.cols.last - k.cols.first + 1;
  k.apart = (k.columns + c->sw - 1) / c->sw;
  k.plane = c->sw * k.apart * DEPTH;
  k.row = k.depths * k.plane;

  int64_t products = c->n * c->oh * c->ow * c->co * c->ci * c->kh * c->kw / (c->lh * c->lw);
  int64_t seen = k.rows.last - k.rows.first + 1;
  int64_t rows = most(1, (STRIPE_BYTES / (k.row * (int64_t)sizeof(float)) - seen) / c->sh);
  k.stripes = (k.rows.longest + rows - 1) / rows;
  int64_t wanted = most(1, least(UNITS, products / TASK_PRODUCTS));
  if (c->n * k.stripes < wanted) {
    k.stripes = most(k.stripes, least(k.rows.longest / seen, (wanted + c->n - 1) / c->n));
  }
  k.stripes = most(1, k.stripes);
  k.shares = most(1, least(k.blocks, wanted / (c->n * k.stripes)));
  k.units = c->n * k.stripes * k.shares;
  k.tasks = most(1, least(k.units, least(TASKS, products / TASK_PRODUCTS)));

  k.taps = malloc(c->kh * c->kw * k.depths * sizeof *k.taps);
  k.packed = lines(c->kh * c->kw * c->ci * k.lanes);
  if (k.taps == NULL || k.packed == NULL) {
    k.no_memory = true;
  } else {
    ordered(&k);
    if (c->kh * c->kw * c->ci * c->co < TASK_PRODUCTS / 8) {
      for (int64_t i = 0; i < k.blocks; i++) {
        pack(&k, i);
      }
    } else {
      parallel(pool, k.blocks, pack, &k);
    }
    parallel(pool, k.tasks, some, &k);
  }
  free(k.taps);
  free(k.packed);
  return k.no_memory ? "there is no memory for a convolution" : NULL;
}
