// A thin plugin: what stands between GoMLX and the PJRT plugin that compiles and runs programs. It hands on the plugin's whole
// table of functions, of whatever version, and puts its own in the place of one: PJRT_Client_Compile, which goes to Go
// (compile.go). What is here besides turns the calls that Go needs into plain ones.
#include "front.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

// ARGS starts a struct of arguments as PJRT wants it: zero, with its size.
#define ARGS(type, name) \
  type name;             \
  memset(&name, 0, sizeof name); \
  name.struct_size = type##_STRUCT_SIZE

static char* copied(const char* text, size_t size) {
  char* copy = malloc(size + 1);
  if (copy != NULL) {
    memcpy(copy, text, size);
    copy[size] = 0;
  }
  return copy;
}

// message takes the text out of an error and gives the error back; NULL stays NULL.
static char* message(const PJRT_Api* real, PJRT_Error* error) {
  if (error == NULL) {
    return NULL;
  }
  ARGS(PJRT_Error_Message_Args, m);
  m.error = error;
  real->PJRT_Error_Message(&m);
  char* text = copied(m.message, m.message_size);
  ARGS(PJRT_Error_Destroy_Args, d);
  d.error = error;
  real->PJRT_Error_Destroy(&d);
  return text;
}

const PJRT_Api* loupe_open(const char* path, char** error) {
  // As go-xla opens it. A plugin that is open already comes back as the same one.
  void* library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  const PJRT_Api* (*get)(void) = NULL;
  if (library != NULL) {
    *(void**)&get = dlsym(library, "GetPjrtApi");
  }
  if (get == NULL) {
    const char* why = dlerror();
    why = why != NULL ? why : "it has no GetPjrtApi";
    *error = copied(why, strlen(why));
    return NULL;
  }
  loupe_memory(library);
  const PJRT_Api* real = get();
  if (real == NULL) {
    static const char none[] = "GetPjrtApi returns no table";
    *error = copied(none, sizeof none - 1);
  }
  return real;
}

// initialized takes the place of PJRT_Plugin_Initialize, which may run only once: go-xla has called the plugin's own.
static PJRT_Error* initialized(PJRT_Plugin_Initialize_Args* args) {
  (void)args;
  return NULL;
}

static PJRT_Error* compile(PJRT_Client_Compile_Args* args) { return loupeCompile(args); }

// HAS tells whether a table of that size has a function, and the function is there.
#define HAS(real, function) \
  ((real)->struct_size >= offsetof(PJRT_Api, function) + sizeof((real)->function) && (real)->function != NULL)

const PJRT_Api* loupe_front(const PJRT_Api* real, char** error) {
  if (real->pjrt_api_version.major_version != PJRT_API_MAJOR) {
    static const char other[] = "it speaks another version of PJRT";
    *error = copied(other, sizeof other - 1);
    return NULL;
  }
  if (!HAS(real, PJRT_Client_Compile) || !HAS(real, PJRT_Executable_DeserializeAndLoad) ||
      !HAS(real, PJRT_Executable_Serialize) || !HAS(real, PJRT_LoadedExecutable_GetExecutable) ||
      !HAS(real, PJRT_Executable_Destroy) || !HAS(real, PJRT_Client_PlatformName) ||
      !HAS(real, PJRT_Client_PlatformVersion) || !HAS(real, PJRT_Client_AddressableDevices) ||
      !HAS(real, PJRT_Device_GetDescription) || !HAS(real, PJRT_DeviceDescription_Kind) ||
      !HAS(real, PJRT_DeviceDescription_DebugString)) {
    static const char lacks[] = "it lacks a function for saving and loading programs";
    *error = copied(lacks, sizeof lacks - 1);
    return NULL;
  }
  // The table may be longer than the one that this file knows: a newer plugin's functions are handed on as well.
  PJRT_Api* front = malloc(real->struct_size > sizeof *front ? real->struct_size : sizeof *front);
  if (front == NULL) {
    static const char memory[] = "no memory";
    *error = copied(memory, sizeof memory - 1);
    return NULL;
  }
  memset(front, 0, sizeof *front);
  memcpy(front, real, real->struct_size);
  front->PJRT_Plugin_Initialize = initialized;
  front->PJRT_Client_Compile = compile;
  return front;
}

