// An image from a file, the clipboard or the camera, as RGB pixels.

// Return {name, pixels, height, width, note} of a file; Error with a sentence for the user if it cannot be read.
async function readImage(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    const tiff = /\.tiff?$/i.test(file.name);
    throw new Error(`${file.name}: this browser cannot read it as an image; choose a PNG, JPEG, WebP, GIF or BMP file${tiff ? " (convert the TIFF first)" : ""}.`);
  }
  const image = pixelsOf(bitmap, bitmap.height, bitmap.width, file.name);
  bitmap.close();
  return image;
}

// Return the pixels of a bitmap or a video, scaled down if there is a limit to its size.
function pixelsOf(source, height, width, name) {
  const [h, w] = limitedSize(height, width, page.settings);
  if (Math.min(h, w) < page.settings.smallest) {
    const scaled = h === height ? "" : `, ${h}×${w} when scaled down`, least = page.settings.smallest;
    throw new Error(`${name}: has ${height}×${width} pixels${scaled}; the network needs at least ${least}×${least}. Choose a larger image.`);
  }
  const canvas = new OffscreenCanvas(w, h), context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // transparent pixels become white
  context.fillRect(0, 0, w, h);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, w, h);
  const { data } = context.getImageData(0, 0, w, h), pixels = new Uint8Array(3 * h * w);
  for (let p = 0; p < h * w; p++) for (let c = 0; c < 3; c++) pixels[3 * p + c] = data[4 * p + c];
  const note = h === height ? "" : `Scaled down from ${height}×${width} to ${h}×${w} pixels: ${page.settings.reason}. Areas and positions are those of the smaller image.`;
  return { name, pixels, height: h, width: w, note };
}

// The size (rows, columns) at which an image is segmented.
function limitedSize(height, width, { pixels, box }) {
  const share = Math.min(1, Math.sqrt(pixels / (height * width)), ...(box ? [box[0] / height, box[1] / width] : []));
  return share === 1 ? [height, width] : [height, width].map((length) => Math.max(1, Math.floor(length * share)));
}

let camera = null;

async function openCamera() {
  if (!navigator.mediaDevices) throw new Error("The camera is not available to pages opened from a file in this browser; take a picture and choose its file.");
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    throw new Error(denied ? "The camera was not allowed; allow it in the browser's address bar, or choose a file." : "No camera was found; choose a file.");
  }
  byId("video").srcObject = camera;
  await byId("video").play();
}

function closeCamera() {
  camera?.getTracks().forEach((track) => track.stop());
  camera = null;
  byId("video").srcObject = null;
}

function takePicture() {
  const video = byId("video");
  return pixelsOf(video, video.videoHeight, video.videoWidth, `camera-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`);
}
