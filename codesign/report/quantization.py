"""The section of report.html on quantization after training: where a network lost accuracy."""

from html import escape

from codesign.report import svg
from codesign.report.view import Loss, View

_MOST_DB = 90.0  # of a bar; more is as good as nothing lost


def quantization_section(view: View) -> str:
    """Return the section; nothing if the network was not quantized here."""
    made = view.quantization
    if made is None:
        return ""
    what = (
        f"The float network was quantized by {made.data}. Each row is a place where the machine rounds. The first "
        "ratio is of signal to quantization noise in what the place gives, with all before it quantized too. The "
        "second is at the network's output, with this place alone quantized: few decibels say that it loses much."
    )
    labelled = any(loss.alone_accuracy is not None for loss in made.losses)
    titles = ["place", "operator", "bits of weights", "of its map", "SQNR", "SQNR at the output, alone"]
    titles += ["accuracy, alone"] if labelled else []
    head = f"<thead><tr>{''.join(f'<th>{title}</th>' for title in titles)}</tr></thead>"
    rows = "".join(_row(loss, labelled) for loss in made.losses)
    table = f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'
    return f"<section><h2>Quantization</h2><p>{escape(what)}</p>{_bars(made.losses)}{table}</section>"


def _row(loss: Loss, labelled: bool) -> str:
    cells = [escape(loss.name), escape(loss.operator)]
    cells += ["" if bits is None else str(bits) for bits in (loss.weight_bits, loss.map_bits)]
    cells += ["exact" if ratio is None else f"{ratio:.1f} dB" for ratio in (loss.sqnr_db, loss.alone_sqnr_db)]
    if labelled:
        cells.append("" if loss.alone_accuracy is None else f"{loss.alone_accuracy:.2%}")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _bars(losses: tuple[Loss, ...]) -> str:
    """Draw the noise at the output that each place makes alone."""
    left, width, height = 150.0, 560.0, 18.0
    parts = [svg.text(0, 14, "SQNR at the output with one place alone quantized, dB", "chart-title")]
    for tick in range(0, int(_MOST_DB) + 1, 15):
        x = left + (width - left - 40) * tick / _MOST_DB
        parts += [
            svg.line(x, 22, x, 26 + height * len(losses), "grid"),
            svg.text(x, 40 + height * len(losses), str(tick), "axis", "middle"),
        ]
    for i, loss in enumerate(losses):
        y = 26 + height * i
        ratio = _MOST_DB if loss.alone_sqnr_db is None else min(max(loss.alone_sqnr_db, 0.0), _MOST_DB)
        told = "exact" if loss.alone_sqnr_db is None else f"{loss.alone_sqnr_db:.1f}"
        bar = (width - left - 40) * ratio / _MOST_DB
        parts += [
            svg.text(left - 6, y + 12, loss.name[-22:], "axis", "end"),
            svg.rect(left, y + 2, bar, height - 5, "bar", tip=f"{loss.name}: {told}"),
            svg.text(left + bar + 4, y + 12, told, "small"),
        ]
    figure = svg.figure(width, 48 + height * len(losses), "noise at the output by place", parts)
    return f'<div class="scroll">{figure}</div>'
