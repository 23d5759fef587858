package loupe

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/report"
)

// Report asks a network and its images all that is sensibly asked first, within a time, by default five minutes: how
// good it is and where not, whether it is as sure as it is right, which labels and which pictures are wrong, where it
// looks, what it says with parts missing, under corruptions and under a small attack. What it returns shows itself as a
// page, what was found first, with a word on each check that was left out; [Save] keeps it as .html, one file that
// needs nothing beside it, and as .json:
//
//	loupe.Save("report.html", loupe.Report(net, photos))
//	loupe.Report(net, photos, report.Options{Budget: time.Minute})
//
// Labels are not needed. Settings are at most one; its Opened is set here. Interrupted, it shows what is done, which
// [Partial] returns. See report.Of.
func Report(m *model.Model, images any, settings ...report.Options) *report.Report {
	o := atMostOne("settings of a report", settings)
	var opened *data.Dataset
	switch images := images.(type) {
	case string:
		opened = Open(images)
		if o.Begin == "" {
			o.Begin = fmt.Sprintf("photos := loupe.Open(%q)", images)
		}
	case *data.Dataset:
		if opened = images; opened == nil {
			panic(model.CheckDataset(opened))
		}
	case *tensors.Tensor:
		opened = must(data.FromTensor(images, nil, nil))
		if o.Begin == "" {
			o.Begin = "photos := data.FromTensor(images, nil, nil) // images is the tensor"
		}
		o.Opened = opened
		return whole(report.Of(m, opened, o))
	default:
		files, _ := withNames(images)
		var is bool
		if opened, is = files.(*data.Dataset); !is {
			panic(notImages(images))
		}
		if o.Begin == "" {
			o.Begin = fmt.Sprintf("photos := data.Files(%s...)", fmt.Sprintf("%#v", images))
		}
	}
	if m == nil {
		return must(report.Of(m, opened, o))
	}
	o.Opened = opened
	return whole(report.Of(m, Prepare(m, opened), o))
}
