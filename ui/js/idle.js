// <seal-idle>: warns a minute before the idle sign-out, saves what is being written, and leaves.
// A person who is active in another tab is active here too.

import { isSignedOut, post } from "./server.js";
import { fill } from "./words.js";

const WARNING_MS = 60_000;
const PING_MS = 60_000;
const SPOKEN = new Set([60, 30, 10]);

customElements.define("seal-idle", class extends HTMLElement {
  #seen = Date.now();
  #pinged = Date.now();
  #spoken = 0;
  #leaving = false;
  #tabs = new BroadcastChannel("sealpost-activity");

  connectedCallback() {
    this.limit = Number(this.dataset.seconds) * 1000;
    this.dialog = this.querySelector("dialog");
    this.text = this.querySelector("#idle-text");
    this.voice = this.querySelector("[data-countdown]");
    for (const kind of ["keydown", "pointerdown", "pointermove", "wheel", "touchstart"]) {
      addEventListener(kind, () => this.#active(), { passive: true });
    }
    this.dialog.addEventListener("close", () => this.#stay());
    this.#tabs.addEventListener("message", ({ data }) => {
      this.#seen = Math.max(this.#seen, data);
      if (this.dialog.open) this.dialog.close();
    });
    setInterval(() => this.#tick(), 1000);
    // A laptop that wakes up has not ticked: look at the clock at once.
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#tick(); });
  }

  #active() {
    // Once the question is asked, only its answer counts.
    if (this.dialog.open || this.#leaving) return;
    this.#seen = Date.now();
    if (this.#seen - this.#pinged >= PING_MS) this.#ping();
  }

  #stay() {
    if (this.#leaving) return;
    this.#seen = Date.now();
    this.#ping();
  }

  async #ping() {
    this.#pinged = Date.now();
    this.#tabs.postMessage(this.#seen);
    try {
      const response = await fetch("/still-here", { credentials: "same-origin", redirect: "manual" });
      if (isSignedOut(response)) this.#leave();
    } catch {
      // No connection now: the next activity tries again.
      this.#pinged = 0;
    }
  }

  #tick() {
    if (this.#leaving) return;
    const left = Math.ceil((this.#seen + this.limit - Date.now()) / 1000);
    if (left <= 0) {
      this.#leave();
    } else if (left * 1000 <= WARNING_MS) {
      this.text.textContent = fill(this.voice.dataset.countdown, { seconds: left });
      if (!this.dialog.open) this.dialog.showModal();
      if (SPOKEN.has(left) && this.#spoken !== left) {
        this.#spoken = left;
        this.voice.textContent = this.text.textContent;
      }
    }
  }

  async #leave() {
    this.#leaving = true;
    const draft = document.querySelector("seal-draft");
    if (draft?.save && !(await draft.save())) {
      // What was written could not be saved: it stays on the screen, and the page says how to go on.
      if (this.dialog.open) this.dialog.close();
      this.#leaving = false;
      this.#seen = Date.now();
      return;
    }
    // Saving was a sign of life to the server: it has to be told that nobody is here.
    await post("/sign-out", {}).catch(() => {});
    location.assign("/sign-in?idle=1");
  }
});
