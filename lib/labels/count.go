package labels

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// ConfidentJoint counts how many examples with each given label are confidently of each class.
type ConfidentJoint struct {
	Counts [][]int // [K][K], by given label and by class
	// [K], the mean probability of each class over the examples that have it as their label; 2 for a class that none has
	Thresholds []float64
	Examples   []int // [K], how many examples have each label
}

// EstimateJoint counts the confident joint. An example is confidently of the classes whose probability reaches their
// threshold
//
//	p_k >= t_k - 1e-6, t_k = mean of p_k over the examples labelled k, at least 2e-6
//
// where there are several, of the most likely of all classes. Examples that are confidently of none are not counted; a
// class's own count is at least 1. given are the labels, 0 to K-1, one for each example. Northcutt et al. 2021 (JAIR),
// section 3.1 and equation 1.
func EstimateJoint(p Probabilities, given []int) (*ConfidentJoint, error) {
	s, err := scan(p, given)
	if err != nil {
		return nil, err
	}
	return s.joint(), nil
}

// joint counts.
func (s *scanned) joint() *ConfidentJoint {
	c := &ConfidentJoint{Counts: square[int](s.k), Thresholds: s.thresholds, Examples: s.counts()}
	for i, j := range s.confident {
		if j >= 0 {
			c.Counts[s.given[i]][j]++
		}
	}
	for k := range c.Counts {
		c.Counts[k][k] = max(c.Counts[k][k], 1)
	}
	return c
}

func square[T any](k int) [][]T {
	flat := make([]T, k*k)
	rows := make([][]T, k)
	for i := range rows {
		rows[i] = flat[i*k : (i+1)*k : (i+1)*k]
	}
	return rows
}

// mostJoint is how many classes a joint may be of: its tables have the square of it.
const mostJoint = 10_000

// tiny is what stands for 0 below a fraction line.
const tiny = 1e-100

// Calibrated is the joint scaled so that each row sums to the number of examples with its label: the estimate of how
// many examples with each given label are of each class, [K][K]. It is rounded so that the rows keep their sums.
// Northcutt et al. 2021 (JAIR), equation 3.
func (c *ConfidentJoint) Calibrated() [][]int {
	k := len(c.Counts)
	scaled := square[float64](k)
	n := 0
	for i, row := range c.Counts {
		sum := 0
		for _, v := range row {
			sum += v
		}
		n += c.Examples[i]
		for j, v := range row {
			scaled[i][j] = float64(v) / max(float64(sum), tiny) * float64(c.Examples[i])
		}
	}
	// column by column, as it lies in cleanlab's memory
	all := max(pairwise(k*k, func(at int) float64 { return scaled[at%k][at/k] }), tiny)
	out := make([][]int, k)
	for i, row := range scaled {
		for j := range row {
			row[j] = row[j] / all * float64(n)
		}
		out[i] = roundKeepingSum(row)
	}
	return out
}

// roundKeepingSum rounds values so that they sum to their rounded sum: those that rounding changed most are rounded the
// other way.
func roundKeepingSum(values []float64) []int {
	want := math.RoundToEven(pairwise(len(values), func(i int) float64 { return values[i] }))
	out := make([]int, len(values))
	have := 0
	for i, v := range values {
		out[i] = int(math.RoundToEven(v))
		have += out[i]
	}
	for have != int(want) {
		step := 1
		if float64(have) > want {
			step = -1
		}
		order := make([]int, len(values))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(values[a]-float64(out[a]), values[b]-float64(out[b]))
		})
		if step > 0 {
			slices.Reverse(order)
		}
		for _, i := range order[:min(max(have-int(want), int(want)-have), len(order))] {
			out[i] += step
			have += step
		}
	}
	return out
}

// Joint is the estimated joint distribution of given labels and true classes, [K, K]: the calibrated counts as shares
// of all examples.
func (c *ConfidentJoint) Joint() *mat.Dense {
	counts := c.Calibrated()
	all := 0
	for _, row := range counts {
		for _, v := range row {
			all += v
		}
	}
	joint := mat.NewDense(len(counts), len(counts), nil)
	for i, row := range counts {
		for j, v := range row {
			joint.Set(i, j, float64(v)/max(float64(all), tiny))
		}
	}
	return joint
}

// Errors is how many examples the calibrated joint has off its diagonal: the estimate of how many labels are wrong.
func (c *ConfidentJoint) Errors() int {
	wrong := 0
	for i, row := range c.Calibrated() {
		for j, v := range row {
			if i != j {
				wrong += v
			}
		}
	}
	return wrong
}

// uncalibratedErrors is that share of all examples which the joint has off its diagonal as it is counted, rounded down.
func (c *ConfidentJoint) uncalibratedErrors() int {
	all, right, n := 0, 0, 0
	for i, row := range c.Counts {
		for _, v := range row {
			all += v
		}
		right += row[i]
		n += c.Examples[i]
	}
	return (all - right) * n / all
}

func (c *ConfidentJoint) check(k int) error {
	if len(c.Counts) != k || len(c.Examples) != k {
		return fmt.Errorf("labels: the joint is of %d classes, and the probabilities of %d", len(c.Counts), k)
	}
	for i, row := range c.Counts {
		if len(row) != k {
			return fmt.Errorf("labels: row %d of the joint has %d counts for %d classes", i, len(row), k)
		}
		for j, v := range row {
			if v < 0 {
				return fmt.Errorf("labels: the joint counts %d examples labelled %d of class %d", v, i, j)
			}
		}
	}
	return nil
}
