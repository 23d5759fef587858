package plural

import "testing"

func TestOf(t *testing.T) {
	for want, got := range map[string]string{
		"1 image": Of(1, "image"), "0 images": Of(0, "image"), "-1 images": Of(-1, "image"),
		"10000 classes": Of(10000, "class"), "1 class": Of(1, "class"),
		"2 boxes": Of(2, "box"), "3 patches": Of(3, "patch"), "2 copies": Of(2, "copy"), "1 copy": Of(1, "copy"),
	} {
		if got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0 classes", 1: "1 class", 999: "999 classes", 1000: "1,000 classes",
		1234567: "1,234,567 classes"} {
		if got := Grouped(n, "class"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := Grouped(5000, "labelled image"); got != "5,000 labelled images" {
		t.Error(got)
	}
	if Is(0) != "are" || Is(1) != "is" || Is(2) != "are" {
		t.Error(Is(0), Is(1), Is(2))
	}
}
