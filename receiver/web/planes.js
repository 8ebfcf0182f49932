/** Pictures as their planes, 4:2:0 of 8 bits. */

/**
 * @typedef {{width: number, height: number, y: Uint8Array, u: Uint8Array, v: Uint8Array}} Planes
 *   `width` and `height` are those of the first; the others have half of it each way, rounded up.
 */

/**
 * Copies a decoded picture.
 * @param {VideoFrame} frame
 * @param {number} width even, what the picture should have
 * @param {number} height even
 * @returns {Promise<Planes>}
 */
export async function planesOf(frame, width, height) {
  const { width: w, height: h } = frame.visibleRect;
  if (w !== width || h !== height) throw new Error(`a picture of ${w}×${h} in place of ${width}×${height}`);
  const luma = width * height;
  const data = new Uint8Array(luma * 1.5);
  const y = data.subarray(0, luma);
  if (frame.format === "NV12") {
    await frame.copyTo(data, { layout: [{ offset: 0, stride: width }, { offset: luma, stride: width }] });
    return { width, height, y, ...separated(data.subarray(luma)) };
  }
  if (frame.format !== "I420") throw new Error(`decoded pictures of the format ${frame.format} are not known`);
  await frame.copyTo(data, { layout: layoutOf(width, height) });
  return { width, height, y, u: data.subarray(luma, luma * 1.25), v: data.subarray(luma * 1.25) };
}

/**
 * The top left part.
 * @param {Planes} planes
 * @param {number} width
 * @param {number} height
 * @returns {Planes}
 */
export function cropped({ width: stride, y, u, v }, width, height) {
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  return { width, height, y: part(y, stride, width, height), u: part(u, stride / 2, w, h), v: part(v, stride / 2, w, h) };
}

/**
 * A picture that can be drawn; whoever gets it has to close it.
 * @param {Planes} planes even sides
 * @param {VideoColorSpaceInit} colorSpace
 * @param {number} timestamp
 * @returns {VideoFrame}
 */
export function frameOf({ width, height, y, u, v }, colorSpace, timestamp) {
  const data = new Uint8Array(y.length + u.length + v.length);
  data.set(y);
  data.set(u, y.length);
  data.set(v, y.length + u.length);
  const [codedWidth, codedHeight, layout] = [width, height, layoutOf(width, height)];
  return new VideoFrame(data, { format: "I420", codedWidth, codedHeight, layout, colorSpace, timestamp });
}

/**
 * Draws the part of a picture that is to be seen.
 * @param {CanvasRenderingContext2D} context its canvas has the size of that part
 * @param {VideoFrame} frame
 */
export function draw(context, frame) {
  const { width, height } = context.canvas;
  context.drawImage(frame, 0, 0, width, height, 0, 0, width, height);
}

function layoutOf(width, height) {
  const luma = width * height;
  const stride = width / 2;
  return [{ offset: 0, stride: width }, { offset: luma, stride }, { offset: luma * 1.25, stride }];
}

function separated(pairs) {
  const [u, v] = [new Uint8Array(pairs.length / 2), new Uint8Array(pairs.length / 2)];
  for (let index = 0; index < u.length; index += 1) {
    u[index] = pairs[2 * index];
    v[index] = pairs[2 * index + 1];
  }
  return { u, v };
}

function part(plane, stride, width, height) {
  const found = new Uint8Array(width * height);
  for (let row = 0; row < height; row += 1) {
    found.set(plane.subarray(row * stride, row * stride + width), row * width);
  }
  return found;
}
