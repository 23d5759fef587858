// The gradient of a convolution by its kernel is a matrix product for each place (r, s) of the kernel: of the images'
// channels, shifted by (r, s), with the channels of the outputs' gradient, summed over all pixels of all images.
// XLA's CPU compiler sees a convolution with a kernel as large as an image and is five to ten times slower than the
// processor.
//
// Here a tile of the result, some input channels by one or two vectors of output channels, stays in registers while
// the pixels pass by. Channels are the last axis, so that what belongs to neighbouring places (r, s), (r, s+1) lies
// side by side: the places of a row of the kernel and the channels are one long axis.
//
// The images are divided into parts by the shape alone, never by the number of threads. Each part sums blocks of
// pixels, then blocks, and the parts are added in their order: the same bits on any number of threads, and little
// rounding.
#include "kernelgradient.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 16                 // so many parts at most: threads beyond that have nothing to do
#define PARTS_BYTES (16 << 20)   // and so much memory for all of them
#define STRIPE_BYTES (512 << 10) // padded pixels at a time: within the second-level cache
#define BLOCK_BYTES (2 << 20)    // several whole images at a time take no more
#define BAND_BYTES (32 << 10)    // pixels that a tile passes over: within the first-level cache
#define PIXELS 256               // small images are passed over together, so that sums stay longer in registers
#define LANES 16                 // output channels are padded to a multiple of this

// walk says which pixels a tile passes over: so many images, rows of each and columns of each, and how far apart
// these lie in the memory of the images and of the outputs' gradient.
typedef struct {
  int64_t images, rows, cols;
  int64_t x_image, x_row, x_col;
  int64_t d_image, d_row, d_col;
} walk;

// tile adds to sums, whose rows lie width apart, the products of some channels of images, x, and some vectors of
// channels of outputs, d.
typedef void tile(const walk* k, const float* x, const float* d, float* sums, int64_t width);

// tiles are those of one kind of processor: heights from tall to 1, and for each a tile that is two vectors wide, and
// one that is one vector of LANES wide.
typedef struct {
  int vectors;
  int64_t height[3];
  tile* wide[3];
  tile* narrow[3];
  int64_t width; // of a wide tile, in channels
} tiles;

#if defined(__x86_64__) && defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#define TILE(name, isa, V, ti, tj)                                                                                    \
  __attribute__((target(isa))) static void name(const walk* k, const float* x, const float* d, float* sums,           \
                                                int64_t width) {                                                      \
    typedef float vector __attribute__((vector_size(V * sizeof(float)), aligned(sizeof(float)), may_alias));          \
    vector sum[ti][tj];                                                                                               \
    UNROLL for (int i = 0; i < ti; i++) UNROLL for (int j = 0; j < tj; j++) sum[i][j] = (vector){0};                  \
    for (int64_t n = 0; n < k->images; n++) {                                                                         \
      for (int64_t r = 0; r < k->rows; r++) {                                                                         \
        const float *px = x + n * k->x_image + r * k->x_row, *pd = d + n * k->d_image + r * k->d_row;                 \
        for (int64_t c = 0, x_col = k->x_col, d_col = k->d_col; c < k->cols; c++, px += x_col, pd += d_col) {         \
          vector by[tj];                                                                                              \
          UNROLL for (int j = 0; j < tj; j++) by[j] = *(const vector*)(pd + j * V);                                   \
          UNROLL for (int i = 0; i < ti; i++) UNROLL for (int j = 0; j < tj; j++) sum[i][j] += px[i] * by[j];         \
        }                                                                                                             \
      }                                                                                                               \
    }                                                                                                                 \
    UNROLL for (int i = 0; i < ti; i++) UNROLL for (int j = 0; j < tj; j++) {                                         \
      vector* at = (vector*)(sums + i * width + j * V);                                                               \
      *at += sum[i][j];                                                                                               \
    }                                                                                                                 \
  }

TILE(tile512_12x2, "avx512f", 16, 12, 2)
TILE(tile512_4x2, "avx512f", 16, 4, 2)
TILE(tile512_1x2, "avx512f", 16, 1, 2)
TILE(tile512_12x1, "avx512f", 16, 12, 1)
TILE(tile512_4x1, "avx512f", 16, 4, 1)
TILE(tile512_1x1, "avx512f", 16, 1, 1)
TILE(tile256_6x2, "avx2,fma", 8, 6, 2)
TILE(tile256_2x2, "avx2,fma", 8, 2, 2)
TILE(tile256_1x2, "avx2,fma", 8, 1, 2)

