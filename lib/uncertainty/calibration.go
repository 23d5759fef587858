package uncertainty

import (
	"fmt"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
)

// Bins puts the images into bins by their confidence.
func (p *Predictions) Bins(by Binning) ([]Bin, error) { return by.cut(p.confidence, p.right) }

// ExpectedCalibrationError is the mean distance of confidence and accuracy over bins, weighted by their images:
//
//	ECE = Σ_b n_b/N |acc(b) - conf(b)|
//
// 0 is calibrated. Guo et al., ICML 2017, equation 3; EqualWidth(15) is the usual binning.
func (p *Predictions) ExpectedCalibrationError(by Binning) (float64, error) {
	return p.calibration(by, 1)
}

// RMSCalibrationError is the root of the mean square of that distance:
//
//	RMS = √ Σ_b n_b/N (acc(b) - conf(b))²
//
// Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, with bins by
// [Adaptive](100).
func (p *Predictions) RMSCalibrationError(by Binning) (float64, error) { return p.calibration(by, 2) }

// MaximumCalibrationError is the largest distance of any bin that holds an image. Guo et al., ICML 2017, equation 4.
func (p *Predictions) MaximumCalibrationError(by Binning) (float64, error) {
	return p.calibration(by, 0)
}

func (p *Predictions) calibration(by Binning, power float64) (float64, error) {
	bins, err := p.Bins(by)
	if err != nil {
		return 0, err
	}
	return by.error(bins, power), nil
}

// ClasswiseCalibrationError looks at the probability of every class and not only of the predicted one: the mean over
// the classes of the expected calibration error of "is it this class?". With EqualWidth it is the static calibration
// error, with EqualMass the adaptive calibration error of Nixon et al., "Measuring Calibration in Deep Learning", CVPR
// 2019 workshop, section 4, but for bins counting by their images.
func (p *Predictions) ClasswiseCalibrationError(by Binning) (float64, error) {
	values, mean := make([]float64, p.n), 0.0
	for class := range p.classes {
		for i := range values {
			values[i] = float64(p.row(i)[class])
		}
		bins, err := by.cut(values, func(i int) float64 {
			if p.labels[i] == class {
				return 1
			}
			return 0
		})
		if err != nil {
			return 0, err
		}
		mean += by.error(bins, 1) / float64(p.classes)
	}
	return mean, nil
}

// Diagram is the reliability diagram, with bins of equal width.
func (p *Predictions) Diagram(title string) display.Reliability {
	if title == "" {
		title = fmt.Sprintf("%s, %.1f%% right", plural.Of(p.n, "image"), 100*p.Accuracy().Share())
	}
	return display.Reliability{Title: title, Confidences: p.Confidence(), Correct: p.Correct()}
}
