// Arrays written by Python: base64 of deflated bytes, for floats the most significant bytes of all values first.

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function inflateFloats(text, precision = "float32") {
  const bytes = await inflate(text), width = precision === "float16" ? 2 : 4, count = bytes.length / width;
  const bits = new Uint32Array(count);
  for (let plane = 0; plane < width; plane++) for (let i = 0; i < count; i++) bits[i] = (bits[i] << 8) | bytes[plane * count + i];
  return width === 4 ? new Float32Array(bits.buffer) : Float32Array.from(bits, fromHalf);
}

// The value of a float16: sign, five bits of exponent, ten of fraction.
function fromHalf(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
  return bits & 0x8000 ? -size : size;
}
