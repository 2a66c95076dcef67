// Words come from the page, where they were translated; these functions only fill them in.

/** Fills `{placeholders}` of a text. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

const UNITS = ["KB", "MB", "GB"];

/** Bytes for people, as the server says it: "4.2 MB". One MB is 1024 × 1024 bytes, as the limits count. */
export function size(bytes) {
  if (bytes < 1024) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const at = UNITS.findLastIndex((_, power) => power === 0 || bytes >= 0.99 * 1024 ** (power + 1));
  const tenths = Math.round((bytes * 10) / 1024 ** (at + 1));
  return `${tenths < 1000 ? tenths / 10 : Math.round(tenths / 10)} ${UNITS[at]}`;
}
