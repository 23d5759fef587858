package compilecache

import "syscall"

// processor describes the processor, and the system, which decides what of it programs may use.
func processor() (string, error) {
	brand, err := syscall.Sysctl("machdep.cpu.brand_string")
	if err != nil {
		return "", err
	}
	system, err := syscall.Sysctl("kern.osversion")
	if err != nil {
		return "", err
	}
	features, _ := syscall.Sysctl("machdep.cpu.features") // Intel alone has them
	more, _ := syscall.Sysctl("machdep.cpu.leaf7_features")
	return brand + "\n" + features + " " + more + "\n" + system + "\n", nil
}

// changed is when a file's contents or its data in the directory last changed, which no program can set.
func changed(s *syscall.Stat_t) int64 { return s.Ctimespec.Nano() }