static const tiles avx512 = {
    .vectors = 16,
    .height = {12, 4, 1},
    .wide = {tile512_12x2, tile512_4x2, tile512_1x2},
    .narrow = {tile512_12x1, tile512_4x1, tile512_1x1},
    .width = 32,
};
static const tiles avx2 = {
    .vectors = 8,
    .height = {6, 2, 1},
    .wide = {tile256_6x2, tile256_2x2, tile256_1x2},
    .narrow = {tile256_6x2, tile256_2x2, tile256_1x2}, // LANES are two vectors
    .width = LANES,
};

static const tiles* usable(void) {
  switch (loupe_vectors()) {
    case 16:
      return &avx512;
    case 8:
      return &avx2;
    default:
      return NULL;
  }
}
#else
static const tiles* usable(void) { return NULL; }
#endif

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// work is one call.
typedef struct {
  loupe_geometry g;
  const tiles* tiles;
  const float *images, *outputs;
  int64_t lanes;         // output channels, padded
  int64_t long_axis;     // places in a row of the kernel times input channels
  int64_t padded_w;      // pixels of a row of images that a row of outputs sees
  bool pad, pad_out;     // images, outputs have to be copied into padded memory first
  const float* factors;  // by which outputs are multiplied then, one for so many images; NULL for none
  int64_t views;
  int64_t block;         // images at a time
  int64_t stripe;        // rows of outputs at a time
  int64_t parts;         // of the images
  int64_t rows, columns; // tasks that share a part: so many divide the rows of the kernel, so many the output channels
  float* sums;           // [parts, kh, long_axis, lanes], of a gradient summed over all images
  float* each;           // for each part, an example, its gradient, [kh, kw, ci, co], or the sum of its squares
  bool squares;          // which of the two
  bool no_memory;
} work;

// task is one part's share of the result: rows of the kernel from r to r_end, output channels from o to o_end.
typedef struct {
  int64_t part, r, r_end, o, o_end;
} task;

static task numbered(const work* k, int64_t number) {
  int64_t column = number % k->columns, row = number / k->columns % k->rows;
  int64_t wide = (k->lanes + k->tiles->width - 1) / k->tiles->width;
  return (task){
      .part = number / k->columns / k->rows,
      .r = row * k->g.kh / k->rows,
      .r_end = (row + 1) * k->g.kh / k->rows,
      .o = column * wide / k->columns * k->tiles->width,
      .o_end = least(k->lanes, (column + 1) * wide / k->columns * k->tiles->width),
  };
}

// band adds the products of the pixels of a walk to a task's sums.
static void band(const work* k, const task* t, const walk* pixels, const float* x, const float* d, float* sums) {
  const loupe_geometry* g = &k->g;
  int64_t groups = g->dw == 1 ? 1 : g->kw, length = k->long_axis / groups, x_row = pixels->x_row / g->sh;
  for (int64_t o = t->o; o < t->o_end;) {
    bool wide = t->o_end - o >= k->tiles->width;
    for (int64_t r = t->r; r < t->r_end; r++) {
      for (int64_t s = 0; s < groups; s++) {
        const float* images = x + r * g->dh * x_row + s * g->dw * g->ci;
        float* at = sums + (r * k->long_axis + s * length) * k->lanes + o;
        for (int64_t i = 0, h = 0; i < length;) {
          if (length - i < k->tiles->height[h]) {
            h++;
            continue;
          }
          (wide ? k->tiles->wide : k->tiles->narrow)[h](pixels, images + i, d + o, at + i * k->lanes, k->lanes);
          i += k->tiles->height[h];
        }
      }
    }
    o += wide ? k->tiles->width : LANES;
  }
}

// padded copies the pixels that `rows` rows of outputs from `first` on see, with zeros around the image.
static void padded(const work* k, const float* image, int64_t first, int64_t rows, float* to) {
  const loupe_geometry* g = &k->g;
  int64_t width = k->padded_w * g->ci, left = most(0, least(g->pl, k->padded_w)), from = most(0, -g->pl);
  int64_t inside = most(0, least(k->padded_w - left, g->w - from));
  int64_t needed = (rows - 1) * g->sh + (g->kh - 1) * g->dh + 1;
  for (int64_t i = 0; i < needed; i++, to += width) {
    int64_t y = first * g->sh + i - g->pt;
    if (y < 0 || y >= g->h || inside == 0) {
      memset(to, 0, width * sizeof *to);
      continue;
    }
    memset(to, 0, left * g->ci * sizeof *to);
    memcpy(to + left * g->ci, image + (y * g->w + from) * g->ci, inside * g->ci * sizeof *to);
    memset(to + (left + inside) * g->ci, 0, (width - (left + inside) * g->ci) * sizeof *to);
  }
}

// copied copies pixels of so many channels, times a factor if there is one, to pixels that lie step apart.
static void copied(const float* from, int64_t pixels, int64_t channels, const float* factor, float* to, int64_t step) {
  for (int64_t i = 0; i < pixels; i++, from += channels, to += step) {
    if (factor == NULL) {
      memcpy(to, from, channels * sizeof *to);
      continue;
    }
    for (int64_t c = 0; c < channels; c++) {
      to[c] = *factor * from[c];
    }
  }
}

