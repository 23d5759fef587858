// A normalisation reads its values twice, for the moments and to scale them, and its gradient twice what is made of
// them. XLA's CPU compiler makes some ten loops of the two, each of which reads and writes all of a batch.
//
// Here a row, an image of group normalisation, is done with while it is in the processor's caches. Batch normalisation
// has one row, the whole batch, which is cut into parts. Parts are cut by the shape alone and what they sum is added in
// their order: the same bits on any number of threads.
//
// Moments are those of some pixels in single precision, about these pixels' own mean, and put together in double (Chan,
// Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979): they are as
// good where values are far from 0.
#include "norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (8 << 10)  // of pixels whose moments are taken at once: within the first-level cache
#define PART_BYTES (256 << 10) // a part of a batch has so much at least
#define PARTS 64               // and there are so many at most

// What is done to some pixels and a block of channels.
typedef void moments(const float* x, int64_t pixels, int64_t channels, float* mean, float* squares);
typedef void scaled(const float* x, int64_t pixels, int64_t channels, const float* mean, const float* by,
                    const float* offset, bool relu, float* y);
typedef void sums(const float* x, const float* d, int64_t pixels, int64_t channels, const float* mean, const float* by,
                  const float* offset, bool relu, float* sum, float* products);
typedef void gradients(const float* x, const float* d, int64_t pixels, int64_t channels, const float* mean,
                       const float* by, const float* offset, const float* slope, const float* constant, bool relu,
                       float* dx);

// block is a number of neighbouring channels, and what is done to so many.
typedef struct {
  int64_t lanes;
  moments* moments;
  scaled* scaled;
  sums* sums;
  gradients* gradients;
} block;

