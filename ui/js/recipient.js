// <seal-recipient>: asks who the addresses in To and Cc belong to, and asks for the relationship of each that is new.

import { fill } from "./words.js";

const PAUSE_MS = 500;
const MARK = /[,;\n]/;

customElements.define("seal-recipient", class extends HTMLElement {
  #known = new Map();
  #asked = null;
  #timer = 0;

  connectedCallback() {
    this.fields = [...this.querySelectorAll("[name=to], [name=cc]")];
    this.note = this.querySelector(".recipient-known");
    this.newcomer = this.querySelector(".newcomer");
    this.list = this.querySelector(".invitees");
    this.template = this.querySelector("template");
    this.separately = this.querySelector(".separately");
    for (const field of this.fields) {
      field.addEventListener("change", () => this.#ask(false));
      field.addEventListener("input", () => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#ask(true), PAUSE_MS);
      });
    }
    this.newcomer.hidden = !this.newcomer.open;
    this.#show([]);
    this.#ask(false);
  }

  /** The addresses as they stand there; while somebody types, without the last one, which is not finished. */
  #typed(typing) {
    const parts = this.fields.flatMap((field) => {
      const all = field.value.split(MARK);
      return typing && field === document.activeElement ? all.slice(0, -1) : all;
    });
    const bare = parts.map((part) => part.replace(/^.*</, "").replace(/>\s*$/, "").trim().toLowerCase());
    return [...new Set(bare.filter((address) => address.includes("@")))];
  }

  async #ask(typing) {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    const addresses = this.#typed(typing);
    const unknown = addresses.filter((address) => !this.#known.has(address));
    if (unknown.length > 0) {
      this.#asked = new AbortController();
      try {
        const response = await fetch(`/recipients?address=${encodeURIComponent(unknown.join(","))}`, {
          headers: { Accept: "application/json" },
          credentials: "same-origin",
          redirect: "manual",
          signal: this.#asked.signal,
        });
        if (!response.ok) throw new Error(response.status);
        for (const found of await response.json()) this.#known.set(found.address, found);
      } catch (error) {
        // Not knowing is no reason to be in the way: the question stays within reach, as without scripts.
        if (error.name !== "AbortError") this.newcomer.hidden = false;
        return;
      }
    }
    this.#show(addresses.map((address) => this.#known.get(address)).filter((found) => found?.valid));
  }

  #show(people) {
    const box = this.separately.querySelector("input");
    this.separately.hidden = people.length < 2 && !box.checked;
    const own = people.find((one) => one.self);
    const only = people.length === 1 && people[0].known ? people[0] : null;
    this.note.textContent = own ? this.dataset.self : only ? fill(this.dataset.known, { name: only.name }) : "";
    if (people.length > 0) this.#rows(people.filter((one) => !one.known).map((one) => one.address));
  }

  /** One row for each new address; what was said of one stays with it. */
  #rows(addresses) {
    const rows = [...this.list.children];
    const address = (row) => row.querySelector("[name^=newcomer]");
    const kept = new Map(rows.map((row) => [address(row).value.toLowerCase(), row]));
    const nameless = kept.get("");
    const wanted = addresses.map((one) => kept.get(one) ?? (addresses.length === 1 && nameless) ?? null);
    const next = wanted.map((row) => row || this.template.content.firstElementChild.cloneNode(true));
    next.forEach((row, place) => {
      address(row).value = addresses[place];
      row.querySelector("legend").textContent = fill(this.dataset.who, { address: addresses[place] });
    });
    if (next.length > 0) {
      rows.filter((row) => !next.includes(row)).forEach((row) => row.remove());
      next.forEach((row, place) => {
        this.#number(row, place);
        if (this.list.children[place] !== row) this.list.insertBefore(row, this.list.children[place] ?? null);
      });
    }
    this.newcomer.hidden = next.length === 0;
    this.newcomer.open = next.length > 0;
  }

  /** The fields of the first row have their plain names, those of the others `-2`, `-3` behind them. */
  #number(row, place) {
    const suffix = place === 0 ? "" : `-${place + 1}`;
    const plain = (name) => name.replace(/-\d+(?=$|-error$)/, "");
    for (const control of row.querySelectorAll("[name]")) {
      const name = plain(control.name);
      control.name = name + suffix;
      if (control.id) control.id = name + suffix;
    }
    for (const label of row.querySelectorAll("label")) label.htmlFor = plain(label.htmlFor) + suffix;
  }
});
