package ood

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

func TestDeceivingImagesAreThoseThatAModelIsSureOf(t *testing.T) {
	log := func(p ...float64) (z []float32) {
		for _, v := range p {
			z = append(z, float32(math.Log(v)+3))
		}
		return z
	}
	logits := tensors.FromFlatDataAndDimensions(slices.Concat(log(.9, .06, .04), log(.5, .3, .2), log(.1, .1, .8),
		log(.1, .79, .11)), 4, 3)
	for confidence, want := range map[float64][]int{.795: {0, 2}, .4: {0, 1, 2, 3}, .95: nil} {
		got, err := HighConfidence(logits, confidence)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("at %g: %v (%v), want %v", confidence, got, err, want)
		}
	}
	// Equal logits are equal shares, whatever they are: a share is as high as itself, and not as high as its neighbour.
	for k, share := range map[int]float64{2: 0.5, 3: 1. / 3, 4: 0.25, 7: 1. / 7} {
		for _, logit := range []float32{0, 0.1, 3.3, -17.7, 80} {
			equal := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{logit}, k), 1, k)
			for confidence, want := range map[float64][]int{share: {0}, math.Nextafter(share, 1): nil} {
				if got, err := HighConfidence(equal, confidence); err != nil || !slices.Equal(got, want) {
					t.Errorf("%d logits of %g at %v: %v (%v), want %v", k, logit, confidence, got, err, want)
				}
			}
			scores, err := Of(MaxSoftmax{}, equal)
			if err != nil || scores[0] != -share {
				t.Errorf("%d logits of %g have the score %v (%v), want %v", k, logit, scores, err, -share)
			}
		}
	}
	for want, call := range map[string]func() error{
		"a confidence of 0": func() error { _, err := HighConfidence(logits, 0); return err },
		"[N, K]":            func() error { _, err := HighConfidence(nil, .5); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}
