package uncertainty

// drawn are the predictions of some of the images, by their numbers; an image may be there more than once.
func (p *Predictions) drawn(images []int) *Predictions {
	d := newPredictions(p.classes, make([]int, len(images)))
	d.probabilities, d.classOf = make([]float32, 0, len(images)*p.classes), p.classOf
	for k, i := range images {
		d.probabilities = append(d.probabilities, p.row(i)...)
		d.labels[k], d.logLabel[k], d.confidence[k], d.predicted[k] = p.labels[i], p.logLabel[i], p.confidence[i],
			p.predicted[i]
	}
	return d
}
