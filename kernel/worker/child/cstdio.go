package child

/*
#include <stdio.h>

static void unbuffer(void) { setvbuf(stdout, NULL, _IONBF, 0); }
*/
import "C"

// unbuffer has C code write at once what it prints: C keeps it back where standard output is a pipe, until long after
// the cell.
func unbuffer() { C.unbuffer() }
