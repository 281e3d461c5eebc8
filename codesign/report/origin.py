"""The section of report.html on the file of another tool that a network is from."""

from html import escape

from codesign.report.view import View


def origin_section(view: View) -> str:
    """Return the section; nothing if the network is from no such file."""
    origin = view.origin
    if origin is None:
        return ""
    exact = all(error == 0 for _, _, error in origin.layers)
    what = f"{origin.verdict}. The file's input lies as {origin.input_axes}, its output as {origin.output_axes}; "
    what += "here both are NHWC. "
    what += (
        "Every scale is exact, so sums are scaled and rounded as in the file."
        if exact
        else "Scales are multipliers of 16 bits and a shift. The last column says how far a scaled sum is off at most, "
        "before it is rounded, in steps of the output. So a layer differs by at most one step."
    )
    rows = "".join(
        f"<tr><td>{escape(node)}</td><td>{escape(source)}</td><td>{error:.4f}</td></tr>"
        for node, source, error in origin.layers
    )
    head = "<thead><tr><th>node</th><th>in the file</th><th>off by at most</th></tr></thead>"
    table = f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'
    return f"<section><h2>The file</h2><p>{escape(what)}</p>{table}</section>"
