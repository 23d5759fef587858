package attrib_test

import (
	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attrib"
)

func ExampleGradCAM() {
	m := loupe.Load("efficientnet-lite0")
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.Attribute(m, photos, attrib.GradCAM{}))
}
