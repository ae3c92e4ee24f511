"""Preserve the columns of indented tables and formulas in docstrings."""


def keep_columns(app, what, name, obj, options, lines):
    """Turn indented blocks into literal blocks, in place, up to the first underlined heading."""
    output, inside = [], False
    for number, line in enumerate(lines):
        if what != "module" and line.startswith("---"):
            output += lines[number:]
            break
        indented = line.startswith("    ")
        after_blank = bool(output) and not output[-1].strip()
        if indented and not inside and after_blank:
            output += ["::", ""]
            inside = True
        elif line.strip() and not indented:
            inside = False
        output.append(line)
    lines[:] = output


def setup(app):
    """Register the handler to run before the extension that parses headings."""
    app.connect("autodoc-process-docstring", keep_columns, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
