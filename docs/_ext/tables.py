"""Tables and formulas that a docstring sets apart by indentation keep their columns."""


def keep_columns(app, what, name, obj, options, lines):
    """Turn indented blocks into literal blocks, in place, up to the first underlined heading."""
    kept, inside = [], False
    for number, line in enumerate(lines):
        if what != "module" and line.startswith("---"):
            kept += lines[number:]
            break
        indented = line.startswith("    ")
        after_blank = bool(kept) and not kept[-1].strip()
        if indented and not inside and after_blank:
            kept += ["::", ""]
            inside = True
        elif line.strip() and not indented:
            inside = False
        kept.append(line)
    lines[:] = kept


def setup(app):
    """Go before the extension that reads headings."""
    app.connect("autodoc-process-docstring", keep_columns, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