#if defined(__x86_64__) && defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
// A block of tj vectors of V channels. Sums of u pixels at a time go into vectors of their own, so that one need not
// wait for the other. max(0, y) is written so that a y that is no number stays none.
#define BLOCK(name, isa, V, tj, u)                                                                                    \
  typedef float name##_vector __attribute__((vector_size(V * sizeof(float)), aligned(sizeof(float)), may_alias));     \
  typedef int32_t name##_mask __attribute__((vector_size(V * sizeof(float)), aligned(sizeof(float)), may_alias));     \
  __attribute__((target(isa), always_inline)) static inline name##_vector name##_kept(name##_vector v,                \
                                                                                       name##_vector y) {             \
    return (name##_vector)((name##_mask)v & ~(name##_mask)(y <= 0));                                                  \
  }                                                                                                                   \
  __attribute__((target(isa))) static void name##_moments(const float* x, int64_t pixels, int64_t channels,           \
                                                          float* mean, float* squares) {                              \
    typedef name##_vector vector;                                                                                     \
    vector sum[u][tj], about[tj];                                                                                     \
    for (int second = 0; second < 2; second++) {                                                                      \
      UNROLL for (int i = 0; i < u; i++) UNROLL for (int j = 0; j < tj; j++) sum[i][j] = (vector){0};                 \
      int64_t p = 0;                                                                                                  \
      const float* at = x;                                                                                            \
      if (second == 0) {                                                                                              \
        for (; p + u <= pixels; p += u, at += u * channels) {                                                         \
          UNROLL for (int i = 0; i < u; i++) UNROLL for (int j = 0; j < tj; j++) {                                    \
            sum[i][j] += *(const vector*)(at + i * channels + j * V);                                                 \
          }                                                                                                           \
        }                                                                                                             \
        for (; p < pixels; p++, at += channels) {                                                                     \
          UNROLL for (int j = 0; j < tj; j++) sum[0][j] += *(const vector*)(at + j * V);                              \
        }                                                                                                             \
      } else {                                                                                                        \
        for (; p + u <= pixels; p += u, at += u * channels) {                                                         \
          UNROLL for (int i = 0; i < u; i++) UNROLL for (int j = 0; j < tj; j++) {                                    \
            vector from = *(const vector*)(at + i * channels + j * V) - about[j];                                     \
            sum[i][j] += from * from;                                                                                 \
          }                                                                                                           \
        }                                                                                                             \
        for (; p < pixels; p++, at += channels) {                                                                     \
          UNROLL for (int j = 0; j < tj; j++) {                                                                       \
            vector from = *(const vector*)(at + j * V) - about[j];                                                    \
            sum[0][j] += from * from;                                                                                 \
          }                                                                                                           \
        }                                                                                                             \
      }                                                                                                               \
      UNROLL for (int i = 1; i < u; i++) UNROLL for (int j = 0; j < tj; j++) sum[0][j] += sum[i][j];                  \
      UNROLL for (int j = 0; j < tj; j++) {                                                                           \
        if (second == 0) {                                                                                            \
          about[j] = sum[0][j] / (float)pixels;                                                                       \
          *(vector*)(mean + j * V) = about[j];                                                                        \
        } else {                                                                                                      \
          *(vector*)(squares + j * V) = sum[0][j];                                                                    \
        }                                                                                                             \
      }                                                                                                               \
    }                                                                                                                 \
  }                                                                                                                   \
  __attribute__((target(isa))) static void name##_scaled(const float* x, int64_t pixels, int64_t channels,            \
                                                         const float* mean, const float* by, const float* offset,     \
                                                         bool relu, float* y) {                                       \
    typedef name##_vector vector;                                                                                     \
    vector m[tj], s[tj], b[tj];                                                                                       \
    UNROLL for (int j = 0; j < tj; j++) {                                                                             \
      m[j] = *(const vector*)(mean + j * V);                                                                          \
      s[j] = *(const vector*)(by + j * V);                                                                            \
      b[j] = *(const vector*)(offset + j * V);                                                                        \
    }                                                                                                                 \
    for (int64_t p = 0; p < pixels; p++, x += channels, y += channels) {                                              \
      UNROLL for (int j = 0; j < tj; j++) {                                                                           \
        vector to = (*(const vector*)(x + j * V) - m[j]) * s[j] + b[j];                                               \
        *(vector*)(y + j * V) = relu ? name##_kept(to, to) : to;                                                      \
      }                                                                                                               \
    }                                                                                                                 \
  }                                                                                                                   \
  __attribute__((target(isa))) static void name##_sums(const float* x, const float* d, int64_t pixels,                \
                                                       int64_t channels, const float* mean, const float* by,          \
                                                       const float* offset, bool relu, float* sum, float* products) { \
    typedef name##_vector vector;                                                                                     \
    vector m[tj], s[tj], b[tj], all[u][tj], with[u][tj];                                                              \
    UNROLL for (int j = 0; j < tj; j++) {                                                                             \
      m[j] = *(const vector*)(mean + j * V);                                                                          \
      s[j] = *(const vector*)(by + j * V);                                                                            \
      b[j] = *(const vector*)(offset + j * V);                                                                        \
      UNROLL for (int i = 0; i < u; i++) all[i][j] = with[i][j] = (vector){0};                                        \
    }                                                                                                                 \
    int64_t p = 0;                                                                                                    \
    for (; p + u <= pixels; p += u, x += u * channels, d += u * channels) {                                           \
      UNROLL for (int i = 0; i < u; i++) UNROLL for (int j = 0; j < tj; j++) {                                        \
        vector from = *(const vector*)(x + i * channels + j * V) - m[j];                                              \
        vector g = *(const vector*)(d + i * channels + j * V);                                                        \
        g = relu ? name##_kept(g, from * s[j] + b[j]) : g;                                                            \
        all[i][j] += g;                                                                                               \
        with[i][j] += g * from;                                                                                       \
      }                                                                                                               \
    }                                                                                                                 \
    for (; p < pixels; p++, x += channels, d += channels) {                                                           \
      UNROLL for (int j = 0; j < tj; j++) {                                                                           \
        vector from = *(const vector*)(x + j * V) - m[j];                                                             \
        vector g = *(const vector*)(d + j * V);                                                                       \
        g = relu ? name##_kept(g, from * s[j] + b[j]) : g;                                                            \
        all[0][j] += g;                                                                                               \
        with[0][j] += g * from;                                                                                       \
      }                                                                                                               \
    }                                                                                                                 \
    UNROLL for (int j = 0; j < tj; j++) {                                                                             \
      UNROLL for (int i = 1; i < u; i++) all[0][j] += all[i][j], with[0][j] += with[i][j];                            \
      *(vector*)(sum + j * V) = all[0][j];                                                                            \
      *(vector*)(products + j * V) = with[0][j];                                                                      \
    }                                                                                                                 \
  }                                                                                                                   \
  __attribute__((target(isa))) static void name##_gradients(                                                          \
      const float* x, const float* d, int64_t pixels, int64_t channels, const float* mean, const float* by,           \
      const float* offset, const float* slope, const float* constant, bool relu, float* dx) {                         \
    typedef name##_vector vector;                                                                                     \
    vector m[tj], s[tj], b[tj], k[tj], q[tj];                                                                         \
    UNROLL for (int j = 0; j < tj; j++) {                                                                             \
      m[j] = *(const vector*)(mean + j * V);                                                                          \
      s[j] = *(const vector*)(by + j * V);                                                                            \
      b[j] = *(const vector*)(offset + j * V);                                                                        \
      k[j] = *(const vector*)(slope + j * V);                                                                         \
      q[j] = *(const vector*)(constant + j * V);                                                                      \
    }                                                                                                                 \
    for (int64_t p = 0; p < pixels; p++, x += channels, d += channels, dx += channels) {                              \
      UNROLL for (int j = 0; j < tj; j++) {                                                                           \
        vector from = *(const vector*)(x + j * V) - m[j];                                                             \
        vector g = *(const vector*)(d + j * V);                                                                       \
        g = relu ? name##_kept(g, from * s[j] + b[j]) : g;                                                            \
        *(vector*)(dx + j * V) = g * s[j] + (from * k[j] + q[j]);                                                     \
      }                                                                                                               \
    }                                                                                                                 \
  }
