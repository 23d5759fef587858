// A convolution, in single precision. See convolution.c.
#ifndef LOUPE_CONVOLUTION_H
#define LOUPE_CONVOLUTION_H

#include "kernels.h"

#define LOUPE_SIDE 32  // a kernel's height and width at most
#define LOUPE_SPREAD 4 // images are spread out so far at most

// loupe_convolution describes a convolution of images [n, h, w, ci] with a kernel [kh, kw, ci, co] to [n, oh, ow, co].
typedef struct {
  int64_t n, h, w, ci; // the images
  int64_t oh, ow, co;  // the outputs
  int64_t kh, kw;      // the kernel
  int64_t sh, sw;      // its strides
  int64_t dh, dw;      // its dilations
  int64_t lh, lw;      // how far apart the images' pixels are spread out, with zeros between: not along with strides
  int64_t pt, pl;      // the padding above and to the left, which may be negative
  bool exchanged;      // the kernel is [kh, kw, co, ci]
} loupe_convolution;

// loupe_convolve computes the outputs. They do not depend on the number of threads. The border's zeros are numbers like
// others: NaNs and infinities of the kernel make NaN of them, as XLA's convolutions do where images are not spread out
// (where they are, XLA leaves the border out). The zeros between pixels that are spread out are left out. It returns NULL, or a constant text
// that says why there are none.
const char* loupe_convolve(const loupe_convolution* c, const float* images, const float* kernel, float* outputs,
                           loupe_parallel* parallel, void* pool);

#endif
