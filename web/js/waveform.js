// Waveforms as SVG: drawn once, they follow size, zoom and theme by themselves.

const COLUMNS = 600;
const LOOKS = 400; // samples looked at in a column and channel; all of them would take seconds
const SVG = "http://www.w3.org/2000/svg";

// The loudest sample of each column.
export function peaksOf(buffer) {
  const peaks = new Float32Array(COLUMNS);
  const width = buffer.length / COLUMNS;
  const step = Math.max(1, Math.floor(width / LOOKS));
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let column = 0; column < COLUMNS; column++) {
      const end = Math.min((column + 1) * width, samples.length);
      for (let at = Math.floor(column * width); at < end; at += step)
        peaks[column] = Math.max(peaks[column], Math.abs(samples[at]));
    }
  }
  return peaks;
}

// A waveform that fills its parent; share: the part of the song's length that the track lasts.
export function waveform(peaks, loudest, share) {
  const heights = [...peaks].map((peak) => Math.max(0.01, peak / (loudest || 1)).toFixed(3));
  const upper = heights.map((height, column) => `${column},-${height}`);
  const lower = heights.map((height, column) => `${column},${height}`).reverse();
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 -1 ${COLUMNS - 1} 2`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.style.width = `${100 * share}%`;
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${upper.join("L")}L${lower.join("L")}Z`);
  svg.append(path);
  return svg;
}
