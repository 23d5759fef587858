//go:build !linux

package toolchain

// touched says when a file was changed last: here it is not known.
func touched(string) touch { return touch{} }
