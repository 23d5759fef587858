package uncertainty

// Measure is one number that says how good predictions are, or how well calibrated.
type Measure struct {
	Name string                                `display:"measure"`
	Of   func(p *Predictions) (float64, error) `display:"-"`
}

// The measures of Ovadia et al., with calibration errors of 15 bins of equal width.
var (
	// AccuracyShare is the share of images that are right, in 0..1.
	AccuracyShare = Measure{"accuracy", func(p *Predictions) (float64, error) { return p.Accuracy().Share(), nil }}
	// BrierScore is [Predictions.Brier], in 0..2; 0 is best.
	BrierScore = Measure{"Brier score", func(p *Predictions) (float64, error) { return p.Brier(), nil }}
	// ECE is [Predictions.ExpectedCalibrationError], in 0..1; 0 is best.
	ECE = Measure{"ECE", func(p *Predictions) (float64, error) { return p.ExpectedCalibrationError(EqualWidth(15)) }}
	// ECEIfCalibrated is the ECE with labels drawn from the predictions themselves ([Predictions.Resampled], seed 1):
	// what so few images give a calibrated model of the same confidence.
	ECEIfCalibrated = Measure{"ECE if it were calibrated", func(p *Predictions) (float64, error) {
		return p.Resampled(1).ExpectedCalibrationError(EqualWidth(15))
	}}
)

// The measures of Hendrycks et al., "Natural Adversarial Examples", besides.
var (
	// AURRA is [Predictions.AURRA], in 0..1; 1 is best.
	AURRA = Measure{"AURRA", func(p *Predictions) (float64, error) { return p.AURRA(), nil }}
	// SoftF1 is [Predictions.SoftF1], in 0..1; 1 is best.
	SoftF1 = Measure{"soft F1", func(p *Predictions) (float64, error) { return p.SoftF1(), nil }}
)

// RMSCalibration is [Predictions.RMSCalibrationError] in adaptive bins of that many images; 0 is best.
func RMSCalibration(images int) Measure {
	return Measure{"RMS calibration error", func(p *Predictions) (float64,
		error) {
		return p.RMSCalibrationError(Adaptive(images))
	}}
}
