//go:build !amd64

package pixels

func weightedSum(to, from []float32, at []int, weights []float32) (done int) { return 0 }

func fromUint8(to []float32, from []uint8) (done int) { return 0 }

func clamp(values []float32) (done int) { return 0 }

func extremes(values []float32) (low, high float32, done int) { return values[0], values[0], 0 }

func chamfer(row, before, two []int32, straight, diagonal, knight int32) (done int) { return 0 }
