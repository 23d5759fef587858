"""Image files of the kinds that decoders differ on, and Pillow's pixels.

    python bench/oracles/images.py lib/data/testdata

writes images.zip, the files, and images.npz: of each file the pixels of convert("RGB"), turned upright ("NAME") and as stored where these differ ("NAME stored").
Besides these images-refused.zip: files that Pillow reads and loupe refuses by a sentence.
Needs Pillow 12.1.0 with WebP, AVIF and libtiff.
"""
import io
import struct
import sys
import zipfile
import zlib

import numpy as np
from PIL import Image, ImageOps

rng = np.random.default_rng(3)
files = {}


def smooth(height, width, channels=3):
    """Soft colours, which keep their values in lossy files."""
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(coarse)
    if channels == 4:
        pixels = np.dstack([pixels, np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)])
    return Image.fromarray(pixels)


def add(name, image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    files[name] = buffer.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", orientation
    return exif


black_and_white = np.zeros((16, 32, 3), np.uint8)
black_and_white[:, 16:] = 255
add("range.webp", Image.fromarray(black_and_white), "WEBP", quality=90)
add("odd.webp", smooth(21, 33), "WEBP", quality=80)
add("even.webp", smooth(24, 18), "WEBP", quality=50)
add("thin.webp", smooth(1, 7), "WEBP", quality=90)
add("alpha.webp", smooth(19, 26, 4), "WEBP", quality=80)
add("lossless_alpha.webp", smooth(9, 10, 4), "WEBP", lossless=True, exact=True)
add("turned.webp", smooth(9, 14), "WEBP", quality=90, exif=turned(8))
add("turned.png", smooth(5, 8), "PNG", exif=turned(6))
for orientation in range(1, 9):
    add(f"turned{orientation}.jpg", smooth(24, 40), "JPEG", quality=98, subsampling=0, exif=turned(orientation))
for name, start in ("jpg", 6), ("webp", 8):
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{start}"/></x:xmpmeta>'.encode()
    add(f"turned_xmp.{name}", Image.fromarray(np.full((4, 8, 3), 99, np.uint8)), {"jpg": "JPEG", "webp": "WEBP"}[name], quality=98, xmp=xmp)
palette = Image.fromarray((np.arange(48).reshape(6, 8) % 3).astype(np.uint8), "P")
palette.putpalette([255, 0, 0, 10, 200, 30, 0, 0, 255])
add("transparent.gif", palette, "GIF", transparency=0)
add("opaque.gif", palette, "GIF")
add("transparent.png", palette, "PNG", transparency=0)



def jpeg_segments(raw):
    """The segments of a JPEG before its pixels, and the coded pixels of its one scan."""
    segments, at = [], 2
    while True:
        marker, length = raw[at + 1], struct.unpack(">H", raw[at + 2:at + 4])[0]
        segments.append((marker, raw[at + 4:at + 2 + length]))
        at += 2 + length
        if marker == 0xDA:
            return segments, raw[at:raw.rindex(b"\xff\xd9")]


def jpeg_of_scans(height, width, components, adobe=None, ids=None):
    """A JPEG of one scan for each component, which is coded as a grey image of its own size: components are (values, h, v)."""
    most_h, most_v = max(h for _, h, _ in components), max(v for _, _, v in components)
    frame, scans, tables = b"", [], {}
    for k, (values, h, v) in enumerate(components):
        name = ids[k] if ids else k + 1
        size = -(-width * h // most_h), -(-height * v // most_v)
        buffer = io.BytesIO()
        Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
        segments, coded = jpeg_segments(buffer.getvalue())
        tables.update({(marker, content): None for marker, content in segments if marker in (0xDB, 0xC4)})
        frame += bytes([name, h << 4 | v, 0])
        scans.append(b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([name, 0, 0, 63, 0]) + coded)

    def segment(marker, content):
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    start = b"" if adobe is None else segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, adobe))
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, len(components)) + frame)
    return b"\xff\xd8" + start + b"".join(segment(*t) for t in tables) + frame + b"".join(scans) + b"\xff\xd9"


