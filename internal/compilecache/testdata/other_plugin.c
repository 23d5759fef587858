// A PJRT plugin for the tests: the real one, which TEST_REAL_PLUGIN names, with another platform version.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "pjrt_c_api.h"

static PJRT_Error* version(PJRT_Client_PlatformVersion_Args* args) {
  args->platform_version = getenv("TEST_PLATFORM_VERSION");
  args->platform_version_size = strlen(args->platform_version);
  return NULL;
}

const PJRT_Api* GetPjrtApi(void) {
  static PJRT_Api table[2]; // longer than this header's, as a newer plugin's may be
  void* library = dlopen(getenv("TEST_REAL_PLUGIN"), RTLD_LAZY | RTLD_LOCAL);
  const PJRT_Api* (*get)(void) = (const PJRT_Api* (*)(void))dlsym(library, "GetPjrtApi");
  memcpy(table, get(), get()->struct_size);
  table->PJRT_Client_PlatformVersion = version;
  return table;
}

// padding makes another file of the same plugin.
const char padding[] = PADDING;
