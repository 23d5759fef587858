package notebook

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
)

var pictureExtensions = []struct{ mimeType, extension string }{
	{"image/png", ".png"}, {"image/jpeg", ".jpg"}, {"image/webp", ".webp"}, {"image/gif", ".gif"},
	{"image/svg+xml", ".svg"},
}

// WritePictures writes every picture that the cells showed as a file of its own into a folder, named by
// the cell's number and the picture's place in it (cell-03-1.png), and returns the files.
func (nb *Notebook) WritePictures(folder string) ([]string, error) {
	var files []string
	for _, cell := range nb.Cells {
		if cell.Count == nil {
			continue
		}
		n := 0
		for _, o := range cell.Outputs {
			for _, form := range pictureExtensions {
				content, ok := o.Data()[form.mimeType].(string)
				if !ok {
					continue
				}
				data := []byte(content)
				if form.mimeType != "image/svg+xml" {
					var err error
					if data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), "")); err != nil {
						return files, fmt.Errorf("notebook: a picture of cell [%d] is not base64: %w", *cell.Count, err)
					}
				}
				n++
				file := filepath.Join(folder, fmt.Sprintf("cell-%02d-%d%s", *cell.Count, n, form.extension))
				if err := writeFile(file, data); err != nil {
					return files, err
				}
				files = append(files, file)
				break
			}
		}
	}
	return files, nil
}
