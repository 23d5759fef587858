// Package customcall puts kernels of loupe's in the place of what XLA's CPU compiler is slow at. One is the gradient of
// a convolution by its kernel, where most of a training step's time goes: kernelgradient.c takes a fifth to a tenth of
// XLA's time. The other are convolutions, and their gradients by the images, where channels are few or strides spread
// the gradient out: convolution.c takes a seventh to a half. And batch and group normalisation in training: norm.c
// takes two passes where XLA takes some ten. Depthwise convolutions, of which XLA has none, are depthwise.c.
// Convolutions of many channels, of kernels of one pixel, and in groups stay XLA's.
//
// A program reaches the plugin as StableHLO text. [Rewrite] writes custom calls in the place of these, and of
// calls of functions that are named by [ByExample], [Norm] and [Depthwise], and XLA calls the handlers that [Register]
// has made known to the plugin (handler.c), on threads of its own.
package customcall

/*
#cgo CFLAGS: -O3
#cgo LDFLAGS: -lpthread -lm
#include <stdlib.h>
#include "handler.h"
#include "kernels.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"
)

// Variable names the switch in the environment: LOUPE_XLA_PLAIN=1 leaves everything to XLA.
const Variable = "LOUPE_XLA_PLAIN"

// Targets are the names of the custom calls. Their numbers change whenever a call's arguments or its results do:
// compiled programs that are kept know nothing else of the kernels.
var Targets = append(append([]string{target, exampleTarget, convolutionTarget}, normTargets[:]...), depthwiseTarget)

const (
	target            = "loupe_kernel_gradient_1"
	exampleTarget     = "loupe_example_gradients_2"
	convolutionTarget = "loupe_convolution_1"
	depthwiseTarget   = "loupe_depthwise_1"
)

var normTargets = [...]string{Moments: "loupe_moments_1", Normalised: "loupe_normalised_1",
	NormGradient: "loupe_norm_gradient_1"}

// Plain says why everything is left to XLA; it is empty where loupe's kernels are used. The error is that [Variable]
// is not understood.
func Plain() (why string, err error) {
	switch value := os.Getenv(Variable); {
	case value == "1":
		return "switched off by " + Variable + "=1", nil
	case value != "" && value != "0":
		return "", fmt.Errorf("%s is %q: it is 1 to leave everything to XLA, or 0", Variable, value)
	case C.loupe_vectors() == 0:
		return "this processor has neither AVX-512 nor AVX2, for which loupe's kernels are written", nil
	}
	return "", nil
}

// Vectors names the processor's vectors that the kernels use.
func Vectors() string { return map[C.int]string{8: "AVX2", 16: "AVX-512"}[C.loupe_vectors()] }

// limitVectors leaves vectors of more floats alone, in tests.
func limitVectors(floats int) { C.loupe_limit_vectors(C.int(floats)) }

// Register makes the custom calls known to a plugin. table is its PJRT_Api.
func Register(table unsafe.Pointer) error {
	var names [C.LOUPE_HANDLERS]*C.char
	for i, name := range Targets {
		names[i] = C.CString(name) // XLA may keep them
	}
	if why := C.loupe_register(table, &names[0]); why != nil {
		defer C.free(unsafe.Pointer(why))
		return errors.New(C.GoString(why))
	}
	return nil
}
