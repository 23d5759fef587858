//go:build !(linux && amd64)

package xlaplugin

import (
	"context"
	"fmt"
	"runtime"
)

func installCUDA(context.Context, string) error {
	return fmt.Errorf("xlaplugin: XLA has CUDA for linux/amd64 only and this machine is %s/%s: leave --cuda out",
		runtime.GOOS, runtime.GOARCH)
}