PJRT_Error* loupe_compile(const PJRT_Api* real, PJRT_Client_Compile_Args* args) { return real->PJRT_Client_Compile(args); }

char* loupe_load(const PJRT_Api* real, PJRT_Client* client, const char* bytes, size_t size, PJRT_LoadedExecutable** program) {
  ARGS(PJRT_Executable_DeserializeAndLoad_Args, a);
  a.client = client;
  a.serialized_executable = bytes;
  a.serialized_executable_size = size;
  PJRT_Error* error = real->PJRT_Executable_DeserializeAndLoad(&a);
  *program = a.loaded_executable;
  return message(real, error);
}

char* loupe_serialize(const PJRT_Api* real, PJRT_LoadedExecutable* program, PJRT_Executable_Serialize_Args* out,
                      PJRT_Executable** holder) {
  ARGS(PJRT_LoadedExecutable_GetExecutable_Args, g);
  g.loaded_executable = program;
  char* failed = message(real, real->PJRT_LoadedExecutable_GetExecutable(&g));
  if (failed != NULL) {
    return failed;
  }
  memset(out, 0, sizeof *out);
  out->struct_size = PJRT_Executable_Serialize_Args_STRUCT_SIZE;
  out->executable = g.executable;
  failed = message(real, real->PJRT_Executable_Serialize(out));
  *holder = g.executable;
  if (failed != NULL) {
    out->serialized_executable_deleter = NULL;
    loupe_serialized_free(real, out, g.executable);
  }
  return failed;
}

void loupe_serialized_free(const PJRT_Api* real, PJRT_Executable_Serialize_Args* out, PJRT_Executable* holder) {
  if (out->serialized_executable_deleter != NULL) {
    out->serialized_executable_deleter(out->serialized_executable);
  }
  ARGS(PJRT_Executable_Destroy_Args, d);
  d.executable = holder;
  free(message(real, real->PJRT_Executable_Destroy(&d)));
}

char* loupe_platform(const PJRT_Api* real, PJRT_Client* client, PJRT_Client_PlatformName_Args* name,
                     PJRT_Client_PlatformVersion_Args* version) {
  memset(name, 0, sizeof *name);
  name->struct_size = PJRT_Client_PlatformName_Args_STRUCT_SIZE;
  name->client = client;
  char* failed = message(real, real->PJRT_Client_PlatformName(name));
  if (failed != NULL) {
    return failed;
  }
  memset(version, 0, sizeof *version);
  version->struct_size = PJRT_Client_PlatformVersion_Args_STRUCT_SIZE;
  version->client = client;
  return message(real, real->PJRT_Client_PlatformVersion(version));
}

char* loupe_devices(const PJRT_Api* real, PJRT_Client* client, PJRT_Device* const** devices, size_t* count) {
  ARGS(PJRT_Client_AddressableDevices_Args, a);
  a.client = client;
  char* failed = message(real, real->PJRT_Client_AddressableDevices(&a));
  *devices = a.addressable_devices;
  *count = a.num_addressable_devices;
  return failed;
}

char* loupe_device(const PJRT_Api* real, PJRT_Device* device, PJRT_DeviceDescription_Kind_Args* kind,
                   PJRT_DeviceDescription_DebugString_Args* description) {
  ARGS(PJRT_Device_GetDescription_Args, g);
  g.device = device;
  char* failed = message(real, real->PJRT_Device_GetDescription(&g));
  if (failed != NULL) {
    return failed;
  }
  memset(kind, 0, sizeof *kind);
  kind->struct_size = PJRT_DeviceDescription_Kind_Args_STRUCT_SIZE;
  kind->device_description = g.device_description;
  failed = message(real, real->PJRT_DeviceDescription_Kind(kind));
  if (failed != NULL) {
    return failed;
  }
  memset(description, 0, sizeof *description);
  description->struct_size = PJRT_DeviceDescription_DebugString_Args_STRUCT_SIZE;
  description->device_description = g.device_description;
  return message(real, real->PJRT_DeviceDescription_DebugString(description));
}