// summed sums over the images of a task's part, into sums [kh, long_axis, lanes].
static void summed(work* k, const task* t, float* sums) {
  const loupe_geometry* g = &k->g;
  for (int64_t i = t->r * k->long_axis; i < t->r_end * k->long_axis; i++) {
    memset(sums + i * k->lanes + t->o, 0, (t->o_end - t->o) * sizeof *sums);
  }

  int64_t seen = (k->stripe - 1) * g->sh + (g->kh - 1) * g->dh + 1;
  int64_t x_row = (k->pad ? k->padded_w : g->w) * g->ci, d_row = g->ow * k->lanes;
  walk pixels = {
      .cols = g->ow,
      .x_image = k->pad ? seen * x_row : g->h * x_row,
      .x_row = g->sh * x_row,
      .x_col = g->sw * g->ci,
      .d_image = k->pad_out ? k->stripe * d_row : g->oh * d_row,
      .d_row = d_row,
      .d_col = k->lanes,
  };
  float *x_memory = NULL, *d_memory = NULL;
  if (k->pad) {
    x_memory = malloc(k->block * pixels.x_image * sizeof(float));
  }
  if (k->pad_out) {
    d_memory = calloc(k->block * pixels.d_image, sizeof(float)); // the channels that pad stay zero
  }
  if ((k->pad && x_memory == NULL) || (k->pad_out && d_memory == NULL)) {
    __atomic_store_n(&k->no_memory, true, __ATOMIC_RELAXED);
    free(x_memory);
    free(d_memory);
    return;
  }
  int64_t bytes = (pixels.x_row + g->ow * k->tiles->width) * sizeof(float);
  int64_t band_rows = k->block > 1 ? g->oh : most(1, BAND_BYTES / bytes);
  int64_t last = (t->part + 1) * g->n / k->parts;
  for (int64_t n = t->part * g->n / k->parts; n < last; n += k->block) {
    pixels.images = least(k->block, last - n);
    for (int64_t first = 0; first < g->oh; first += k->stripe) {
      int64_t rows = least(k->stripe, g->oh - first);
      const float* x = k->images + (n * g->h + first * g->sh) * g->w * g->ci;
      const float* d = k->outputs + (n * g->oh + first) * g->ow * g->co;
      if (k->pad) {
        for (int64_t i = 0; i < pixels.images; i++) {
          padded(k, k->images + (n + i) * g->h * g->w * g->ci, first, rows, x_memory + i * pixels.x_image);
        }
        x = x_memory;
      }
      if (k->pad_out) { // a block of several images is one of whole images, so that its pixels lie side by side
        int64_t of_image = rows * g->ow;
        for (int64_t i = 0; i < pixels.images; i++) {
          copied(d + i * of_image * g->co, of_image, g->co, k->factors != NULL ? k->factors + (n + i) / k->views : NULL,
                 d_memory + i * of_image * k->lanes, k->lanes);
        }
        d = d_memory;
      }
      for (int64_t at = 0; at < rows; at += band_rows) {
        pixels.rows = least(band_rows, rows - at);
        band(k, t, &pixels, x + at * pixels.x_row, d + at * d_row, sums);
      }
    }
  }
  free(x_memory);
  free(d_memory);
}

// part is a task of a gradient that is summed over all images.
static void part(void* data, int64_t number) {
  work* k = data;
  task t = numbered(k, number);
  summed(k, &t, k->sums + t.part * k->g.kh * k->long_axis * k->lanes);
}

// square_sum is the sum of the squares of size numbers, a multiple of LANES: of BAND_BYTES / 8 of them in single
// precision, LANES sums side by side, and of these in double.
static float square_sum(const float* v, int64_t size) {
  double total = 0;
  for (int64_t from = 0; from < size;) {
    float sum[LANES] = {0};
    for (int64_t end = least(size, from + BAND_BYTES / 8); from < end; from += LANES) {
      for (int64_t l = 0; l < LANES; l++) {
        sum[l] += v[from + l] * v[from + l];
      }
    }
    for (int64_t l = 0; l < LANES; l++) {
      total += sum[l];
    }
  }
  return (float)total;
}

