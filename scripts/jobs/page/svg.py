# SPDX-License-Identifier: Apache-2.0
"""Draws plots with Matplotlib: as SVG that follows the page's colours, and as PNG for other texts.

A plot is drawn in the colours of the light page. In the SVG each colour becomes a variable of the
page's style sheet, so that the same plot serves light, dark and print. Text stays text.
"""

import io
import itertools
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import matplotlib.colors
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

# A plot is as wide as a phone. On larger screens it is scaled up, and plots stand side by side.
WIDTH = 320  # points, which are the SVG's units
_POINTS = 72  # points in an inch
_SCALE = 1.25  # pixels of the PNG for a point
TEXT = 9.5  # the font size of plots, in points; page.css has the same number

# Name in the style sheet -> colour on the light page. People with any kind of colour vision can
# tell blue from orange, and what has these colours differs in shape or hatching too.
COLOURS = {
    "ink": "#1c2329",
    "muted": "#586069",
    "grid": "#dce1e6",
    "blue": "#0b62a4",
    "orange": "#b34700",
    "purple": "#7b3aa0",
    "sky": "#8fc1e3",
    "panel": "#ffffff",
}
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "hatch.linewidth": 0.8,
    "hatch.color": COLOURS["panel"],
    "legend.frameon": False,
    "legend.fontsize": TEXT,
    "savefig.facecolor": COLOURS["panel"],
}
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
# Declarations that are the default in SVG or in the page's style sheet (.plot, .plot text).
_DEFAULTS = {"stroke-linejoin": "miter", "stroke-opacity": "1", "fill-opacity": "1",
             "stroke-linecap": "square", "text-anchor": "start", "font-size": f"{TEXT:g}px"}


def new_figure(height):
    """A figure of WIDTH by height points."""
    figure = Figure(figsize=(WIDTH / _POINTS, height / _POINTS))
    FigureCanvasAgg(figure)
    return figure


@dataclass(frozen=True)
class Caption:
    """The text above a PNG, which readers may see without its page: the plot's title; a note that
    says when and on what machine its values were measured; and the key: (sign, name in COLOURS,
    meaning)."""
    title: str = ""
    note: str = ""
    key: tuple = ()


def _write_above(figure, caption):
    """Adds the caption and returns the box, in inches, that holds plot and caption."""
    width, height = (_POINTS * inches for inches in figure.get_size_inches())
    lines = [caption.title, caption.note, caption.key]
    top = height + 8 + 14 * sum(1 for line in lines if line)
    place = top
    for line, style in zip(lines, ({"weight": "bold", "size": TEXT + 1.5},
                                   {"color": COLOURS["muted"], "size": TEXT - 1.5}, {})):
        if not line:
            continue
        place -= 14
        left = 2
        for sign, colour, words in [("", "ink", line)] if isinstance(line, str) else line:
            for part, shade in ((sign, colour), (words, "ink")):
                if part:
                    made = figure.text(left / width, place / height, part,
                                       **{"color": COLOURS[shade], "va": "baseline", **style})
                    box = made.get_window_extent(figure.canvas.get_renderer())
                    left += box.width * _POINTS / figure.dpi + (3 if part == sign else 9)
    return Bbox([[0, 0], [width / _POINTS, top / _POINTS]])


def draw(name, function, caption=Caption()):
    """Calls function() -> Figure in the report's style; returns (SVG text, PNG bytes)."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = function()
        vector, raster = io.BytesIO(), io.BytesIO()
        figure.savefig(vector, format="svg", transparent=True,
                       metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        figure.savefig(raster, format="png", dpi=_SCALE * _POINTS, metadata={"Software": None},
                       bbox_inches=_write_above(figure, caption))
    return clean(vector.getvalue(), name), _shrink(raster)


def _palette():
    """The page's colours, and for each two steps to white, which smooth the edges."""
    image = Image.new("P", (1, 1))
    entries = []
    for colour in COLOURS.values():
        whole = matplotlib.colors.to_rgb(colour)
        for share in (0.35, 0.7, 1):
            entries += [round(255 * (1 - share * (1 - part))) for part in whole]
    image.putpalette(entries)
    return image


def _shrink(raster):
    """Gives the PNG a palette, which is enough for flat colours. The file is then a third of the
    size."""
    small = io.BytesIO()
    Image.open(raster).convert("RGB").quantize(
        palette=_palette(), dither=Image.Dither.NONE).save(small, format="PNG", optimize=True)
    return small.getvalue()


def _declarations(element):
    style = element.attrib.pop("style", "")
    return dict(part.strip().split(": ", 1) for part in style.split(";") if ": " in part)


