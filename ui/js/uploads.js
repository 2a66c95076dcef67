// <seal-uploads>: files go to the server while the message is being written, and go on after a broken connection.

import { Upload } from "../vendor/tus.js";
import { csrf } from "./server.js";
import { fill, size } from "./words.js";

const AT_ONCE = 3;
const RETRY_MS = [0, 1000, 3000, 5000, 10_000, 20_000];

customElements.define("seal-uploads", class extends HTMLElement {
  #rows = new Set();
  #form = null;
  #sendWhenDone = false;

  connectedCallback() {
    this.#form = this.closest("form");
    this.input = this.querySelector("input[type=file]");
    this.list = this.querySelector(".upload-list");
    this.sum = this.querySelector(".upload-sum");
    this.faults = this.querySelector(".upload-faults");
    this.news = this.querySelector(".upload-news");
    this.send = this.#form.querySelector("#send");
    this.sendLabel = this.send.querySelector(".send-label");
    this.sendText = this.sendLabel.textContent;
    this.limit = Number(this.dataset.limitBytes);

    // Without a name the files stay out of the form: they have been sent already.
    this.input.removeAttribute("name");
    this.input.classList.add("is-covered");
    this.querySelector(".drop-hint").hidden = false;
    this.input.addEventListener("change", () => {
      this.#take([...this.input.files]);
      this.input.value = "";
    });
    for (const item of this.list.querySelectorAll("li[data-id]")) this.#adopt(item);
    this.#catchDrops();
    this.#form.addEventListener("submit", (event) => this.#hold(event), { capture: true });
    addEventListener("online", () => { for (const row of this.#rows) if (row.state === "broken") this.#again(row); });
    addEventListener("beforeunload", (event) => { if (this.#busy().length && this.#form.dataset.left !== "yes") event.preventDefault(); });
    this.#tell();
    if (this.input.files.length) this.#take([...this.input.files]);
  }

  #busy() {
    return [...this.#rows].filter((row) => ["waiting", "running", "broken"].includes(row.state));
  }

  #bytes() {
    return [...this.#rows].reduce((total, row) => total + (row.state === "failed" ? 0 : row.bytes), 0);
  }

  /** Takes new files, or says why not, before a byte is sent. */
  #take(files) {
    this.faults.replaceChildren();
    for (const file of files) {
      if (this.#rows.size >= Number(this.dataset.limitFiles)) {
        this.#complain(fill(this.dataset.tooMany, { limit: this.dataset.limitFiles }));
        break;
      }
      if (file.size === 0) this.#complain(fill(this.dataset.empty, { name: file.name }));
      else if (this.#bytes() + file.size > this.limit) this.#complain(fill(this.dataset.tooLarge, { name: file.name, size: size(file.size), limit: size(this.limit) }));
      else this.#add(file);
    }
    this.#next();
  }

  #complain(text) {
    const line = document.createElement("p");
    line.textContent = text;
    this.faults.append(line);
  }

  #add(file) {
    const item = this.querySelector("template").content.firstElementChild.cloneNode(true);
    const row = {
      item, file, bytes: file.size, state: "waiting", upload: null, id: null,
      note: item.querySelector(".upload-note"),
      bar: item.querySelector("progress"),
      verb: item.querySelector(".upload-verb"),
      again: item.querySelector(".upload-again"),
    };
    item.querySelector(".upload-name").textContent = file.name;
    for (const named of item.querySelectorAll(".upload-named")) named.textContent = ` ${file.name}`;
    row.bar.setAttribute("aria-label", fill(this.dataset.progress, { name: file.name }));
    row.note.textContent = this.dataset.waiting;
    item.querySelector(".upload-stop").addEventListener("click", () => this.#remove(row));
    row.again.addEventListener("click", () => this.#again(row));
    this.#rows.add(row);
    this.list.append(item);
    this.#tell();
  }

  /** A file that was in the draft when the page came: its button removes it without leaving the page. */
  #adopt(item) {
    const row = { item, bytes: Number(item.dataset.bytes), state: "done", id: item.dataset.id };
    this.#rows.add(row);
    item.querySelector("button").addEventListener("click", (event) => {
      event.preventDefault();
      this.#remove(row);
    });
  }

  #next() {
    const running = [...this.#rows].filter((row) => row.state === "running" || row.state === "broken").length;
    const waiting = [...this.#rows].filter((row) => row.state === "waiting");
    for (const row of waiting.slice(0, Math.max(0, AT_ONCE - running))) this.#start(row);
    this.#tell();
    if (this.#sendWhenDone && this.#busy().length === 0) this.#sendNow();
  }

  #start(row) {
    row.state = "running";
    row.note.textContent = size(row.bytes);
    row.upload = new Upload(row.file, {
      endpoint: `/drafts/${this.dataset.draft}/files`,
      headers: { "X-CSRF-Token": csrf() },
      metadata: { filename: row.file.name, filetype: row.file.type || "application/octet-stream" },
      retryDelays: RETRY_MS,
      // The library would keep file names in the browser's storage, where they outlive the message.
      storeFingerprintForResuming: false,
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        const again = status === 0 || status === 409 || status === 423 || status >= 500;
        if (again) {
          row.state = "broken";
          row.note.textContent = this.dataset.broken;
        }
        return again;
      },
      onProgress: (sent) => {
        row.state = "running";
        row.bar.value = sent / row.bytes;
        row.note.textContent = fill(this.dataset.sum, { used: size(sent), limit: size(row.bytes) });
      },
      onError: (error) => this.#fail(row, error.originalResponse?.getStatus() ?? 0),
      onSuccess: () => this.#done(row),
    });
    row.upload.start();
  }

  #done(row) {
    row.state = "done";
    row.id = new URL(row.upload.url, location.href).pathname.split("/").filter(Boolean).pop();
    row.item.classList.add("is-done");
    row.bar.remove();
    row.note.textContent = size(row.bytes);
    row.verb.textContent = row.verb.dataset.remove;
    this.news.textContent = fill(this.dataset.done, { name: row.file.name });
    history.replaceState(null, "", `/compose?draft=${encodeURIComponent(this.dataset.draft)}`);
    this.#next();
  }

  #fail(row, status) {
    row.state = status === 0 ? "broken" : "failed";
    row.item.classList.add("is-failed");
    row.again.hidden = status === 413;
    const text = { 0: this.dataset.failed, 401: this.dataset.signedOut, 403: this.dataset.signedOut, 413: this.dataset.refused };
    row.note.textContent = text[status] ?? this.dataset.failed;
    this.news.textContent = `${row.file.name}: ${row.note.textContent}`;
    if (this.#sendWhenDone) this.#release();
    this.#next();
  }

  #again(row) {
    row.item.classList.remove("is-failed");
    row.again.hidden = true;
    row.state = "running";
    row.upload.start();
    this.#tell();
  }

  async #remove(row) {
    const name = row.item.querySelector(".upload-name").textContent;
    if (row.state === "done") {
      const response = await fetch(`/drafts/${this.dataset.draft}/files/${row.id}`, {
        method: "DELETE",
        headers: { "X-CSRF-Token": csrf() },
        credentials: "same-origin",
        redirect: "manual",
      }).catch(() => null);
      if (!response || (!response.ok && response.status !== 404)) {
        this.faults.replaceChildren();
        this.#complain(response?.status === 401 ? this.dataset.signedOut : this.dataset.notRemoved);
        return;
      }
    } else if (row.upload) {
      // Ends the transfer and tells the server to forget what it has; if that fails the server forgets it later by itself.
      row.upload.abort(true).catch(() => {});
    }
    this.#rows.delete(row);
    row.item.remove();
    this.news.textContent = fill(this.dataset.removed, { name });
    this.input.focus();
    this.#next();
  }

  /** Shows the sum, and on the button how many files are still on their way. */
  #tell() {
    const used = this.#bytes();
    this.list.hidden = this.#rows.size === 0;
    this.sum.hidden = this.#rows.size === 0;
    this.sum.querySelector("meter").value = used;
    this.sum.querySelector(".hint").textContent = fill(this.dataset.sum, { used: size(used), limit: size(this.limit) });
    if (!this.#sendWhenDone) return;
    const count = this.#busy().length;
    this.sendLabel.textContent = fill(count === 1 ? this.dataset.waitOne : this.dataset.waitMany, { count });
  }

  /** Send was pressed while files are on their way: wait for them, then send by itself. */
  #hold(event) {
    const failed = [...this.#rows].find((row) => row.state === "failed");
    if (event.submitter === this.send && failed) {
      // Nobody should believe that a file went along when it did not.
      event.preventDefault();
      this.faults.replaceChildren();
      this.#complain(fill(this.dataset.missing, { name: failed.file.name }));
      return;
    }
    if (event.submitter !== this.send || this.#busy().length === 0) {
      this.#form.dataset.held = "no";
      this.#form.dataset.left = "yes";
      return;
    }
    event.preventDefault();
    this.#form.dataset.held = "yes";
    this.#sendWhenDone = true;
    this.send.disabled = true;
    this.#tell();
    this.news.textContent = this.sendLabel.textContent;
  }

  #release() {
    this.#sendWhenDone = false;
    this.send.disabled = false;
    this.sendLabel.textContent = this.sendText;
  }

  #sendNow() {
    this.#release();
    this.#form.requestSubmit(this.send);
  }

  #catchDrops() {
    const veil = this.querySelector(".drop-veil");
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      veil.hidden = false;
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
    addEventListener("drop", (event) => {
      veil.hidden = true;
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.#take([...event.dataTransfer.files]);
    });
  }
});
