//go:build !linux

package atrest

func unmap() {}
