package graphops

// SamePadding is the padding before and after one axis of a convolution that makes the output ceil(in/stride) long:
// TensorFlow's "same", ONNX's SAME_UPPER. An odd position goes to the end.
func SamePadding(in, kernel, stride, dilation int) [2]int {
	out := (in + stride - 1) / stride
	total := max((out-1)*stride+(kernel-1)*dilation+1-in, 0)
	return [2]int{total / 2, total - total/2}
}