def planes(height, width, n):
    """Soft planes with strong colours, which differ most between ways to make subsampled colours larger."""
    coarse = rng.integers(0, 256, (n, 5, 6)).astype(np.uint8)
    return [np.asarray(Image.fromarray(c).resize((width, height), Image.Resampling.BICUBIC)) for c in coarse]


for name, factors in {"444": (1, 1), "422": (2, 1), "440": (1, 2), "420": (2, 2), "411": (4, 1), "410": (4, 2)}.items():
    for height, width in (30, 41), (17, 16):
        y, cb, cr = planes(height, width, 3)
        files[f"jpeg{name}_{width}.jpg"] = jpeg_of_scans(height, width, [(y, *factors), (cb, 1, 1), (cr, 1, 1)])
for height, width in (1, 1), (3, 2), (2, 5), (5, 3):
    y, cb, cr = planes(height, width, 3)
    files[f"jpeg420_{height}x{width}.jpg"] = jpeg_of_scans(height, width, [(y, 2, 2), (cb, 1, 1), (cr, 1, 1)])
a, b, c, d = planes(27, 37, 4)
full = [(x, 1, 1) for x in (a, b, c, d)]
half = [(a, 2, 2), (b, 1, 1), (c, 1, 1), (d, 2, 2)]
files["cmyk.jpg"], files["ycck.jpg"] = jpeg_of_scans(27, 37, full, adobe=0), jpeg_of_scans(27, 37, full, adobe=2)
files["cmyk420.jpg"], files["ycck420.jpg"] = jpeg_of_scans(27, 37, half, adobe=0), jpeg_of_scans(27, 37, half, adobe=2)
files["rgb.jpg"] = jpeg_of_scans(27, 37, full[:3], adobe=0)
files["rgb_ids.jpg"] = jpeg_of_scans(27, 37, full[:3], ids=b"RGB")
files["rgb420.jpg"] = jpeg_of_scans(27, 37, [(a, 2, 2), (b, 1, 1), (c, 1, 1)], adobe=0)
add("progressive.jpg", smooth(45, 61), "JPEG", quality=90, subsampling=2, progressive=True)
add("coarse.jpg", smooth(45, 61), "JPEG", quality=20, subsampling=2)
add("grey.jpg", smooth(21, 30).convert("L"), "JPEG", quality=90)
add("pillow_cmyk.jpg", smooth(21, 30).convert("CMYK"), "JPEG", quality=90)


def png(height, width, depth, colour, rows, *chunks):
    """A PNG file of these bytes of pixels."""
    size = len(rows) // height
    lines = b"".join(b"\0" + rows[k * size:(k + 1) * size] for k in range(height))

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


deep = rng.integers(0, 65536, (4, 5, 4)).astype(">u2")
files["rgb16.png"] = png(4, 5, 16, 2, deep[..., :3].tobytes())
files["rgba16.png"] = png(4, 5, 16, 6, deep.tobytes())
files["greyalpha16.png"] = png(4, 5, 16, 4, deep[..., :2].tobytes())
files["grey16.png"] = png(4, 5, 16, 0, deep[..., 0].tobytes())
files["greyalpha.png"] = png(4, 5, 8, 4, (deep[..., :2] >> 8).astype(np.uint8).tobytes())
files["rgba.png"] = png(4, 5, 8, 6, (deep >> 8).astype(np.uint8).tobytes())
files["rgb_transparent.png"] = png(4, 5, 8, 2, (deep[..., :3] >> 8).astype(np.uint8).tobytes(), (b"tRNS", bytes(v for x in deep[0, 0, :3] for v in (0, x >> 8))))
files["grey_transparent.png"] = png(4, 5, 8, 0, (deep[..., 0] >> 8).astype(np.uint8).tobytes(), (b"tRNS", bytes([0, deep[0, 0, 0] >> 8])))
for depth in 1, 2, 4:
    files[f"grey{depth}.png"] = png(4, 8, depth, 0, deep.tobytes()[:4 * depth])
    files[f"palette{depth}.png"] = png(4, 8, depth, 3, deep.tobytes()[:4 * depth], (b"PLTE", deep.tobytes()[:3 << depth]), (b"tRNS", b"\0\x40"))
