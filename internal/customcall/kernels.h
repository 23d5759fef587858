// What the kernels share: the processor's vectors, and the threads that they run on.
#ifndef LOUPE_KERNELS_H
#define LOUPE_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

// loupe_parallel runs body(data, 0) to body(data, tasks-1), in any order and on any number of threads, and returns
// when all have ended. pool says where.
typedef void loupe_parallel(void* pool, int64_t tasks, void (*body)(void* data, int64_t task), void* data);

// loupe_vectors returns how many floats the processor's widest vectors hold for these kernels: 16 (AVX-512), 8 (AVX2
// and FMA), or 0 where there are no kernels for it.
int loupe_vectors(void);

// loupe_limit_vectors leaves wider vectors alone: a test of the narrower ones needs no other processor.
void loupe_limit_vectors(int floats);

#endif
