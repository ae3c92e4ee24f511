// The objects as a CSV table; its first columns are named as those of `scratchnet measure`.

const COLUMNS = ["image", "object", "class", "area_px", "centroid_row_px", "centroid_column_px", "box_top_px", "box_left_px", "box_height_px", "box_width_px"];

// Quote what would break a row. A text that a spreadsheet would compute as a formula gets an apostrophe.
function csvCell(value) {
  if (typeof value === "number") return String(Number(value.toPrecision(8)));
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function objectTable(name, objects, classes) {
  const rows = objects.map((object, i) => [name, i + 1, classes[object.class], object.area, object.row, object.column, object.top, object.left, object.height, object.width]);
  return [COLUMNS, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}
