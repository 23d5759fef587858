package data

import "fmt"

// InOrder is the images in the order of labels of theirs: the n-th image of a label is the n-th that has it, as where a
// published set was written into a folder for each class. It is an error where there are more labels of a kind than
// images with it.
func (d *Dataset) InOrder(labels []int) (*Dataset, error) {
	of := map[int][]int{} // the images of each label that are left
	for i := range d.Len() {
		of[d.Label(i)] = append(of[d.Label(i)], i)
	}
	order := make([]int, len(labels))
	for k, y := range labels {
		left := of[y]
		if len(left) == 0 {
			return nil, fmt.Errorf("data: label %d of the order is %d, and there are no more images with it", k, y)
		}
		order[k], of[y] = left[0], left[1:]
	}
	return d.Subset(order), nil
}