// example is a task of gradients that are not summed over examples: the sums are an example's own, and stay in the
// processor's caches where only their squares are asked for.
static void example(void* data, int64_t number) {
  work* k = data;
  const loupe_geometry* g = &k->g;
  task t = numbered(k, number);
  int64_t rows = g->kh * k->long_axis;
  bool in_place = !k->squares && !k->pad_out;
  float* sums = in_place ? k->each + t.part * rows * g->co : malloc(rows * k->lanes * sizeof *sums);
  if (sums == NULL) {
    __atomic_store_n(&k->no_memory, true, __ATOMIC_RELAXED);
    return;
  }
  summed(k, &t, sums);
  if (in_place) {
    return;
  }
  if (k->squares) {
    k->each[t.part] = square_sum(sums, rows * k->lanes); // the channels that pad are zero
  } else {
    for (int64_t i = 0; i < rows; i++) {
      memcpy(k->each + (t.part * rows + i) * g->co, sums + i * k->lanes, g->co * sizeof *sums);
    }
  }
  free(sums);
}

// prepared is the work on a geometry, whose images are cut into so many parts at most; tiles is NULL where there are no
// kernels for the processor.
static work prepared(const loupe_geometry* g, int64_t parts, const float* factors, int64_t views, const float* images,
                     const float* outputs) {
  work k = {.g = *g, .images = images, .outputs = outputs, .tiles = usable(), .parts = parts, .rows = 1, .columns = 1,
            .factors = factors, .views = views};
  k.lanes = (g->co + LANES - 1) / LANES * LANES;
  k.long_axis = g->kw * g->ci;
  k.padded_w = (g->ow - 1) * g->sw + (g->kw - 1) * g->dw + 1;
  int64_t padded_h = (g->oh - 1) * g->sh + (g->kh - 1) * g->dh + 1;
  k.pad = g->pt != 0 || g->pl != 0 || k.padded_w > g->w || padded_h > g->h;
  k.pad_out = k.lanes != g->co || factors != NULL;
  k.stripe = g->oh;
  if (k.pad || k.pad_out) {
    int64_t bytes = (g->sh * k.padded_w * g->ci + g->ow * k.lanes) * sizeof(float);
    k.stripe = most(1, least(g->oh, STRIPE_BYTES / bytes));
  }
  int64_t image_bytes = (padded_h * k.padded_w * g->ci + g->oh * g->ow * k.lanes) * sizeof(float);
  int64_t images_of_part = (g->n + parts - 1) / parts;
  k.block = k.stripe < g->oh ? 1 : most(1, least(least(images_of_part, PIXELS / (g->oh * g->ow)), BLOCK_BYTES / image_bytes));
  return k;
}

static const char no_kernels[] = "loupe has no kernels for this processor";
static const char no_memory[] = "there is no memory for the gradient of a kernel";

static const char* sum(const loupe_geometry* g, const float* factors, int64_t views, const float* images,
                       const float* outputs, float* gradient, loupe_parallel* parallel, void* pool) {
  int64_t size = g->kh * g->kw * g->ci * ((g->co + LANES - 1) / LANES * LANES);
  work k = prepared(g, most(1, least(least(g->n, PARTS), PARTS_BYTES / (int64_t)(size * sizeof(float)))), factors, views, images,
                    outputs);
  if (k.tiles == NULL) {
    return no_kernels;
  }
  if (k.parts < PARTS / 2) {
    k.rows = least(g->kh, PARTS / k.parts);
    k.columns = most(1, least((k.lanes + k.tiles->width - 1) / k.tiles->width, PARTS / 2 / (k.parts * k.rows)));
  }
  k.sums = malloc(k.parts * size * sizeof(float));
  if (k.sums == NULL) {
    return no_memory;
  }
  parallel(pool, k.parts * k.rows * k.columns, part, &k);
  for (int64_t i = 0; i < g->kh * k.long_axis && !k.no_memory; i++) {
    for (int64_t o = 0; o < g->co; o++) {
      float sum = 0;
      for (int64_t p = 0; p < k.parts; p++) {
        sum += k.sums[p * size + i * k.lanes + o];
      }
      gradient[i * g->co + o] = sum;
    }
  }
  free(k.sums);
  return k.no_memory ? no_memory : NULL;
}

const char* loupe_kernel_gradient(const loupe_geometry* g, const float* images, const float* outputs, float* gradient,
                                  loupe_parallel* parallel, void* pool) {
  return sum(g, NULL, 1, images, outputs, gradient, parallel, pool);
}

const char* loupe_weighted_gradient(const loupe_geometry* g, int64_t examples, const float* factors, const float* images,
                                    const float* outputs, float* gradient, loupe_parallel* parallel, void* pool) {
  return sum(g, factors, g->n / examples, images, outputs, gradient, parallel, pool);
}

const char* loupe_example_gradients(const loupe_geometry* g, int64_t examples, bool squares, const float* images,
                                    const float* outputs, float* each, loupe_parallel* parallel, void* pool) {
  work k = prepared(g, examples, NULL, 1, images, outputs);
  if (k.tiles == NULL) {
    return no_kernels;
  }
  k.each = each;
  k.squares = squares;
  parallel(pool, examples, example, &k);
  return k.no_memory ? no_memory : NULL;
}
