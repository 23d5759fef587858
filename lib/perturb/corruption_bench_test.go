package perturb

import (
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sys/unix"

	"github.com/loupeml/loupe/internal/testenv"
)

// BenchmarkCorruption is one photograph of 224 x 224 pixels in 8 bits at severity 3, from tensor to tensor. Other work
// on the machine tells less on the processors' time than on the time of day.
func BenchmarkCorruption(b *testing.B) {
	images := tensors.FromFlatDataAndDimensions(read[uint8](b, "photograph"), 1, 224, 224, 3)
	for _, c := range Corruptions() {
		c.Benchmark = ImageCorruptions
		b.Run(c.Name, func(b *testing.B) {
			if c.ready != nil {
				testenv.Asset(b, frostAsset)
			}
			b.ReportAllocs()
			before := processors(b)
			for b.Loop() {
				if _, err := c.Apply(images, 3, 0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processors(b)-before).Microseconds())/float64(b.N), "processor-µs/op")
		})
	}
}

// processors is the time on processors that the process has used.
func processors(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
