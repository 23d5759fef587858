// Batch and group normalisation, in single precision. See norm.c.
#ifndef LOUPE_NORM_H
#define LOUPE_NORM_H

#include "kernels.h"

// loupe_norm describes a normalisation of x [rows, places, channels] by the mean and the variance of each row over all
// places and each of the groups of neighbouring channels: rows are images, and the whole batch is one for batch
// normalisation, whose groups are the channels.
//
//	y = (x - mean) / sqrt(variance + epsilon) · scale + offset
typedef struct {
  int64_t rows, places, channels, groups;
  float epsilon;
  bool relu; // y is max(0, that)
} loupe_norm;

// What follows does not depend on the number of threads, and returns NULL, or a constant text that says why there is no
// result. mean and variance are [rows, groups]; where they are NULL those of x are taken.

// loupe_moments computes mean and variance, the mean squared distance from the mean.
const char* loupe_moments(const loupe_norm* n, const float* x, float* mean, float* variance, loupe_parallel* parallel,
                          void* pool);

// loupe_normalise computes y; scale and offset are [channels].
const char* loupe_normalise(const loupe_norm* n, const float* x, const float* scale, const float* offset,
                            const float* mean, const float* variance, float* y, loupe_parallel* parallel, void* pool);

// loupe_norm_gradient computes the gradients by x, of which mean and variance are, and by scale and offset, of each row,
// [rows, channels], from d, that by y.
const char* loupe_norm_gradient(const loupe_norm* n, const float* x, const float* scale, const float* offset,
                                const float* mean, const float* variance, const float* d, float* dx, float* dscale,
                                float* doffset, loupe_parallel* parallel, void* pool);

#endif
