package augment

import (
	"cmp"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
)

// Sheet shows what is drawn from on some images, [N, H, W, C]: a row of the images, one for each operation at its
// highest level, and rows of so many mixtures, of the seeds 0, 1, …
func (a AugMix) Sheet(images *tensors.Tensor, mixtures int) (display.Grid, error) {
	rows := []display.Row{{Label: "images", Images: images}}
	operations := a.Operations
	if operations == nil {
		operations = Operations()
	}
	for _, o := range operations {
		changed, err := o.Apply(images, cmp.Or(a.Severity, 3), 1)
		if err != nil {
			return display.Grid{}, err
		}
		rows = append(rows, display.Row{Label: o.Name, Images: changed})
	}
	for seed := range mixtures {
		mixed, err := a.Apply(images, uint64(seed))
		if err != nil {
			return display.Grid{}, err
		}
		rows = append(rows, display.Row{Label: "AugMix", Images: mixed})
	}
	return display.RowsOf(0, rows...), nil
}

// Sheet shows what is drawn from on some images, [N, H, W, C]: a row of the images, one of what the network in order
// gives back, one for each distortion by itself, and rows of so many draws from all, of the seeds 0, 1, … Distortions
// that are nil are all of the released programs for the autoencoder, also the one that is never drawn there.
func (d DeepAugment) Sheet(images *tensors.Tensor, draws int) (display.Grid, error) {
	back, err := d.Network.Reconstruct(images)
	if err != nil {
		return display.Grid{}, err
	}
	rows := []display.Row{{Label: "images", Images: images}, {Label: "autoencoder", Images: back}}
	distortions := d.Distortions
	if distortions == nil {
		distortions = append(WeightDistortions(), CodeDistortions()...)
	}
	for _, one := range distortions {
		alone := d
		alone.Distortions = []Distortion{one}
		changed, err := alone.Apply(images, 1)
		if err != nil {
			return display.Grid{}, err
		}
		rows = append(rows, display.Row{Label: one.Name, Images: changed})
	}
	for seed := range draws {
		drawn, err := d.Apply(images, uint64(seed))
		if err != nil {
			return display.Grid{}, err
		}
		rows = append(rows, display.Row{Label: "all", Images: drawn})
	}
	return display.RowsOf(0, rows...), nil
}
