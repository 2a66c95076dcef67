// Words come from the page, where they were translated; these functions only fill them in.

/** Fills `{placeholders}` of a text. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

const units = ["byte", "kilobyte", "megabyte", "gigabyte"];

/** Bytes for people, in the language of the page: "4.2 MB". One MB is 1024 × 1024 bytes, as the limits count. */
export function size(bytes) {
  let power = 0;
  let amount = bytes;
  while (amount >= 1024 && power < units.length - 1) {
    amount /= 1024;
    power += 1;
  }
  return new Intl.NumberFormat(document.documentElement.lang, {
    style: "unit",
    unit: units[power],
    unitDisplay: power === 0 ? "long" : "short",
    useGrouping: false,
    maximumFractionDigits: power === 0 || amount >= 100 ? 0 : 1,
  }).format(amount);
}
