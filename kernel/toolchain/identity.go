package toolchain

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"os"
	"sync"
)

// identity names the executable that runs by what is in it: a plugin loads only into the very program that
// it was built against, and two builds of the same sources are the same program, wherever they lie.
var identity = sync.OnceValue(func() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if f, err := elf.Open(self); err == nil {
		defer f.Close()
		if note := f.Section(".note.go.buildid"); note != nil {
			if id, err := note.Data(); err == nil {
				return hex.EncodeToString(id)
			}
		}
	}
	f, err := os.Open(self)
	if err != nil {
		return ""
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
})