#define ENTRY(name, lanes) {lanes, name##_moments, name##_scaled, name##_sums, name##_gradients}

BLOCK(avx512_64, "avx512f,avx512vl", 16, 4, 1)
BLOCK(avx512_32, "avx512f,avx512vl", 16, 2, 2)
BLOCK(avx512_16, "avx512f,avx512vl", 16, 1, 4)
BLOCK(avx512_8, "avx512f,avx512vl", 8, 1, 4)
BLOCK(avx512_4, "avx512f,avx512vl", 4, 1, 4)
BLOCK(avx512_1, "avx512f,avx512vl", 1, 1, 4)
BLOCK(avx2_16, "avx2,fma", 8, 2, 2)
BLOCK(avx2_8, "avx2,fma", 8, 1, 4)
BLOCK(avx2_4, "avx2,fma", 4, 1, 4)
BLOCK(avx2_1, "avx2,fma", 1, 1, 4)

static const block avx512[] = {
    ENTRY(avx512_64, 64), ENTRY(avx512_32, 32), ENTRY(avx512_16, 16),
    ENTRY(avx512_8, 8),   ENTRY(avx512_4, 4),   ENTRY(avx512_1, 1),
};
static const block avx2[] = {ENTRY(avx2_16, 16), ENTRY(avx2_8, 8), ENTRY(avx2_4, 4), ENTRY(avx2_1, 1)};

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

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// work is one call.
typedef struct {
  loupe_norm n;
  const block* blocks;
  int64_t parts; // of a row
  int64_t tasks; // of whole rows, or of parts of them
  const float *x, *d, *scale, *offset;
  const float *mean, *variance;         // given
  float *to_mean, *to_variance;         // asked for
  float *y, *dx, *dscale, *doffset;
  double* partial;                      // [rows, parts, 2, channels]
  const float* row;                     // what a row's channels have, where it is cut into parts: see channel
  bool no_memory;
} work;

// A row's channels have these numbers, one after the other [CHANNEL, channels]: the mean, what distances from it are
// multiplied by, what is added, and for the gradient the slope by the distance, and a constant.
enum { MEAN, BY, OFFSET, SLOPE, CONSTANT, CHANNEL };

