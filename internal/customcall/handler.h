// What XLA calls: custom calls as typed FFI handlers. See handler.c.
#ifndef LOUPE_HANDLER_H
#define LOUPE_HANDLER_H

#define LOUPE_HANDLERS 7

// loupe_register makes the custom calls known to a plugin, whose table (PJRT_Api) this is, by the names given: the
// gradient of a convolution by its kernel, that of each example, convolutions, moments, normalised values, the
// gradients of these, and depthwise convolutions. It returns NULL, or why the plugin does not take them, which the caller
// frees.
char* loupe_register(const void* table, char* const names[LOUPE_HANDLERS]);

#endif
