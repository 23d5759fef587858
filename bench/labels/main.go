// Labels finds label issues for bench/labels/compare.py.
//
//	labels PROBABILITIES.npy LABELS.npy FILTER ROUNDS OUT.npy
//
// It prints three figures of each round: the seconds from opening the files to the ranked indices, which go to OUT.npy,
// the seconds of the processors, and the most memory so far in MB.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sbinet/npyio"

	"github.com/loupeml/loupe/bench/internal/usage"
	"github.com/loupeml/loupe/lib/labels"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("labels PROBABILITIES.npy LABELS.npy FILTER ROUNDS OUT.npy")
	}
	rounds, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	filters := map[string]labels.Filter{
		"prune_by_noise_rate": labels.PruneByNoiseRate, "prune_by_class": labels.PruneByClass, "both": labels.Both,
		"confident_learning":  labels.ConfidentLearning,
		"predicted_neq_given": labels.PredictedNotGiven, "low_self_confidence": labels.LowSelfConfidence,
		"low_normalized_margin": labels.LowNormalizedMargin,
	}
	filter, ok := filters[args[2]]
	if !ok {
		return fmt.Errorf("no filter is called %q", args[2])
	}
	var found []int
	for range rounds {
		start, busy := time.Now(), usage.Processors()
		if found, err = find(args[0], args[1], filter); err != nil {
			return err
		}
		fmt.Printf("%.4f %.4f %.1f\n", time.Since(start).Seconds(), usage.Processors()-busy, usage.Memory())
	}
	out, err := os.Create(args[4])
	if err != nil {
		return err
	}
	indices := make([]int64, len(found))
	for i, at := range found {
		indices[i] = int64(at)
	}
	if err := npyio.Write(out, indices); err != nil {
		return err
	}
	return out.Close()
}

func find(probabilities, given string, filter labels.Filter) ([]int, error) {
	p, err := labels.OpenProbabilities(probabilities)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	y, err := labels.ReadLabels(given)
	if err != nil {
		return nil, err
	}
	issues, err := labels.FindLabelIssues(p, y, labels.Options{Filter: filter})
	if err != nil {
		return nil, err
	}
	return issues.Indices(), nil
}
