/** How like picture `a` is to `b`, both greys of the same size: mean SSIM of windows of 8x8, four apart, in the box that is lit in `b`. It runs in pages. */
export function likeness(a, b) {
  const { width, height } = b;
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0, n = 0; y < height; y++) {
    for (let x = 0; x < width; x++, n++) {
      if (b.grey[n] > 4) [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    }
  }
  let [sum, windows] = [0, 0];
  for (let y = top; y + 8 <= bottom; y += 4) {
    for (let x = left; x + 8 <= right; x += 4, windows++) {
      let [p, q, pp, qq, pq] = [0, 0, 0, 0, 0];
      for (let j = 0; j < 8; j++) {
        for (let i = 0, n = (y + j) * width + x; i < 8; i++, n++) {
          const [one, other] = [a.grey[n], b.grey[n]];
          p += one;
          q += other;
          pp += one * one;
          qq += other * other;
          pq += one * other;
        }
      }
      p /= 64;
      q /= 64;
      const [vp, vq, cov] = [pp / 64 - p * p, qq / 64 - q * q, pq / 64 - p * q];
      sum += ((2 * p * q + 6.5025) * (2 * cov + 58.5225)) / ((p * p + q * q + 6.5025) * (vp + vq + 58.5225));
    }
  }
  return windows ? sum / windows : 0;
}
