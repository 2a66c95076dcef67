// A cable between browser and server that a journey can hold and cut: what breaks is a real connection.

import { createServer, connect } from "node:net";

/** Stands before the server at `address`. The browser is led here by the `args` that it is started with. */
export async function lay(address) {
  const { hostname, port } = new URL(address);
  const cable = new Cable(hostname, Number(port));
  const server = createServer((near) => cable.join(near));
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  cable.args = [`--host-resolver-rules=MAP ${hostname}:${port} 127.0.0.1:${server.address().port}`];
  cable.end = () => { cable.cut(); server.close(); };
  return cable;
}

class Cable {
  #ends = new Set();
  #isHeld = false;
  #isUnplugged = false;
  #passed = 0;
  /** After this many bytes of uploads the cable lets no more of them through, until it is released. */
  uploadBytesMax = Infinity;

  constructor(host, port) {
    Object.assign(this, { host, port });
  }

  join(near) {
    if (this.#isUnplugged) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(this.port, this.host);
    const end = { near, far, isUpload: false };
    this.#ends.add(end);
    near.on("data", (bytes) => {
      if (bytes.subarray(0, 16).toString("latin1").startsWith("PATCH /uploads")) end.isUpload = true;
      if (end.isUpload) this.#passed += bytes.length;
      far.write(bytes);
      if (end.isUpload && this.#passed >= this.uploadBytesMax) {
        this.#isHeld = true;
        near.pause();
      }
    });
    far.on("data", (bytes) => near.write(bytes));
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on("error", () => {});
      one.on("close", () => { other.destroy(); this.#ends.delete(end); });
    }
  }

  /** Everything passes again. */
  release() {
    this.#isUnplugged = false;
    this.uploadBytesMax = Infinity;
    this.#isHeld = false;
    this.#passed = 0;
    for (const { near } of this.#ends) near.resume();
  }

  get isHeld() {
    return this.#isHeld;
  }

  /** All connections break, and there are no new ones until it is released. */
  unplug() {
    this.#isUnplugged = true;
    this.cut();
  }

  /** All connections break, now. */
  cut() {
    for (const { near, far } of this.#ends) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }
}
