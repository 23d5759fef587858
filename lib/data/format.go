package data

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// extensions are how files of images end: torchvision's IMG_EXTENSIONS, GIF and PBM.
var extensions = map[string]bool{".jpg": true, ".jpeg": true, ".png": true, ".ppm": true, ".bmp": true, ".pgm": true,
	".tif": true, ".tiff": true, ".webp": true, ".gif": true, ".pbm": true}

// readable names the formats that are read.
const readable = "JPEG, PNG, WebP, GIF, BMP, TIFF, PPM"

// endings names the files that are read.
const endings = "loupe reads files that end in .jpg, .jpeg, .png, .webp, .gif, .bmp, .tif, .tiff, .ppm, .pgm or .pbm"

func isImage(name string) bool { return extensions[strings.ToLower(path.Ext(name))] }

// foreign are files of photographs in formats that are not read, by their endings.
var foreign = map[string]string{".heic": "HEIC", ".heif": "HEIC", ".hif": "HEIC", ".avif": "AVIF",
	".jxl": "JPEG XL", ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".dng": "camera raw", ".cr2": "camera raw",
	".cr3": "camera raw", ".nef": "camera raw", ".arw": "camera raw", ".psd": "Photoshop", ".svg": "SVG"}

// formatOf is what a file's first bytes say that it is; "" if it is none of these.
func formatOf(raw []byte) string {
	has := func(at int, start string) bool { return len(raw) >= at && bytes.HasPrefix(raw[at:], []byte(start)) }
	switch {
	case has(0, "\xff\xd8"):
		return "JPEG"
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "PNG"
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "GIF"
	case has(0, "RIFF") && has(8, "WEBP"):
		return "WebP"
	case has(0, "BM"):
		return "BMP"
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return "TIFF"
	case has(0, "II+\x00\x08\x00"), has(0, "MM\x00+\x00\x08"):
		return "BigTIFF"
	case len(raw) > 2 && raw[0] == 'P' && '1' <= raw[1] && raw[1] <= '6' && (isSpace(raw[2]) || raw[2] == '#'):
		return "Netpbm"
	case has(4, "ftyp"):
		brands := raw[8:min(40, len(raw))]
		switch {
		case avif.Match(brands):
			return "AVIF"
		case heic.Match(brands):
			return "HEIC"
		}
		return "MPEG-4"
	case has(0, "\xff\x0a"), has(4, "JXL "):
		return "JPEG XL"
	case has(4, "jP  "), has(0, "\xff\x4f\xff\x51"):
		return "JPEG 2000"
	case has(0, "8BPS"):
		return "Photoshop"
	case has(0, "\x00\x00\x01\x00"):
		return "icon"
	case has(0, "PK\x03\x04"):
		return "zip"
	case has(0, "%PDF"):
		return "PDF"
	case has(0, "version https://git-lfs"):
		return "Git LFS"
	}
	switch head := raw[:min(len(raw), 256)]; {
	case html.Match(head):
		return "HTML"
	case svg.Match(head):
		return "SVG"
	}
	return ""
}

// Brands of files of ISO's base format, and starts of texts.
var (
	avif = regexp.MustCompile("avi[fs]")
	heic = regexp.MustCompile("hei[cxms]|hev[cx]|m[is]f1")
	html = regexp.MustCompile(`^(?i)(?:\x{feff})?\s*<(?:!doctype html|html)`)
	svg  = regexp.MustCompile(`^(?i)(?:\x{feff})?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^>]*-->\s*)?<svg`)
)

// unreadable says of a file of another format what it is and what to do.
func unreadable(raw []byte, format string) error {
	switch {
	case len(raw) == 0:
		return errors.New("the file is empty")
	case len(bytes.Trim(raw, "\x00")) == 0:
		return errors.New("the file holds nothing but zeros")
	}
	switch format {
	case "":
		return fmt.Errorf("the file is not an image of a format that loupe reads (%s)", readable)
	case "HTML":
		return errors.New("the file is a page (HTML) and no image: what it was fetched from answered with that")
	case "Git LFS":
		return errors.New("the file is a pointer of Git LFS and no image: `git lfs pull` brings it")
	case "HEIC":
		return errors.New("the file is a HEIC image, as phones write, which loupe does not read: " +
			"convert it to PNG or JPEG")
	case "zip", "PDF", "MPEG-4":
		return fmt.Errorf("the file is no image but %s", format)
	}
	return fmt.Errorf("the file is an image of the format %s, which loupe does not read: convert it to PNG or JPEG",
		format)
}

func isSpace(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
