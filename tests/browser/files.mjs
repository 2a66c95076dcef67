// Files for journeys to send, and how to tell that they came back as they were.

import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { crc32, inflateRawSync } from "node:zlib";

export const MB = 1024 * 1024;

/** A file of noise: nothing on the way can guess it or make it smaller. */
export async function noise(folder, name, bytes) {
  const path = join(folder, name);
  const file = await open(path, "w");
  for (let left = bytes; left > 0; left -= MB) await file.write(randomBytes(Math.min(MB, left)));
  await file.close();
  return path;
}

/** A file that is large and takes no room. */
export async function hollow(folder, name, bytes) {
  const path = join(folder, name);
  await writeFile(path, "");
  await truncate(path, bytes);
  return path;
}

export async function digest(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Presses something that downloads; the SHA-256 of what came, its name and its path. */
export async function download(page, link) {
  const [coming] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const path = await coming.path();
  return { name: coming.suggestedFilename(), path, sha256: await digest(path) };
}

/** The files in a zip archive, by the directory at its end: name to SHA-256. Their checksums are checked. */
export async function unzip(path) {
  const zip = await readFile(path);
  const end = zip.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  const files = new Map();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, sum, packed] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 16), zip.readUInt32LE(at + 20)];
    const [name, extra, comment] = [zip.readUInt16LE(at + 28), zip.readUInt16LE(at + 30), zip.readUInt16LE(at + 32)];
    const start = zip.readUInt32LE(at + 42);
    const body = start + 30 + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28);
    const bytes = zip.subarray(body, body + packed);
    const plain = method === 0 ? bytes : inflateRawSync(bytes);
    if (crc32(plain) !== sum) throw new Error("a file of the archive is damaged");
    files.set(zip.toString("utf8", at + 46, at + 46 + name), createHash("sha256").update(plain).digest("hex"));
    at += 46 + name + extra + comment;
  }
  return files;
}

/** Drops files on the page, as from a folder of the desktop. */
export async function drop(page, files) {
  const dataTransfer = await page.evaluateHandle((files) => {
    const carried = new DataTransfer();
    for (const { name, text } of files) carried.items.add(new File([text], name, { type: "text/plain" }));
    return carried;
  }, files);
  await page.dispatchEvent("body", "dragover", { dataTransfer });
  await page.locator(".drop-veil").waitFor();
  await page.dispatchEvent("body", "drop", { dataTransfer });
}
