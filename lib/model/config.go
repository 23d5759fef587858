package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/loupeml/loupe/internal/regular"
)

// config is what a config.json beside a file says, as timm and Hugging Face's hub write it.
type config struct {
	Architecture string          `json:"architecture"`
	Labels       json.RawMessage `json:"label_names"`
	ID2Label     json.RawMessage `json:"id2label"`
	Pretrained   struct {
		Mean  []float64 `json:"mean"`
		Std   []float64 `json:"std"`
		Input []int     `json:"input_size"`
		Crop  float64   `json:"crop_pct"`
	} `json:"pretrained_cfg"`
}

// preprocessor is what a preprocessor_config.json beside a file says, as Hugging Face's image processors write it.
type preprocessor struct {
	Resize    *bool     `json:"do_resize"`
	Crop      *bool     `json:"do_center_crop"`
	Rescale   *bool     `json:"do_rescale"`
	Normalize *bool     `json:"do_normalize"`
	Size      extent    `json:"size"`
	CropSize  extent    `json:"crop_size"`
	Share     float64   `json:"crop_pct"` // ConvNeXt's: the part of the shorter side that is cut out
	Factor    float64   `json:"rescale_factor"`
	Offset    bool      `json:"rescale_offset"`
	Mean      []float64 `json:"image_mean"`
	Std       []float64 `json:"image_std"`
}

// extent is a size as image processors write it: a number, or height and width, or the shorter side.
type extent struct {
	Height  int `json:"height"`
	Width   int `json:"width"`
	Shorter int `json:"shortest_edge"`
}

func (e *extent) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &e.Shorter) == nil {
		return nil
	}
	type plain extent
	return json.Unmarshal(text, (*plain)(e))
}

// readBeside reads the JSON file of a name that lies beside another file. It is false if there is none, or if it is not
// what to is, but some other program's.
func readBeside(path, name string, to any) (bool, error) {
	at := filepath.Join(filepath.Dir(path), name)
	info, err := os.Stat(at)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() > 16<<20) {
		return false, nil
	}
	var text []byte
	if err == nil {
		text, err = regular.ReadFile(at)
	}
	if err != nil {
		return false, fmt.Errorf("model: %w", err)
	}
	return json.Unmarshal(text, to) == nil, nil
}

// saidBeside is what the files beside a model's file say of it, below what somebody has said, and the name of its
// architecture if they tell it.
func saidBeside(path string, said meaning) (meaning, string, error) {
	var p preprocessor
	if ok, err := readBeside(path, "preprocessor_config.json", &p); err != nil {
		return said, "", err
	} else if ok {
		if said, err = p.below(said); err != nil {
			return said, "", fmt.Errorf("model: the preprocessor_config.json beside %s %w", path, err)
		}
	}
	var c config
	ok, err := readBeside(path, "config.json", &c)
	if err == nil && ok {
		if said, err = c.below(said); err != nil {
			err = fmt.Errorf("model: the config.json beside %s %w", path, err)
		}
	}
	return said, c.Architecture, err
}

// below is what a config.json says, below what somebody has said.
func (c *config) below(said meaning) (meaning, error) {
	p := c.Pretrained
	if !said.normalised && len(p.Mean) > 0 {
		if err := Normalized(p.Mean, p.Std).say(&said); err != nil {
			return said, fmt.Errorf("has %w", err)
		}
	}
	if said.spec.Height == 0 && len(p.Input) == 3 {
		if err := Size(p.Input[1], p.Input[2]).say(&said); err != nil {
			return said, fmt.Errorf("has %w", err)
		}
	}
	if !said.resized && p.Crop >= 0.01 && p.Crop <= 1 && said.spec.Height > 0 {
		said.spec.Resize, said.resized = int(float64(said.spec.Height)/p.Crop), true
	}
	for _, names := range []json.RawMessage{c.Labels, c.ID2Label} {
		if said.names == nil && len(names) > 0 {
			if list, err := namesOf(names); err == nil {
				said.names, said.namedBy = list, "the config.json beside it"
			}
		}
	}
	return said, nil
}

// below is what a preprocessor_config.json says, below what somebody has said.
func (p *preprocessor) below(said meaning) (meaning, error) {
	does := func(what *bool) bool { return what == nil || *what }
	if !said.normalised && (len(p.Mean) > 0 || p.Normalize != nil && !*p.Normalize) {
		// The processor has pixels from 0 to 255: it multiplies them by the factor and then takes the mean off.
		scale := 1.0
		if !does(p.Rescale) {
			scale = 255
		} else if p.Factor != 0 {
			scale = 255 * p.Factor
		}
		if p.Offset || !(scale > 0) {
			return said, errors.New("scales pixels in a way that is not known here: say loupe.Normalized")
		}
		mean, std := make([]float64, len(p.Mean)), make([]float64, len(p.Mean))
		if len(p.Std) != len(p.Mean) {
			return said, fmt.Errorf("has %d means and %d standard deviations", len(p.Mean), len(p.Std))
		}
		for i := range mean {
			mean[i], std[i] = p.Mean[i]/scale, p.Std[i]/scale
		}
		if !does(p.Normalize) {
			if mean, std = nil, nil; scale < 0.999 || scale > 1.001 {
				mean, std = []float64{0, 0, 0}, []float64{1 / scale, 1 / scale, 1 / scale}
			}
		}
		if err := Normalized(mean, std).say(&said); err != nil {
			return said, fmt.Errorf("has %w", err)
		}
	}
	final, shorter := p.Size, 0
	switch cut := p.Crop != nil && *p.Crop; {
	case !does(p.Resize):
		return said, nil
	case cut && p.CropSize != (extent{}) && p.Size.Shorter > 0:
		final, shorter = p.CropSize, p.Size.Shorter
	case p.Share >= 0.01 && p.Share < 1 && p.Size.Shorter > 0 && p.Size.Shorter < 384: // from 384 on it stretches
		shorter = int(float64(p.Size.Shorter) / p.Share)
	case cut:
		return said, nil // brought to one size and cut to another, which no option says
	}
	if final.Shorter > 0 {
		final.Height, final.Width = final.Shorter, final.Shorter
	}
	if said.spec.Height == 0 && final.Height > 0 {
		if err := Size(final.Height, final.Width).say(&said); err != nil {
			return said, fmt.Errorf("has %w", err)
		}
	}
	if !said.resized && final.Height > 0 && said.spec.Height == final.Height {
		said.spec.Resize, said.resized = shorter, true
	}
	return said, nil
}
