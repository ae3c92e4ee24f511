// A mask as a palette PNG: pixels are classes, and the palette gives them colours, as `scratchnet segment` writes it.

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function pngChunk(type, data) {
  const chunk = new Uint8Array(data.length + 12), view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  chunk.set([...type].map((letter) => letter.charCodeAt(0)), 4);
  chunk.set(data, 8);
  view.setUint32(8 + data.length, crc32(chunk.subarray(4, 8 + data.length)));
  return chunk;
}

// Return the bytes of the file; `colours` is a list of [r, g, b].
async function maskPng(mask, height, width, colours) {
  const header = new Uint8Array(13), view = new DataView(header.buffer), lines = new Uint8Array(height * (width + 1));
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 3], 8); // eight bits per pixel, of a palette
  for (let y = 0; y < height; y++) lines.set(mask.subarray(y * width, (y + 1) * width), y * (width + 1) + 1); // after filter 0
  const stream = new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const chunks = [pngChunk("IHDR", header), pngChunk("PLTE", Uint8Array.from(colours.flat())), pngChunk("IDAT", packed), pngChunk("IEND", new Uint8Array())];
  return new Uint8Array(await new Blob([signature, ...chunks]).arrayBuffer());
}
