package claim

import (
	"testing"

	"github.com/loupeml/loupe/lib/stats"
)

func TestAnAccuracyIsAShareOfImages(t *testing.T) {
	c, err := Accuracy("accuracy", stats.Accuracy{Correct: 9, Total: 10})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.AgainstAccuracy("another network", stats.Accuracy{Correct: 3, Total: 5}); err != nil {
		t.Fatal(err)
	}
	share, err := Share("accuracy", "images", 1, 9, 10)
	if err != nil {
		t.Fatal(err)
	}
	if c.Value != 0.9 || c.Low != share.Low || c.High != share.High || c.N != 10 || c.Unit != "images" ||
		c.ControlValue != 0.6 || c.Control != "another network" || c.Paired {
		t.Errorf("the claim is %+v", c)
	}
	if _, err := Accuracy("accuracy", stats.Accuracy{}); err == nil {
		t.Error("of no images there is an accuracy")
	}
	if _, err := c.AgainstAccuracy("nothing", stats.Accuracy{Correct: 2, Total: 1}); err == nil {
		t.Error("two of one images are right")
	}
}
