//go:build !(linux && amd64)

package toolchain

import "context"

// Cells are linked in full here: see thin_linux_amd64.go.
const thin = false

func (t *Toolchain) linkThin(context.Context, string, Unit) error { panic("not reached") }
