// The thin plugin in front of a PJRT plugin: its whole table, with a compile function of loupe's own. See front.c.
#ifndef LOUPE_FRONT_H
#define LOUPE_FRONT_H

#include "pjrt_c_api.h"

// loupe_memory gives the plugin another way to large pieces of memory (memory.c).
void loupe_memory(void* library);

// loupe_trim gives back memory that the C library has no use for.
void loupe_trim(void);

// loupe_open loads the plugin file and returns its table, or NULL and why in *error, which the caller frees.
const PJRT_Api* loupe_open(const char* path, char** error);

// loupe_front returns a copy of the whole table in which programs are compiled by loupeCompile (compile.go), or NULL and
// why in *error, which the caller frees.
const PJRT_Api* loupe_front(const PJRT_Api* real, char** error);

// The plugin's own functions, as plain calls. Each returns NULL, or a message that the caller frees.
PJRT_Error* loupe_compile(const PJRT_Api* real, PJRT_Client_Compile_Args* args);
char* loupe_load(const PJRT_Api* real, PJRT_Client* client, const char* bytes, size_t size, PJRT_LoadedExecutable** program);
char* loupe_serialize(const PJRT_Api* real, PJRT_LoadedExecutable* program, PJRT_Executable_Serialize_Args* out,
                      PJRT_Executable** holder);
void loupe_serialized_free(const PJRT_Api* real, PJRT_Executable_Serialize_Args* out, PJRT_Executable* holder);
char* loupe_platform(const PJRT_Api* real, PJRT_Client* client, PJRT_Client_PlatformName_Args* name,
                     PJRT_Client_PlatformVersion_Args* version);
char* loupe_devices(const PJRT_Api* real, PJRT_Client* client, PJRT_Device* const** devices, size_t* count);
char* loupe_device(const PJRT_Api* real, PJRT_Device* device, PJRT_DeviceDescription_Kind_Args* kind,
                   PJRT_DeviceDescription_DebugString_Args* description);

#endif
