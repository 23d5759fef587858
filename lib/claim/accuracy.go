package claim

import "github.com/loupeml/loupe/lib/stats"

// Accuracy claims an accuracy, as a share in 0..1, over the images that it was measured on: [Share] of one network.
func Accuracy(name string, a stats.Accuracy) (Claim, error) {
	return Share(name, "images", 1, a.Correct, a.Total)
}

// AgainstAccuracy is the claim with an accuracy as its control, on other images or of another network: it is not
// compared image by image.
func (c Claim) AgainstAccuracy(control string, a stats.Accuracy) (Claim, error) {
	return c.AgainstShare(control, a.Correct, a.Total)
}
