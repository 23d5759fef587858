// The gradient of a convolution by its kernel, in single precision. See kernelgradient.c.
#ifndef LOUPE_KERNELGRADIENT_H
#define LOUPE_KERNELGRADIENT_H

#include "kernels.h"

// geometry describes a convolution of images [n, h, w, ci] with a kernel [kh, kw, ci, co] to [n, oh, ow, co].
typedef struct {
  int64_t n, h, w, ci;     // the images
  int64_t oh, ow, co;      // the outputs
  int64_t kh, kw;          // the kernel
  int64_t sh, sw;          // its strides
  int64_t dh, dw;          // its dilations
  int64_t pt, pl;          // the padding above and to the left
} loupe_geometry;

// loupe_kernel_gradient computes gradient [kh, kw, ci, co] from the images and the gradient by the outputs. The result
// does not depend on the number of threads. It returns NULL, or a constant text that says why there is no result.
const char* loupe_kernel_gradient(const loupe_geometry* g, const float* images, const float* outputs, float* gradient,
                                  loupe_parallel* parallel, void* pool);

// The same for images that are of so many examples, as many images to each, one example behind the other; examples divides
// the number of images. loupe_weighted_gradient computes the sum of the examples' gradients, each times a factor.
const char* loupe_weighted_gradient(const loupe_geometry* g, int64_t examples, const float* factors, const float* images,
                                    const float* outputs, float* gradient, loupe_parallel* parallel, void* pool);

// loupe_example_gradients computes each: [examples, kh, kw, ci, co], or, with squares, the sum of the squares of an
// example's gradient, [examples], for which the gradients are never all in memory.
const char* loupe_example_gradients(const loupe_geometry* g, int64_t examples, bool squares, const float* images,
                                    const float* outputs, float* each, loupe_parallel* parallel, void* pool);

#endif
