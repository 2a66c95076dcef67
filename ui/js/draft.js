// <seal-draft>: saves what is being written, two seconds after the last change and when the page is left.

import { isSignedOut, post } from "./server.js";
import { fill } from "./words.js";

const PAUSE_MS = 2000;
const RETRY_MS = 10_000;
// Browsers refuse a request that outlives its page when it is larger than 64 KiB.
const KEEPALIVE_BYTES = 60_000;
// The form's own affairs; everything else in it is the draft.
const UNSAVED_FIELDS = ["", "csrf", "draft", "revision", "files[]", "action"];

customElements.define("seal-draft", class extends HTMLElement {
  #timer = 0;
  #changed = false;
  #saving = null;
  #stopped = false;

  connectedCallback() {
    this.form = this.querySelector("form");
    this.note = this.querySelector(".saved");
    this.conflict = this.querySelector(".draft-conflict");
    this.out = this.querySelector(".draft-out");

    this.form.addEventListener("input", (event) => this.#touch(event.target));
    this.form.addEventListener("change", (event) => this.#touch(event.target));
    // The form itself saves everything; a save still under way would only make its revision stale.
    this.form.addEventListener("submit", () => setTimeout(() => { this.#stopped = this.form.dataset.held !== "yes"; clearTimeout(this.#timer); }));
    // Enter in a line of text is a slip, not a wish to leave the page.
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("input") && !event.isComposing) event.preventDefault();
    });
    addEventListener("pagehide", () => this.#last());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.save(); });
    addEventListener("pageshow", (event) => { if (event.persisted) this.#stopped = false; });
    this.querySelector(".draft-keep").addEventListener("click", () => {
      this.conflict.hidden = true;
      this.#changed = true;
      this.save(true);
    });
    this.#count();
    // What was typed before this script arrived, or put back by the browser, is a change as well.
    for (const field of this.form.elements) {
      if ("defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue) this.#touch(field);
    }
  }

  /** Saves now if anything changed. Resolves to whether everything is safe. */
  async save(force = false) {
    clearTimeout(this.#timer);
    if (this.#saving) await this.#saving;
    if (!this.#changed || this.#stopped) return true;
    if (!force && !this.conflict.hidden) return false;
    this.#changed = false;
    this.#saving = this.#send(force);
    const safe = await this.#saving;
    this.#saving = null;
    if (!safe) this.#changed = true;
    return safe;
  }

  #touch(field) {
    if (UNSAVED_FIELDS.includes(field.name)) return;
    this.#changed = true;
    this.#count();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.save(), PAUSE_MS);
  }

  #fields(force) {
    const all = new FormData(this.form);
    const fields = { revision: all.get("revision") };
    for (const [name, value] of all) if (!UNSAVED_FIELDS.includes(name)) fields[name] = value;
    if (force) fields.force = "1";
    return fields;
  }

  async #send(force) {
    this.note.textContent = this.dataset.saving;
    let response;
    try {
      response = await post(`/drafts/${this.dataset.draft}`, this.#fields(force));
    } catch {
      return this.#later();
    }
    if (isSignedOut(response)) {
      this.note.textContent = "";
      this.out.hidden = false;
      this.#timer = setTimeout(() => this.save(), RETRY_MS);
      return false;
    }
    if (response.status === 409) {
      const { message } = await response.json();
      this.note.textContent = "";
      this.querySelector(".draft-conflict-text").textContent = message;
      this.conflict.hidden = false;
      return false;
    }
    if (!response.ok) return this.#later();
    const { revision, saved } = await response.json();
    this.form.elements.revision.value = revision;
    this.note.textContent = saved;
    this.out.hidden = true;
    // A reload then finds the draft instead of an empty page.
    history.replaceState(null, "", `/compose?draft=${encodeURIComponent(this.dataset.draft)}`);
    return true;
  }

  #later() {
    this.note.textContent = this.dataset.unsaved;
    this.#timer = setTimeout(() => this.save(), RETRY_MS);
    return false;
  }

  /** The page is going away: one request that may outlive it. */
  #last() {
    if (!this.#changed || this.#stopped || this.#saving || !this.conflict.hidden) return;
    const fields = this.#fields(false);
    this.#changed = false;
    const keepalive = new TextEncoder().encode(String(new URLSearchParams(fields))).length < KEEPALIVE_BYTES;
    post(`/drafts/${this.dataset.draft}`, fields, { keepalive })
      .then((response) => response.ok && response.json())
      .then((answer) => { if (answer) this.form.elements.revision.value = answer.revision; })
      .catch(() => { this.#changed = true; });
  }

  /** Says how much room is left, only when it becomes scarce. */
  #count() {
    for (const field of this.form.querySelectorAll("[data-limit]")) {
      const limit = Number(field.dataset.limit);
      const left = limit - [...field.value].length;
      const line = this.querySelector(`.count-left[data-for="${field.name}"]`);
      line.classList.toggle("is-over", left < 0);
      if (left > limit / 10 || (limit > 1000 && left > 1000)) line.textContent = "";
      else line.textContent = fill(left < 0 ? this.dataset.over : this.dataset.left, { count: Math.abs(left).toLocaleString(document.documentElement.lang) });
    }
  }
});
