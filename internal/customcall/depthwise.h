// A depthwise convolution, in single precision. See depthwise.c.
#ifndef LOUPE_DEPTHWISE_H
#define LOUPE_DEPTHWISE_H

#include "kernels.h"

// loupe_depthwise describes a convolution of each channel of images [n, h, w, c] by its own kernel, [kh, kw, 1, c], to
// [n, oh, ow, c].
typedef struct {
  int64_t n, h, w, c; // the images
  int64_t oh, ow;     // the outputs
  int64_t kh, kw;     // the kernel
  int64_t stride;     // of rows and columns
  int64_t pt, pl;     // the padding above and to the left
} loupe_depthwise;

// loupe_convolve_depthwise computes the outputs. They do not depend on the number of threads. What lies outside of the
// images is left out of the sums. It returns NULL, or a constant text that says why there are none.
const char* loupe_convolve_depthwise(const loupe_depthwise* d, const float* images, const float* kernel, float* outputs,
                                     loupe_parallel* parallel, void* pool);

#endif
