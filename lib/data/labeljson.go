package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// jsonReader goes through a JSON text and knows its line.
type jsonReader struct {
	text string
	from string
	*json.Decoder
	counted, line int
}

func newJSONReader(text, from string) *jsonReader {
	r := &jsonReader{text: text, from: from, Decoder: json.NewDecoder(strings.NewReader(text)), line: 1}
	r.UseNumber()
	return r
}

// at says where the reader is.
func (r *jsonReader) at() string {
	end := int(r.InputOffset())
	r.line += strings.Count(r.text[r.counted:end], "\n")
	r.counted = end
	return fmt.Sprintf("line %d of %s", r.line, r.from)
}

func (r *jsonReader) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("data: %s is cut short", r.from)
	}
	end := r.InputOffset()
	var bad *json.SyntaxError
	if errors.As(err, &bad) {
		end = max(bad.Offset, end)
	}
	line := 1 + strings.Count(r.text[:min(end, int64(len(r.text)))], "\n")
	return fmt.Errorf("data: line %d of %s is no JSON: %w", line, r.from, err)
}

// pair is a name and its value in an object, in the order of the file.
type pair struct {
	name  string
	value any // string, json.Number, []any, map[string]any, bool or nil
	at    string
}

// pairs reads the pairs of an object whose brace was read.
func (r *jsonReader) pairs() ([]pair, error) {
	var all []pair
	for r.More() {
		key, err := r.Token()
		if err != nil {
			return nil, r.failed(err)
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("data: %s: a name is %v", r.at(), key)
		}
		p := pair{name: name}
		if err := r.Decode(&p.value); err != nil {
			return nil, r.failed(err)
		}
		p.at = r.at()
		all = append(all, p)
	}
	_, err := r.Token()
	if err != nil {
		return nil, r.failed(err)
	}
	return all, nil
}

// labelWord is a label in JSON: a word or a number.
func labelWord(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// jsonForms says what labels in JSON are.
const jsonForms = `labels are an object {"a.jpg": "cat", …}, ` +
	`or a list of records [{"file": "a.jpg", "label": "cat"}, …]`

// jsonLabels reads labels of an object, of a list of records or of pairs, or of records by line.
func jsonLabels(text, from string, o Options) ([]labelRow, error) {
	r := newJSONReader(text, from)
	first, err := r.Token()
	if err != nil {
		return nil, r.failed(err)
	}
	var rows []labelRow
	switch first {
	case json.Delim('{'):
		pairs, err := r.pairs()
		if err != nil {
			return nil, err
		}
		if lines := strings.ToLower(filepath.Ext(from)) != ".json"; lines || r.More() {
			return jsonLines(text, from, o)
		}
		for _, p := range pairs {
			label, ok := labelWord(p.value)
			if !ok {
				return nil, fmt.Errorf("data: %s: the label of %s is %s: %s", p.at, p.name, short(p.value), jsonForms)
			}
			rows = append(rows, labelRow{p.name, label, p.at})
		}
	case json.Delim('['):
		var records []pair
		for r.More() {
			var p pair
			if err := r.Decode(&p.value); err != nil {
				return nil, r.failed(err)
			}
			p.at = r.at()
			records = append(records, p)
		}
		if _, err := r.Token(); err != nil {
			return nil, r.failed(err)
		}
		if rows, err = recordLabels(records, from, o); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("data: %s: %s", from, jsonForms)
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("data: %s has something behind its end", r.at())
	}
	return rows, nil
}

// jsonLines reads a record a line, as Hugging Face's metadata.jsonl.
func jsonLines(text, from string, o Options) ([]labelRow, error) {
	r := newJSONReader(text, from)
	var records []pair
	for r.More() {
		var p pair
		if err := r.Decode(&p.value); err != nil {
			return nil, r.failed(err)
		}
		p.at = r.at()
		records = append(records, p)
	}
	return recordLabels(records, from, o)
}

func recordLabels(records []pair, from string, o Options) ([]labelRow, error) {
	var rows []labelRow
	for _, p := range records {
		switch v := p.value.(type) {
		case []any:
			if len(v) == 2 {
				file, isWord := v[0].(string)
				if label, ok := labelWord(v[1]); ok && isWord {
					rows = append(rows, labelRow{file, label, p.at})
					continue
				}
			}
		case map[string]any:
			var header []string
			for name := range v {
				header = append(header, name)
			}
			sort.Strings(header)
			file, label, err := o.columnsOf(header, p.at, func(int) int { return 0 })
			if err != nil {
				return nil, err
			}
			if file < 0 || label < 0 {
				return nil, noColumns(header, p.at, file, label)
			}
			name, ok := labelWord(v[header[file]])
			if !ok {
				return nil, fmt.Errorf("data: %s: the file is %s", p.at, short(v[header[file]]))
			}
			word, ok := labelWord(v[header[label]])
			if !ok {
				return nil, fmt.Errorf("data: %s: the label of %s is %s", p.at, name, short(v[header[label]]))
			}
			rows = append(rows, labelRow{name, word, p.at})
			continue
		}
		return nil, fmt.Errorf("data: %s: %s: %s", p.at, short(p.value), jsonForms)
	}
	return rows, nil
}

// short is a JSON value, cut where it is long.
func short(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%T", v)
	}
	text := strings.TrimSpace(b.String())
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	return text
}

// ReadClassToIdx reads the numbers of classes from a JSON file, for [Options]: an object from names to numbers, as
// torchvision's class_to_idx, one from numbers to names, as id2label, or a list of names.
func ReadClassToIdx(file string) (map[string]int, error) { return readClassToIdx(nil, file) }

func readClassToIdx(files fs.FS, file string) (map[string]int, error) {
	text, err := readText(files, file)
	if err != nil {
		return nil, err
	}
	from := filepath.Base(file)
	r := newJSONReader(text, from)
	first, err := r.Token()
	if err != nil {
		return nil, r.failed(err)
	}
	number := map[string]int{}
	add := func(class string, n int, at string) error {
		if before, twice := number[class]; twice && before != n {
			return fmt.Errorf("data: %s: the class %s has the number %d and had %d", at, class, n, before)
		}
		number[class] = n
		return nil
	}
	switch first {
	case json.Delim('{'):
		pairs, err := r.pairs()
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			class, n, err := p.name, 0, error(nil)
			switch v := p.value.(type) {
			case json.Number:
				n, err = strconv.Atoi(v.String())
			case string:
				class = v
				n, err = strconv.Atoi(p.name)
			default:
				err = errors.New("it is neither a number nor a name")
			}
			if err != nil {
				return nil, fmt.Errorf("data: %s: %q: %s is no number of a class", p.at, p.name, short(p.value))
			}
			if err := add(class, n, p.at); err != nil {
				return nil, err
			}
		}
	case json.Delim('['):
		for n := 0; r.More(); n++ {
			var class string
			if err := r.Decode(&class); err != nil {
				return nil, r.failed(err)
			}
			if err := add(class, n, r.at()); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("data: %s is neither an object of classes and numbers nor a list of classes", from)
	}
	if _, err := byIdx(number, from); err != nil {
		return nil, err
	}
	return number, nil
}