#define EACH_BLOCK(k, c)                                                                                          \
  const block* c##_of = (k)->blocks;                                                                              \
  for (int64_t c = 0; c < (k)->n.channels; c += c##_of->lanes)                                                    \
    if (widest((k)->n.channels - c, &c##_of))

// widest goes on to the widest block that so many channels fill.
static bool widest(int64_t channels, const block** b) {
  while ((*b)->lanes > channels) {
    ++*b;
  }
  return true;
}

static int64_t chunk(const work* k) { return most(8, CHUNK_BYTES / (k->n.channels * (int64_t)sizeof(float))); }

// moments_of are the means and the sums of squared distances of some pixels, in double precision; some is memory for
// two floats a channel.
static void moments_of(const work* k, const float* x, int64_t pixels, double* mean, double* squares, float* some) {
  int64_t channels = k->n.channels;
  float *m = some, *s = some + channels;
  memset(mean, 0, channels * sizeof *mean);
  memset(squares, 0, channels * sizeof *squares);
  for (int64_t from = 0; from < pixels;) {
    int64_t more = least(chunk(k), pixels - from);
    const float* at = x + from * channels;
    EACH_BLOCK(k, c) c_of->moments(at + c, more, channels, m + c, s + c);
    double share = (double)more / (double)(from + more), both = (double)from * share;
    for (int64_t c = 0; c < channels; c++) {
      double apart = m[c] - mean[c];
      mean[c] += apart * share;
      squares[c] += s[c] + apart * apart * both;
    }
    from += more;
  }
}

// grouped makes of the channels' moments the groups', mean and variance.
static void grouped(const loupe_norm* n, const double* mean, const double* squares, float* to_mean,
                    float* to_variance) {
  int64_t of = n->channels / n->groups;
  for (int64_t g = 0; g < n->groups; g++, mean += of, squares += of) {
    double middle = 0, sum = 0;
    for (int64_t c = 0; c < of; c++) {
      middle += mean[c];
    }
    middle /= (double)of;
    for (int64_t c = 0; c < of; c++) {
      sum += squares[c] + (double)n->places * (mean[c] - middle) * (mean[c] - middle);
    }
    to_mean[g] = (float)middle;
    to_variance[g] = (float)(sum / ((double)n->places * (double)of));
  }
}

// channels fills in a row's mean, factor and offset of each channel.
static void channels(const work* k, const float* mean, const float* variance, float* row) {
  int64_t all = k->n.channels, of = all / k->n.groups;
  for (int64_t c = 0; c < all; c++) {
    row[MEAN * all + c] = mean[c / of];
    row[BY * all + c] = k->scale[c] / sqrtf(variance[c / of] + k->n.epsilon);
    row[OFFSET * all + c] = k->offset[c];
  }
}

// sums_of adds up the gradient by y of some pixels, and its products with the distances from the mean, in double
// precision.
static void sums_of(const work* k, const float* row, const float* x, const float* d, int64_t pixels, double* sum,
                    double* products, float* some) {
  int64_t all = k->n.channels;
  float *s = some, *p = some + all;
  memset(sum, 0, all * sizeof *sum);
  memset(products, 0, all * sizeof *products);
  for (int64_t from = 0; from < pixels;) {
    int64_t more = least(chunk(k), pixels - from), at = from * all;
    EACH_BLOCK(k, c) {
      c_of->sums(x + at + c, d + at + c, more, all, row + MEAN * all + c, row + BY * all + c, row + OFFSET * all + c,
                 k->n.relu, s + c, p + c);
    }
    for (int64_t c = 0; c < all; c++) {
      sum[c] += s[c];
      products[c] += p[c];
    }
    from += more;
  }
}

// backwards makes of a row's sums the gradients by scale and offset, and what the gradient by x needs of each channel:
// with x̂ for the normalised values, r for what distances are divided by, and means over a group,
//
//	dx = r · (scale · d - mean(scale · d) - x̂ · mean(scale · d · x̂))
static void backwards(const work* k, const double* sum, const double* products, const float* variance, float* row,
                      float* dscale, float* doffset) {
  int64_t all = k->n.channels, of = all / k->n.groups;
  double size = (double)k->n.places * (double)of;
  for (int64_t g = 0; g < k->n.groups; g++) {
    double r = 1 / sqrt((double)variance[g] + k->n.epsilon), mean = 0, along = 0;
    for (int64_t c = g * of; c < (g + 1) * of; c++) {
      dscale[c] = (float)(products[c] * r);
      doffset[c] = (float)sum[c];
      mean += k->scale[c] * sum[c];
      along += k->scale[c] * products[c] * r;
    }
    for (int64_t c = g * of; c < (g + 1) * of; c++) {
      row[SLOPE * all + c] = (float)(-r * r * along / size);
      row[CONSTANT * all + c] = (float)(-r * mean / size);
    }
  }
}

static void scale_pixels(const work* k, const float* row, int64_t from, int64_t pixels) {
  int64_t all = k->n.channels, at = from * all;
  EACH_BLOCK(k, c) {
    c_of->scaled(k->x + at + c, pixels, all, row + MEAN * all + c, row + BY * all + c, row + OFFSET * all + c,
                 k->n.relu, k->y + at + c);
  }
}

static void gradient_pixels(const work* k, const float* row, int64_t from, int64_t pixels) {
  int64_t all = k->n.channels, at = from * all;
  EACH_BLOCK(k, c) {
    c_of->gradients(k->x + at + c, k->d + at + c, pixels, all, row + MEAN * all + c, row + BY * all + c,
                    row + OFFSET * all + c, row + SLOPE * all + c, row + CONSTANT * all + c, k->n.relu, k->dx + at + c);
  }
}

// scratch is a task's memory: sums in double precision, some floats, and a row's.
typedef struct {
  double *first, *second;
  float *some, *row, *mean, *variance;
} scratch;

static bool scratch_of(work* k, scratch* s) {
  int64_t all = k->n.channels;
  s->first = malloc(all * (2 * sizeof(double) + (2 + CHANNEL + 2) * sizeof(float)));
  if (s->first == NULL) {
    __atomic_store_n(&k->no_memory, true, __ATOMIC_RELAXED);
    return false;
  }
  s->second = s->first + all;
  s->some = (float*)(s->second + all);
  s->row = s->some + 2 * all;
  s->mean = s->row + CHANNEL * all;
  s->variance = s->mean + all;
  return true;
}

// whole_rows is a task of rows that are not cut.
static void whole_rows(void* data, int64_t task) {
  work* k = data;
  int64_t places = k->n.places, all = k->n.channels, groups = k->n.groups;
  scratch s;
  if (!scratch_of(k, &s)) {
    return;
  }
  for (int64_t r = task * k->n.rows / k->tasks; r < (task + 1) * k->n.rows / k->tasks; r++) {
    const float *x = k->x + r * places * all, *mean = k->mean, *variance = k->variance;
    if (mean == NULL) {
      float* to_mean = k->to_mean != NULL ? k->to_mean + r * groups : s.mean;
      float* to_variance = k->to_variance != NULL ? k->to_variance + r * groups : s.variance;
      moments_of(k, x, places, s.first, s.second, s.some);
      grouped(&k->n, s.first, s.second, to_mean, to_variance);
      mean = to_mean, variance = to_variance;
    } else {
      mean += r * groups, variance += r * groups;
    }
    if (k->y == NULL && k->dx == NULL) {
      continue;
    }
    channels(k, mean, variance, s.row);
    if (k->y != NULL) {
      scale_pixels(k, s.row, r * places, places);
      continue;
    }
    sums_of(k, s.row, x, k->d + r * places * all, places, s.first, s.second, s.some);
    backwards(k, s.first, s.second, variance, s.row, k->dscale + r * all, k->doffset + r * all);
    gradient_pixels(k, s.row, r * places, places);
  }
  free(s.first);
}

// The tasks of one row that is cut into parts.
static int64_t first_of(const work* k, int64_t part) { return part * k->n.places / k->parts; }

static void part_moments(void* data, int64_t part) {
  work* k = data;
  scratch s;
  if (scratch_of(k, &s)) {
    int64_t all = k->n.channels, from = first_of(k, part);
    double* to = k->partial + part * 2 * all;
    moments_of(k, k->x + from * all, first_of(k, part + 1) - from, to, to + all, s.some);
    free(s.first);
  }
}

static void part_sums(void* data, int64_t part) {
  work* k = data;
  scratch s;
  if (scratch_of(k, &s)) {
    int64_t all = k->n.channels, from = first_of(k, part);
    double* to = k->partial + part * 2 * all;
    sums_of(k, k->row, k->x + from * all, k->d + from * all, first_of(k, part + 1) - from, to, to + all, s.some);
    free(s.first);
  }
}

static void part_scaled(void* data, int64_t part) {
  work* k = data;
  scale_pixels(k, k->row, first_of(k, part), first_of(k, part + 1) - first_of(k, part));
}

static void part_gradients(void* data, int64_t part) {
  work* k = data;
  gradient_pixels(k, k->row, first_of(k, part), first_of(k, part + 1) - first_of(k, part));
}

// one_row does what whole_rows does, by parts.
static void one_row(work* k, scratch* s, loupe_parallel* parallel, void* pool) {
  int64_t all = k->n.channels;
  const float *mean = k->mean, *variance = k->variance;
  if (mean == NULL) {
    parallel(pool, k->parts, part_moments, k);
    if (k->no_memory) {
      return;
    }
    memcpy(s->first, k->partial, 2 * all * sizeof(double));
    for (int64_t part = 1; part < k->parts; part++) {
      const double *m = k->partial + part * 2 * all, *q = m + all;
      double before = (double)first_of(k, part), here = (double)first_of(k, part + 1) - before;
      for (int64_t c = 0; c < all; c++) {
        double apart = m[c] - s->first[c];
        s->first[c] += apart * here / (before + here);
        s->second[c] += q[c] + apart * apart * before * here / (before + here);
      }
    }
    float* to_mean = k->to_mean != NULL ? k->to_mean : s->mean;
    float* to_variance = k->to_variance != NULL ? k->to_variance : s->variance;
    grouped(&k->n, s->first, s->second, to_mean, to_variance);
    mean = to_mean, variance = to_variance;
  }
  if (k->y == NULL && k->dx == NULL) {
    return;
  }
  channels(k, mean, variance, s->row);
  k->row = s->row;
  if (k->y != NULL) {
    parallel(pool, k->parts, part_scaled, k);
    return;
  }
  parallel(pool, k->parts, part_sums, k);
  if (k->no_memory) {
    return;
  }
  memcpy(s->first, k->partial, 2 * all * sizeof(double));
  for (int64_t part = 1; part < k->parts; part++) {
    for (int64_t c = 0; c < 2 * all; c++) {
      s->first[c] += k->partial[part * 2 * all + c];
    }
  }
  backwards(k, s->first, s->second, variance, s->row, k->dscale, k->doffset);
  parallel(pool, k->parts, part_gradients, k);
}

static const char* done(work* k, loupe_parallel* parallel, void* pool) {
  k->blocks = usable();
  if (k->blocks == NULL) {
    return "loupe has no kernels for this processor";
  }
  int64_t bytes = k->n.places * k->n.channels * (int64_t)sizeof(float);
  k->parts = k->n.rows > 1 ? 1 : most(1, least(least(PARTS, k->n.places), bytes / PART_BYTES));
  if (k->parts > 1) {
    scratch s;
    k->partial = malloc(k->parts * 2 * k->n.channels * sizeof *k->partial);
    if (k->partial == NULL || !scratch_of(k, &s)) {
      k->no_memory = true;
    } else {
      one_row(k, &s, parallel, pool);
      free(s.first);
    }
    free(k->partial);
  } else {
    k->tasks = most(1, least(least(PARTS, k->n.rows), k->n.rows * bytes / PART_BYTES));
    parallel(pool, k->tasks, whole_rows, k);
  }
  return k->no_memory ? "there is no memory for a normalisation" : NULL;
}

const char* loupe_moments(const loupe_norm* n, const float* x, float* mean, float* variance, loupe_parallel* parallel,
                          void* pool) {
  work k = {.n = *n, .x = x, .to_mean = mean, .to_variance = variance};
  return done(&k, parallel, pool);
}

const char* loupe_normalise(const loupe_norm* n, const float* x, const float* scale, const float* offset,
                            const float* mean, const float* variance, float* y, loupe_parallel* parallel, void* pool) {
  work k = {.n = *n, .x = x, .scale = scale, .offset = offset, .mean = mean, .variance = variance, .y = y};
  return done(&k, parallel, pool);
}

const char* loupe_norm_gradient(const loupe_norm* n, const float* x, const float* scale, const float* offset,
                                const float* mean, const float* variance, const float* d, float* dx, float* dscale,
                                float* doffset, loupe_parallel* parallel, void* pool) {
  work k = {.n = *n, .x = x, .scale = scale, .offset = offset, .mean = mean, .variance = variance,
            .d = d, .dx = dx, .dscale = dscale, .doffset = doffset};
  return done(&k, parallel, pool);
}
