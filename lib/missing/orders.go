package missing

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Order is the order in which a network's segments of images go when how takes them away: [ByChance], [LeastSalient]
// and [LIME.First] are some. seed is for those that draw.
type Order func(m *model.Model, images *tensors.Tensor, segments *Segments, how Approximation,
	seed uint64) ([][]int, error)

// ByChance is the [Order] of [Segments.RandomOrders].
func ByChance(_ *model.Model, images *tensors.Tensor, segments *Segments, _ Approximation,
	seed uint64) ([][]int, error) {
	if err := segments.check(images); err != nil {
		return nil, err
	}
	return segments.RandomOrders(seed), nil
}

// LeastSalient is the [Order] from the least salient segment to the most, by the mean of a method's heatmap, for the
// class that the network predicts, in each. The method is one of lib/attrib, or any other that gives heatmaps, [N, H,
// W] float32. Jain et al., ICLR 2022, section 3.
func LeastSalient[A interface {
	Heatmap(...R) (*tensors.Tensor, error)
}, R any](method interface {
	Attribute(m *model.Model, images *tensors.Tensor, classes []int) (A, error)
}) Order {
	return func(m *model.Model, images *tensors.Tensor, segments *Segments, _ Approximation, _ uint64) ([][]int, error) {
		if method == nil {
			return nil, fmt.Errorf("missing: there is no method to tell what is salient: it is nil")
		}
		if err := segments.check(images); err != nil {
			return nil, err
		}
		a, err := method.Attribute(m, images, nil)
		if err != nil {
			return nil, err
		}
		heatmaps, err := a.Heatmap()
		if err != nil {
			return nil, err
		}
		orders, err := segments.SalientOrders(heatmaps)
		return Reversed(orders), err
	}
}

// First is the [Order] of the explanations, from the segment that speaks most for the predicted class to the one that
// speaks most against it. They are made with How, or if it is nil in the way in which the segments go; with Seed, or if
// it is 0 with the order's.
func (l LIME) First(m *model.Model, images *tensors.Tensor, segments *Segments, how Approximation,
	seed uint64) ([][]int, error) {
	if l.How == nil {
		l.How = how
	}
	if l.Seed == 0 {
		l.Seed = seed
	}
	e, err := l.Explain(m, images, segments)
	if err != nil {
		return nil, err
	}
	return e.Orders(), nil
}

// RandomOrders shuffles each image's segments.
func (s *Segments) RandomOrders(seed uint64) [][]int {
	orders := make([][]int, s.Len())
	for i, count := range s.Counts {
		orders[i] = rand.New(rand.NewPCG(seed, uint64(i))).Perm(count)
	}
	return orders
}

// SalientOrders sorts each image's segments by the mean of a heatmap, [N, H, W] float32, in them, the largest first.
func (s *Segments) SalientOrders(heatmaps *tensors.Tensor) ([][]int, error) {
	means, err := s.Means(heatmaps)
	if err != nil {
		return nil, err
	}
	orders := make([][]int, len(means))
	for i, m := range means {
		orders[i] = descending(m)
	}
	return orders, nil
}

// Reversed turns orders round: from the most salient first to the least.
func Reversed(orders [][]int) [][]int {
	reversed := make([][]int, len(orders))
	for i, order := range orders {
		reversed[i] = slices.Clone(order)
		slices.Reverse(reversed[i])
	}
	return reversed
}

// checkOrders returns an error unless there is an order for each image, without repetition, that reaches as far as
// count or the image's last segment.
func (s *Segments) checkOrders(orders [][]int, count int) error {
	if len(orders) != s.Len() {
		return fmt.Errorf("missing: %d orders for %d images", len(orders), s.Len())
	}
	if count < 0 {
		return fmt.Errorf("missing: %d segments cannot go", count)
	}
	for i, order := range orders {
		if len(order) < min(count, s.Counts[i]) {
			return fmt.Errorf("missing: the order of image %d ends after %d of its %d segments, and %d are to go", i, len(order),
				s.Counts[i], count)
		}
		seen := make([]bool, s.Counts[i])
		for _, segment := range order {
			if segment < 0 || segment >= len(seen) {
				return fmt.Errorf("missing: the order of image %d names segment %d, and it has the segments 0 to %d", i, segment,
					len(seen)-1)
			}
			if seen[segment] {
				return fmt.Errorf("missing: the order of image %d names segment %d twice", i, segment)
			}
			seen[segment] = true
		}
	}
	return nil
}
