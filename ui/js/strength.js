// <seal-strength>: says how good a new password is while it is typed. The server judges; it knows the list of common ones.

import { post } from "./server.js";

const PAUSE_MS = 300;

customElements.define("seal-strength", class extends HTMLElement {
  #timer = 0;
  #asked = null;

  connectedCallback() {
    this.input = this.querySelector("input");
    this.box = this.querySelector(".strength");
    this.meter = this.querySelector("meter");
    this.text = this.querySelector(".strength-text");
    this.input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ask(), PAUSE_MS);
    });
    // Fast fingers type before scripts arrive.
    if (this.input.value) this.#ask();
  }

  async #ask() {
    this.#asked?.abort();
    const password = this.input.value;
    this.box.hidden = password === "";
    if (password === "") return;
    this.#asked = new AbortController();
    try {
      const response = await post("/password-strength", { password, context: this.#context() }, { signal: this.#asked.signal });
      if (!response.ok) throw new Error(response.status);
      const { score, text } = await response.json();
      this.meter.value = score;
      this.text.textContent = text;
    } catch (error) {
      // Without an answer there is nothing to say; the form itself is judged when it is sent.
      if (error.name !== "AbortError") this.box.hidden = true;
    }
  }

  /** What else was typed: a password made of one's own name is a bad one. */
  #context() {
    const names = (this.dataset.fields ?? "").split(" ").filter(Boolean);
    return [...names, "username"].map((name) => this.input.form.elements[name]?.value ?? "").join(" ").trim();
  }
});
