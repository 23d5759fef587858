package report

import (
	"fmt"

	"github.com/loupeml/loupe/internal/plural"
)

// unlike shows the images that look least like what the network was trained on. Without images of the training nothing
// says how unlike they are, so it is never a finding.
func unlike(r *run) error {
	if err := r.needAnswers(); err != nil {
		return err
	}
	if n := r.report.Images; n <= mostShown {
		return fmt.Errorf("it takes more than %d images, and there %s %s", mostShown, plural.Is(n),
			plural.Grouped(n, "image"))
	}
	picked, err := r.e.Unlike(mostShown)
	if err != nil {
		return err
	}
	shown, err := r.ofImages("", picked)
	if err != nil {
		return err
	}
	r.nothing(Finding{
		Sentence: fmt.Sprintf("Unlike training: these %d look least like what the network knows.", picked.Len()),
		Value:    nan, Low: nan, High: nan, Evidence: []Evidence{shown},
		Sure: "Some images always look least like it. Without those of the training nothing tells how unlike they are, " +
			"so nothing is claimed.",
		Cell: r.evaluation() + fmt.Sprintf(".Unlike(%d)", mostShown),
	})
	return nil
}
