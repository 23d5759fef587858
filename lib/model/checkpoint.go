package model

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// FromCheckpoint makes a model of a GoMLX checkpoint's folder and the model function that it was trained with; see
// [FromScope]. The folder's last checkpoint is taken. Every variable that the function asks for must be in it.
func FromCheckpoint(dir string, spec Spec, fn func(scope *gomlx.Scope, x *graph.Node) *graph.Node) (*Model, error) {
	about, values, err := readCheckpoint(dir)
	store := gomlx.NewStore()
	if err == nil {
		err = loadCheckpoint(store, about, values)
	}
	if err != nil {
		return nil, failure.OneLine(fmt.Errorf("model: %s is not a whole GoMLX checkpoint: %s", dir, failure.FirstLine(err)))
	}
	return FromScope(store, spec, fn)
}

// loadCheckpoint puts a checkpoint's variables into a store. GoMLX panics on names that are no paths.
func loadCheckpoint(store *gomlx.Store, about, values []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	_, err = checkpoint.Load(store).FromEmbed(string(about), values).Immediate().Done()
	return err
}

// checkpointMark is what a packed file of values begins with; behind it come a byte, 4, and "gzip".
const checkpointMark = "gomlx_checkpointss"

// readCheckpoint reads the last checkpoint of a folder: what its .json file says, and the numbers of its .bin file,
// unpacked, which are as many as it says.
func readCheckpoint(dir string) (about, values []byte, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	last := ""
	for _, e := range entries { // by name, and with that by time
		if name, ok := strings.CutSuffix(e.Name(), checkpoint.JsonNameSuffix); ok && strings.HasPrefix(name, "checkpoint-") &&
			!e.IsDir() {
			last = filepath.Join(dir, name)
		}
	}
	if last == "" {
		return nil, nil, errors.New("no checkpoints found")
	}
	if about, err = regular.ReadFile(last + checkpoint.JsonNameSuffix); err != nil {
		return nil, nil, err
	}
	need, err := checkpointBytes(about)
	if err != nil {
		return nil, nil, err
	}
	f, size, err := regular.Open(last + checkpoint.BinDataSuffix)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	packed := checkpointMark + "\x04gzip"
	head := make([]byte, min(size, int64(len(packed))))
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, nil, err
	}
	var from io.Reader
	if string(head) == packed {
		if from, err = gzip.NewReader(f); err != nil {
			return nil, nil, err
		}
	} else {
		from = io.MultiReader(bytes.NewReader(head), f)
	}
	// Not make at once: what a file tells of must not cost memory that it does not fill.
	values, err = io.ReadAll(io.LimitReader(from, need+1))
	switch {
	case err != nil:
		return nil, nil, err
	case int64(len(values)) != need:
		return nil, nil, fmt.Errorf("its variables take %d bytes, and there are %d or more", need, len(values))
	case bytes.HasPrefix(values, []byte(checkpointMark)):
		return nil, nil, errors.New("its numbers are packed twice")
	}
	return about, values, nil
}

// checkpointBytes is how many bytes the variables of a checkpoint take, which lie one behind the other.
func checkpointBytes(about []byte) (int64, error) {
	var all struct {
		Variables []struct {
			ParameterName string
			Dimensions    []int
			DType         dtypes.DType
			Pos, Length   int
		}
	}
	if err := json.Unmarshal(about, &all); err != nil {
		return 0, err
	}
	if len(all.Variables) == 0 {
		return 0, errors.New("it has no variables")
	}
	const most = 1 << 50
	known, at := map[string]bool{}, 0
	for _, v := range all.Variables {
		if known[v.ParameterName] {
			return 0, fmt.Errorf("it has %s twice", v.ParameterName)
		}
		known[v.ParameterName] = true
		if !v.DType.IsSupported() || v.DType.IsPacked() {
			return 0, fmt.Errorf("%s is of an unknown type", v.ParameterName)
		}
		bytes := v.DType.Size()
		for _, n := range v.Dimensions {
			if n < 1 || bytes > most/n {
				return 0, fmt.Errorf("%s has the shape %v", v.ParameterName, v.Dimensions)
			}
			bytes *= n
		}
		if v.Pos != at || v.Length != bytes || at > most-bytes {
			return 0, fmt.Errorf("%s is said to lie from byte %d to %d, and its shape %v takes %d bytes behind the %d before it",
				v.ParameterName, v.Pos, v.Pos+v.Length, v.Dimensions, bytes, at)
		}
		at += bytes
	}
	return int64(at), nil
}
