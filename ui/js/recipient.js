// <seal-recipient>: asks who an address belongs to, and for the relationship only when it is new.

import { fill } from "./words.js";

customElements.define("seal-recipient", class extends HTMLElement {
  #asked = null;

  connectedCallback() {
    this.input = this.querySelector("input");
    this.known = this.querySelector(".recipient-known");
    this.newcomer = this.querySelector("details");
    this.newcomer.hidden = !this.newcomer.open;
    this.input.addEventListener("change", () => this.#ask());
    if (this.input.value) this.#ask();
  }

  async #ask() {
    this.#asked?.abort();
    const address = this.input.value.trim();
    if (address === "") {
      this.#show("", false);
      return;
    }
    this.#asked = new AbortController();
    try {
      const response = await fetch(`/recipients?address=${encodeURIComponent(address)}`, {
        headers: { Accept: "application/json" },
        credentials: "same-origin",
        redirect: "manual",
        signal: this.#asked.signal,
      });
      if (!response.ok) throw new Error(response.status);
      const found = await response.json();
      if (found.self) this.#show(this.dataset.self, false);
      else if (found.known) this.#show(fill(this.dataset.known, { name: found.name }), false);
      else this.#show("", found.valid);
    } catch (error) {
      // Not knowing is no reason to be in the way: the question stays within reach, as without scripts.
      if (error.name !== "AbortError") this.newcomer.hidden = false;
    }
  }

  #show(text, asking) {
    this.known.textContent = text;
    this.newcomer.hidden = !asking;
    this.newcomer.open = asking;
  }
});
