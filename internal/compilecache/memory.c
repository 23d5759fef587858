// XLA asks for the memory of a program's intermediate values anew at each call, one large piece by posix_memalign, and
// the system hands it out in pages of 4 KB, each at its first use: a sixth of a training step's time. In pages of 2 MB
// that is a twenty-fifth.
//
// So the process has this posix_memalign, which asks for such pages where a piece is large, and is the C library's
// otherwise. The plugin finds it because a program's own symbols come before those of its libraries.
#include <stdbool.h>
#include <stdlib.h>

#if defined(__linux__) && defined(__GLIBC__)
#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>

#define PAGE ((size_t)2 << 20)
#define LARGE (2 * PAGE) // from here on a piece begins with a page of its own

int posix_memalign(void** piece, size_t alignment, size_t size) {
  if (alignment == 0 || alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0) {
    return EINVAL;
  }
  bool large = size >= LARGE;
  void* at = memalign(large && alignment < PAGE ? PAGE : alignment, size);
  if (at == NULL) {
    return ENOMEM;
  }
  if (large) {
    (void)madvise(at, size / PAGE * PAGE, MADV_HUGEPAGE); // where the system has none, it stays as it is
  }
  *piece = at;
  return 0;
}
#endif
