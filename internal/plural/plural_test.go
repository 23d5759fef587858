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
