package safetensors

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
)

// go test -fuzz FuzzRead ./lib/internal/safetensors goes on from the seeds.
func FuzzRead(f *testing.F) {
	of := func(header, data string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+data...)
	}
	f.Add(of(`{"__metadata__":{"a":"b"},"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"I8","shape":[1,3],"data_offsets":[8,11]}}`, "0123456789a"))
	f.Add(of(`{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, ""))
	f.Add(of(`{"w":null}`, ""))
	f.Add(of(`null`, ""))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "f.safetensors")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(content), func() error {
			said, failed := Metadata(path)
			arrays, metadata, skipped, err := Read(path)
			if err != nil {
				return nil // whose text names may be in, which whoever calls this puts in a line
			}
			if failed != nil || len(said) != len(metadata) {
				t.Errorf("the metadata is %v, %v, alone and %v beside the tensors", said, failed, metadata)
			}
			bytes := 0
			for _, a := range arrays {
				bytes += a.Size() * a.DType().Size()
			}
			if len(skipped) == 0 && bytes > len(content) {
				t.Errorf("%d bytes of %d", bytes, len(content))
			}
			return nil
		})
	})
}
