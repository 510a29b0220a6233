"""Draw the cat on the beach that the CLIP recipe compares: configs/cat-on-the-beach.png."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = 896
TARGET = Path(__file__).parents[1] / "configs" / "cat-on-the-beach.png"

FUR, DARK, CREAM = (224, 132, 52), (150, 78, 24), (250, 224, 186)


def main() -> None:
    image = Image.new("RGB", (SIZE, SIZE), (150, 208, 244))
    draw = ImageDraw.Draw(image)
    _beach(draw)
    _cat(draw)
    small = image.resize((224, 224), Image.Resampling.LANCZOS)
    small.quantize(64, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


def _beach(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((680, 60, 820, 200), fill=(255, 236, 120))
    draw.rectangle((0, 330, SIZE, 560), fill=(38, 128, 190))
    for top in (370, 430, 490):
        for left in range(-40, SIZE, 160):
            draw.arc((left, top, left + 160, top + 40), 200, 340, fill=(180, 222, 244), width=8)
    draw.polygon(
        [(0, 540), (300, 520), (620, 550), (SIZE, 520), (SIZE, SIZE), (0, SIZE)],
        fill=(244, 250, 252),
    )
    draw.polygon(
        [(0, 562), (300, 542), (620, 572), (SIZE, 542), (SIZE, SIZE), (0, SIZE)],
        fill=(236, 208, 150),
    )
    for x, y in ((90, 680), (200, 800), (760, 700), (680, 830), (820, 790), (120, 850)):
        draw.ellipse((x, y, x + 26, y + 12), fill=(206, 176, 118))


def _cat(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((230, 770, 700, 850), fill=(206, 176, 118))  # its shadow
    draw.arc((540, 560, 760, 820), 300, 110, fill=FUR, width=46)  # the tail
    draw.ellipse((300, 460, 600, 830), fill=FUR)  # body
    draw.ellipse((380, 560, 520, 820), fill=CREAM)  # chest
    for x in (350, 466):
        draw.ellipse((x, 640, x + 84, 834), fill=FUR)  # front legs
        draw.ellipse((x - 8, 790, x + 92, 842), fill=CREAM)  # paws
    for outer, inner in (((300, 150), (330, 205)), ((600, 150), (570, 205))):
        side = 1 if outer[0] < 450 else -1
        draw.polygon([outer, (outer[0] + side * 20, 340), (outer[0] + side * 140, 250)], fill=FUR)
        draw.polygon(
            [inner, (inner[0] + side * 8, 310), (inner[0] + side * 80, 260)], fill=(240, 170, 150)
        )
    draw.ellipse((286, 220, 614, 510), fill=FUR)  # head
    for x in (400, 436, 472):
        draw.line((x + 14, 226, x + 14, 290), fill=DARK, width=14)  # stripes
    for y in (560, 610, 660):
        draw.arc((300, y, 380, y + 60), 150, 260, fill=DARK, width=12)
        draw.arc((520, y, 600, y + 60), 280, 30, fill=DARK, width=12)
    draw.ellipse((370, 390, 530, 500), fill=CREAM)  # muzzle
    for x in (352, 488):
        draw.ellipse((x, 320, x + 62, 386), fill=(120, 190, 70))
        draw.ellipse((x + 22, 324, x + 42, 382), fill=(16, 16, 16))
    draw.polygon([(430, 404), (472, 404), (451, 430)], fill=(226, 110, 110))  # nose
    draw.arc((404, 414, 452, 464), 20, 160, fill=DARK, width=8)
    draw.arc((450, 414, 498, 464), 20, 160, fill=DARK, width=8)
    for y in (420, 446, 472):
        draw.line((250, y - (446 - y), 390, 440 + (y - 446) // 3), fill=(90, 60, 40), width=5)
        draw.line((512, 440 + (y - 446) // 3, 652, y - (446 - y)), fill=(90, 60, 40), width=5)


if __name__ == "__main__":
    sys.exit(main())
