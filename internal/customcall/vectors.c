#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
static int widest = 16;

void loupe_limit_vectors(int floats) { __atomic_store_n(&widest, floats, __ATOMIC_RELAXED); }

int loupe_vectors(void) {
  int limit = __atomic_load_n(&widest, __ATOMIC_RELAXED);
  __builtin_cpu_init();
  if (limit >= 16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) {
    return 16;
  }
  return limit >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 8 : 0;
}
#else
void loupe_limit_vectors(int floats) { (void)floats; }

int loupe_vectors(void) { return 0; }
#endif
