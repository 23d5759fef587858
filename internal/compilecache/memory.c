// XLA asks for the memory of a program's intermediate values anew at each call, as one large piece, and gives it back at
// the end. The system hands it out in pages of 4 KB, each cleared at its first use: a sixth to a quarter of a training
// step's time.
//
// So the plugin gets a posix_memalign and a free of loupe's. Large pieces have pages of 2 MB, and what is given back is kept
// for the next call that wants as much. The system may take it in the meantime (MADV_FREE). Nothing is kept beside a piece in
// use that is as large, which a call that waits has and has not touched yet; and what is kept and what is in use together are
// never much more than what was in use at once before.
//
// The plugin's own are found by the names in its table of what it takes from other libraries. Where they are not found, or the
// system is another one, or LOUPE_XLA_PLAIN is 1, all stays as it is.
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "front.h"

#if defined(__GLIBC__)
#include <malloc.h>

void loupe_trim(void) { malloc_trim(0); }
#else
void loupe_trim(void) {}
#endif

#if defined(__linux__) && defined(__x86_64__)
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)2 << 20)
#define LARGE (2 * PAGE)                // a piece of less is the C library's
#define KEPT ((size_t)512 << 20)        // so much is kept at most
#define PIECES 64                       // and so many are known

typedef struct {
  void* at; // NULL for none
  size_t size;
  bool used;
} piece;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static piece pieces[PIECES];
static size_t used, kept, most; // bytes, and the most that were used at once

static int (*real_memalign)(void**, size_t, size_t);
static void (*real_free)(void*);

// beside tells whether a piece that is as large is in use.
static bool beside(const piece* of) {
  for (const piece* p = pieces; p < pieces + PIECES; p++) {
    if (p != of && p->at != NULL && p->used && p->size >= of->size / 2) {
      return true;
    }
  }
  return false;
}

static void drop(piece* p) { // with the lock held, one that is kept
  munmap(p->at, p->size);
  kept -= p->size;
  p->at = NULL;
}

// shrink gives kept pieces back, the largest first, until there is room for more bytes.
static void shrink(size_t more) {
  while (kept > 0 && (kept > KEPT || used + kept + more > most + most / 4)) {
    piece* largest = NULL;
    for (piece* p = pieces; p < pieces + PIECES; p++) {
      if (p->at != NULL && !p->used && (largest == NULL || p->size > largest->size)) {
        largest = p;
      }
    }
    drop(largest);
  }
}

// mapped is new memory that begins with a page of its own.
static void* mapped(size_t size) {
  char* at = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    return NULL;
  }
  size_t before = (PAGE - (uintptr_t)at % PAGE) % PAGE;
  if (before > 0) {
    munmap(at, before);
  }
  munmap(at + before + size, PAGE - before);
  (void)madvise(at + before, size, MADV_HUGEPAGE); // where the system has none, it stays as it is
  return at + before;
}

static void* taken(size_t size) { // with the lock held
  piece *best = NULL, *none = NULL;
  for (piece* p = pieces; p < pieces + PIECES; p++) {
    if (p->at == NULL) {
      none = p;
    } else if (!p->used && p->size >= size && p->size - size <= size / 8 && (best == NULL || p->size < best->size)) {
      best = p;
    }
  }
  if (best != NULL) {
    kept -= best->size;
  } else if (none != NULL) {
    most = used + size > most ? used + size : most;
    shrink(size);
    void* at = mapped(size);
    if (at == NULL) {
      return NULL;
    }
    best = none;
    *best = (piece){.at = at, .size = size};
  } else {
    return NULL;
  }
  best->used = true;
  used += best->size;
  return best->at;
}

static int our_memalign(void** to, size_t alignment, size_t size) {
  if (size >= LARGE && size < SIZE_MAX / 2 && alignment <= PAGE) {
    pthread_mutex_lock(&lock);
    void* at = taken((size + PAGE - 1) / PAGE * PAGE);
    pthread_mutex_unlock(&lock);
    if (at != NULL) {
      *to = at;
      return 0;
    }
  }
  return real_memalign(to, alignment, size);
}

static void our_free(void* at) {
  if (at != NULL && (uintptr_t)at % PAGE == 0) {
    pthread_mutex_lock(&lock);
    for (piece* p = pieces; p < pieces + PIECES; p++) {
      if (p->at == at && p->used) {
        p->used = false;
        used -= p->size;
        kept += p->size;
        if (beside(p)) {
          drop(p);
        } else {
          (void)madvise(at, p->size, MADV_FREE);
          shrink(0);
        }
        pthread_mutex_unlock(&lock);
        return;
      }
    }
    pthread_mutex_unlock(&lock);
  }
  real_free(at);
}

// put puts a function in the place of one that a library takes from others, and returns that one; NULL if it takes none of
// that name.
static void* put(const struct link_map* library, const char* name, void* function) {
  const ElfW(Sym)* symbols = NULL;
  const char* names = NULL;
  const ElfW(Rela)* tables[2] = {NULL, NULL};
  size_t sizes[2] = {0, 0};
  for (const ElfW(Dyn)* d = library->l_ld; d->d_tag != DT_NULL; d++) {
    switch (d->d_tag) {
      case DT_SYMTAB: symbols = (const void*)d->d_un.d_ptr; break;
      case DT_STRTAB: names = (const void*)d->d_un.d_ptr; break;
      case DT_JMPREL: tables[0] = (const void*)d->d_un.d_ptr; break;
      case DT_PLTRELSZ: sizes[0] = d->d_un.d_val; break;
      case DT_RELA: tables[1] = (const void*)d->d_un.d_ptr; break;
      case DT_RELASZ: sizes[1] = d->d_un.d_val; break;
    }
  }
  void* was = NULL;
  for (int t = 0; t < 2 && symbols != NULL && names != NULL; t++) {
    for (const ElfW(Rela)* r = tables[t]; r != NULL && r < tables[t] + sizes[t] / sizeof *r; r++) {
      size_t kind = ELF64_R_TYPE(r->r_info), symbol = ELF64_R_SYM(r->r_info);
      if ((kind != R_X86_64_JUMP_SLOT && kind != R_X86_64_GLOB_DAT) || strcmp(names + symbols[symbol].st_name, name) != 0) {
        continue;
      }
      void** slot = (void**)(library->l_addr + r->r_offset);
      uintptr_t page = (uintptr_t)slot / (uintptr_t)getpagesize() * (uintptr_t)getpagesize();
      if (mprotect((void*)page, (size_t)getpagesize(), PROT_READ | PROT_WRITE) != 0) {
        continue;
      }
      was = *slot;
      *slot = function;
    }
  }
  return was;
}

void loupe_memory(void* library) {
  static bool done;
  struct link_map* map = NULL;
  const char* plain = getenv("LOUPE_XLA_PLAIN");
  if (plain != NULL && strcmp(plain, "1") == 0) {
    return;
  }
  if (done || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) {
    return;
  }
  done = true;
  // Until there is a free of loupe's there are no pieces of loupe's. Both have the C library's to fall back on at once.
  *(void**)&real_free = dlsym(RTLD_DEFAULT, "free");
  *(void**)&real_memalign = dlsym(RTLD_DEFAULT, "posix_memalign");
  if (real_free != NULL && real_memalign != NULL && put(map, "free", (void*)our_free) != NULL) {
    put(map, "posix_memalign", (void*)our_memalign);
  }
}
#else
void loupe_memory(void* library) { (void)library; }
#endif