add("animated.png", smooth(6, 7), "PNG", save_all=True, append_images=[smooth(6, 7)])

add("animated.webp", smooth(12, 14), "WEBP", quality=80, save_all=True, append_images=[smooth(12, 14)], duration=100)
add("animated_lossless.webp", smooth(12, 14, 4), "WEBP", lossless=True, save_all=True, append_images=[smooth(12, 14, 4)], duration=100)
add("lossless.webp", smooth(12, 14), "WEBP", lossless=True)


def animated_webp(height, width, x, y, image, flags):
    """An animated WebP whose first frame covers a part of it."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=90)

    def number(v):
        return struct.pack("<I", v)[:3]

    def chunk(name, content):
        return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

    body = buffer.getvalue()[12:]
    if body[:4] == b"VP8X":
        body = body[18:]
    w, h = image.size
    frame = chunk(b"ANMF", number(x // 2) + number(y // 2) + number(w - 1) + number(h - 1) + number(100) + b"\0" + body)
    body = chunk(b"VP8X", bytes([flags, 0, 0, 0]) + number(width - 1) + number(height - 1)) + chunk(b"ANIM", b"\x10\x20\x30\xff\0\0") + frame + frame
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


files["animated_part.webp"] = animated_webp(20, 24, 6, 4, smooth(9, 13), 0x02)
files["animated_part_alpha.webp"] = animated_webp(20, 24, 6, 4, smooth(9, 13, 4), 0x12)
lossy_alpha = bytearray(files["alpha.webp"])  # says that it has transparency, and there is none
at = lossy_alpha.index(b"ALPH")
lossy_alpha[at:at + 4] = b"ABCD"
files["alpha_missing.webp"] = bytes(lossy_alpha)

add("animated.gif", palette, "GIF", save_all=True, append_images=[palette.rotate(180)], duration=100, loop=0)
striped = Image.fromarray((np.arange(20 * 30).reshape(20, 30) // 7 % 3).astype(np.uint8), "P")
striped.putpalette([255, 0, 0, 10, 200, 30, 0, 0, 255])
add("interlaced.gif", striped, "GIF", interlace=1)


def gif_part(raw, height, width, x, y):
    """A GIF whose first frame covers a part of the screen."""
    raw = bytearray(raw)
    raw[6:10] = struct.pack("<HH", width, height)
    at = raw.index(b"\x2c\0\0\0\0")
    raw[at + 1:at + 5] = struct.pack("<HH", x, y)
    return bytes(raw)


files["part.gif"] = gif_part(files["opaque.gif"], 11, 13, 3, 2)
files["part_transparent.gif"] = gif_part(files["transparent.gif"], 11, 13, 3, 2)
add("transparent1.gif", palette, "GIF", transparency=1)
files["part_transparent1.gif"] = gif_part(files["transparent1.gif"], 11, 13, 3, 2)

add("grey1.bmp", smooth(7, 9).convert("1"), "BMP")
add("grey.bmp", smooth(7, 9).convert("L"), "BMP")
add("palette.bmp", palette, "BMP")
add("rgb.bmp", smooth(7, 9), "BMP")
add("rgba.bmp", smooth(7, 9, 4), "BMP")

for compression in "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits":
    add(f"{compression}.tif", smooth(13, 18), "TIFF", compression=compression)
add("grey.tif", smooth(13, 18).convert("L"), "TIFF", compression="tiff_lzw")
add("grey1.tif", smooth(13, 18).convert("1"), "TIFF", compression="group4")
add("grey1_raw.tif", smooth(13, 18).convert("1"), "TIFF")
add("palette.tif", palette, "TIFF")
add("rgba.tif", smooth(13, 18, 4), "TIFF")
add("grey16.tif", Image.fromarray(deep[..., 0].astype(np.uint16)), "TIFF")
add("lzw_predicted.tif", smooth(13, 18), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
add("grey1_white.tif", smooth(13, 18).convert("1"), "TIFF", compression="group4", tiffinfo={262: 0})
add("pages.tif", smooth(5, 6), "TIFF", save_all=True, append_images=[smooth(5, 6)])
for orientation in range(2, 9):
    add(f"turned{orientation}.tif", smooth(5, 8), "TIFF", tiffinfo={274: orientation})

add("rgb.ppm", smooth(5, 7), "PPM")
add("grey.pgm", smooth(5, 7).convert("L"), "PPM")
add("grey1.pbm", smooth(5, 11).convert("1"), "PPM")
files["words.ppm"] = b"P3 # three colours\n2 2\n# up to\n100\n100 0 0  0 50 0\n0 0 100 33 66 99\n"
files["words.pgm"] = b"P2\n3 1\n15\n0 7 15\n"
files["words.pbm"] = b"P1\n3 2\n101 0 1 0\n"
files["deep.ppm"] = b"P6 5 4 65535\n" + deep[..., :3].tobytes()
files["odd.pgm"] = b"P5 4 1 200\n" + bytes([0, 50, 199, 200])

files["cmyk_plain.jpg"] = jpeg_of_scans(27, 37, full)
add("restarts.jpg", smooth(30, 41), "JPEG", quality=90, subsampling=2, restart_marker_blocks=2)
add("restarts_444.jpg", smooth(30, 41), "JPEG", quality=90, subsampling=0, restart_marker_blocks=2, progressive=True)


def rgb(image):
    """convert("RGB"), but of grey values of 16 bits the upper eight: there Pillow cuts off everything above 255."""
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, 2)
    return np.asarray(image.convert("RGB"))


golden = {}
with zipfile.ZipFile(sys.argv[1] + "/images.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for name, raw in files.items():
        z.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), raw)
        image = Image.open(io.BytesIO(raw))
        golden[name] = rgb(ImageOps.exif_transpose(image))
        stored = rgb(Image.open(io.BytesIO(raw)))
        if not np.array_equal(stored, golden[name]):
            golden[name + " stored"] = stored
np.savez_compressed(sys.argv[1] + "/images.npz", **golden)

kept, files = files, {}
add("photo.avif", smooth(16, 16), "AVIF")
add("cmyk.tif", smooth(13, 18).convert("CMYK"), "TIFF")
add("greyalpha.tif", smooth(13, 18, 4).convert("LA"), "TIFF")
tags = [(256, 4, 5), (257, 4, 4), (258, 3, 8), (259, 3, 1), (262, 3, 2), (273, 4, 0), (277, 3, 3), (278, 4, 4), (279, 4, 0), (284, 3, 2)]
# The three values of BitsPerSample, StripOffsets and StripByteCounts lie behind the directory.
behind = 8 + 2 + 12 * len(tags) + 4
at = {258: (behind, struct.pack("<3H", 8, 8, 8)), 273: (behind + 6, struct.pack("<3I", *(behind + 30 + 20 * k for k in range(3)))), 279: (behind + 18, struct.pack("<3I", 20, 20, 20))}
directory = b"".join(struct.pack("<HHII", tag, kind, 3, at[tag][0]) if tag in at else struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
files["planes.tif"] = (b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + b"\0" * 4 + b"".join(at[k][1] for k in (258, 273, 279)) + bytes(range(60)))
add("jpeg.tif", smooth(16, 16), "TIFF", compression="jpeg")
add("float.tif", smooth(16, 16).convert("F"), "TIFF")
add("restarts.jpg", smooth(30, 41), "JPEG", quality=90, subsampling=2, restart_marker_blocks=2, progressive=True)
add("photo.jp2", smooth(16, 16), "JPEG2000")
add("photo.ico", smooth(16, 16), "ICO")
with zipfile.ZipFile(sys.argv[1] + "/images-refused.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for name, raw in files.items():
        Image.open(io.BytesIO(raw)).convert("RGB")
        z.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), raw)
