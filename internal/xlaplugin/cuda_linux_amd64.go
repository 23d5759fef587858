package xlaplugin

import (
	"context"

	"github.com/gomlx/go-xla/installer"
)

func installCUDA(ctx context.Context, folder string) error {
	const newest = "cuda13"
	err := answers(ctx, func() error {
		_, _, err := installer.CudaGetPJRTPipInfo(newest)
		return err
	})
	if err != nil {
		return err
	}
	return short(installer.CudaInstall(newest, "latest", folder, true, installer.Quiet))
}
