/** A picture as it will stand in OHIF's pane, with what is to be said of it: that it is a preview, and whose. */
import type { Picture } from './viewer.ts';

/** A canvas, and how many of its pixels are one of the page's. */
export interface Sheet {
  context: OffscreenCanvasRenderingContext2D;
  scale: number;
}

/** What is drawn: a level of the image, or the whole. */
export interface Drawing {
  image: CanvasImageSource & { width: number; height: number };
  picture: Pick<Picture, 'columns' | 'rows' | 'spacing'>;
  /** Of a level that a wavelet made; `undefined` where the image was scaled otherwise. */
  level?: number | undefined;
  words: string;
}

export const NOTICE = 'Preview, not for diagnosis: the viewer is loading';
const FONT = 'Inter, system-ui, sans-serif';

/** Draws over all of the sheet. */
export function compose({ context, scale }: Sheet, drawing: Drawing): void {
  const { width, height } = context.canvas;
  context.fillStyle = '#000';
  context.fillRect(0, 0, width, height);
  drawImage(context, drawing);
  say(context, scale, NOTICE, { weight: 600, ink: '#1a1200', ground: '#ffb020', radius: 12, x: 'middle' });
  if (drawing.words) say(context, scale, drawing.words, { weight: 400, ink: '#d7e3f4', ground: '#000a', radius: 6, x: 'left' });
}

/** As large as fits, in the middle: as Cornerstone3D begins. */
function drawImage(context: OffscreenCanvasRenderingContext2D, { image, picture, level }: Drawing): void {
  const { width, height } = context.canvas;
  const { columns, rows, spacing } = picture;
  // Pixels need not be square.
  const ratio = spacing ? spacing.row / spacing.column : 1;
  const across = Math.min(width / columns, height / (rows * ratio));
  const down = across * ratio;
  const [left, top] = [(width - columns * across) / 2, (height - rows * down) / 2];
  context.save();
  context.beginPath();
  context.rect(left, top, columns * across, rows * down);
  context.clip();
  if (level === undefined) {
    context.drawImage(image, left, top, columns * across, rows * down);
  } else {
    // Sample n of a level stands where pixel n * 2^level does (T.800 annex F), not in the middle of those that it stands for.
    const step = 2 ** level;
    const before = (step - 1) / 2;
    context.drawImage(image, left - before * across, top - before * down, image.width * step * across, image.height * step * down);
  }
  context.restore();
}

interface Look {
  weight: number;
  ink: string;
  ground: string;
  radius: number;
  x: 'left' | 'middle';
}

/** One line of words: in the middle of the upper edge, or in the lower left corner. */
function say(context: OffscreenCanvasRenderingContext2D, scale: number, words: string, { weight, ink, ground, radius, x }: Look): void {
  const { width, height } = context.canvas;
  context.font = `${weight} ${13 * scale}px ${FONT}`;
  const wide = Math.min(context.measureText(words).width + 24 * scale, width - 16 * scale);
  const high = 24 * scale;
  const [left, top] = x === 'middle' ? [(width - wide) / 2, 8 * scale] : [8 * scale, height - high - 8 * scale];
  context.fillStyle = ground;
  context.beginPath();
  context.roundRect(left, top, wide, high, radius * scale);
  context.fill();
  context.fillStyle = ink;
  context.textBaseline = 'middle';
  context.fillText(words, left + 12 * scale, top + high / 2 + scale, wide - 24 * scale);
}