def _restyle(element):
    """Replaces colours by the style sheet's names, uses the page's font, and drops defaults."""
    declarations = _declarations(element)
    # Matplotlib 3.6 writes one declaration for the font, and 3.10 writes one for each property of
    # the font.
    declarations.pop("font-family", None)
    font = declarations.pop("font", None)
    if font:
        size = re.search(r"([\d.]+)px", font)
        assert size, font
        declarations["font-size"] = f"{float(size[1]):g}px"
        weight = re.search(r"\b(bold|[5-9]00)\b", font)
        if weight:
            declarations["font-weight"] = weight[1]
    for key, value in list(declarations.items()):
        if _DEFAULTS.get(key) == value:
            del declarations[key]
        elif value in _VARIABLES:
            declarations[key] = _VARIABLES[value]
    for key in ("fill", "stroke"):  # some versions of Matplotlib have both as attributes of text
        if element.get(key) in _VARIABLES:
            declarations[key] = _VARIABLES[element.attrib.pop(key)]
    if element.tag == _SVG + "text" and declarations.get("fill") == "var(--ink)":
        del declarations["fill"]
    if declarations:
        element.set("style", ";".join(f"{key}:{value}" for key, value in declarations.items()))


_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_NUMBER = re.compile(r"-?\d+\.\d{2,}")


def _round(text):
    """Rounds to one decimal: nobody sees a tenth of a point, and diffs stay small."""
    return _NUMBER.sub(lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), text)


def _tidy(element, name, used):
    """Changes attributes as the page needs them."""
    identifier = element.attrib.pop("id", None)
    element.attrib.pop("clip-path", None)  # all that is drawn lies inside the axes
    _restyle(element)
    for key, value in list(element.attrib.items()):
        if key == _XLINK:
            del element.attrib[key]
            element.set("href", value.replace("#", f"#{name}-"))
        elif key == "style":
            element.set(key, _round(value).replace("url(#", f"url(#{name}-"))
        elif key == "d":
            element.set(key, re.sub(r" ?([A-Za-z]) ?", r"\1", _round(" ".join(value.split()))))
        elif key == "transform" and re.fullmatch(r"rotate\(-?0 [^)]*\)", value):
            del element.attrib[key]
        else:
            element.set(key, _round(value))
    if identifier in used:
        element.set("id", f"{name}-{identifier}")


def _is_invisible(element):
    style = element.get("style", "")
    return (element.tag == _SVG + "path" and "fill:none" in style and "stroke:" not in style
            and not element.get("id"))


def _flatten(element):
    """Removes groups without attributes (their content moves up), and elements that draw
    nothing."""
    kept = []
    for child in list(element):
        _flatten(child)
        if (child.tag in (_SVG + "g", _SVG + "defs") and not len(child)) or _is_invisible(child):
            continue
        if child.tag == _SVG + "g" and not child.attrib:
            kept += list(child)
        else:
            kept.append(child)
        child.tail = None
    element[:] = kept
    element.text = element.text if element.tag == _SVG + "text" else None


def _share_styles(root):
    """Puts three or more neighbours that have one style, and no children, into a group that has the
    style once."""
    made = []
    for style, neighbours in itertools.groupby(root, key=lambda child: child.get("style")):
        run = list(neighbours)
        if style is None or len(run) < 3 or any(len(child) for child in run):
            made += run
            continue
        group = ElementTree.Element(_SVG + "g", {"style": style})
        for child in run:
            del child.attrib["style"]
            group.append(child)
        made.append(group)
    root[:] = made


def _used(root):
    """The ids that something refers to. References to clip paths do not count, since clean() leaves
    clip paths out."""
    texts = [element.get(key, "") for element in root.iter() for key in (_XLINK, "style", "fill")]
    return set(re.findall(r"#([\w-]+)", " ".join(texts)))


def clean(data, name):
    """Makes Matplotlib's SVG fit for the page: one element on a line, no metadata, colours and font
    from the page, and only the ids that are used, with the plot's name in them."""
    root = ElementTree.fromstring(data)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (_SVG + "metadata", _SVG + "style", _SVG + "clipPath"):
                parent.remove(child)
    used = _used(root)
    for element in root.iter():
        _tidy(element, name, used)
    _flatten(root)
    _share_styles(root)
    view = root.get("viewBox", "")
    root.attrib.clear()
    for key, value in (("viewBox", view), ("class", "plot"), ("role", "img"),
                       ("aria-labelledby", f"{name}-title {name}-text")):
        root.set(key, value)
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub(r' xmlns:?\w*="[^"]*"', "", text).replace(" />", "/>")
    text = re.sub(r"(</?)ns\d+:", r"\1", text)
    return re.sub(r"(?<=>)(?=<(?!/text))", "\n", text)
