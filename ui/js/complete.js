// <seal-complete>: suggests whom one may mean while a name, a practice or an address is typed. The pattern is the
// combobox of ARIA 1.2: the focus stays in the field, the arrow keys walk through the list.

import { fill } from "./words.js";

const PAUSE_MS = 120;

customElements.define("seal-complete", class extends HTMLElement {
  #asked = null;
  #timer = 0;
  #active = -1;
  #found = [];

  connectedCallback() {
    this.input = this.querySelector("input");
    this.list = this.#make("ul", { id: `${this.input.id}-suggestions`, role: "listbox", "aria-label": this.dataset.label });
    this.list.className = "suggestions";
    this.list.hidden = true;
    this.said = this.#make("p", { role: "status" });
    this.said.className = "hidden";
    this.append(this.list, this.said);
    const combobox = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id };
    for (const [name, value] of Object.entries(combobox)) this.input.setAttribute(name, value);
    this.input.addEventListener("input", () => this.#soon());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("blur", () => this.#close());
    // A press on the list must not take the focus from the field.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", ({ target }) => {
      const option = target.closest("[role=option]");
      if (option) this.#choose([...this.list.children].indexOf(option));
    });
  }

  #make(tag, attributes) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  /** Where what is being typed begins and ends: between the separators around the caret. */
  #term() {
    const { value } = this.input;
    const caret = this.input.selectionStart ?? value.length;
    const start = Math.max(value.lastIndexOf(",", caret - 1), value.lastIndexOf(";", caret - 1)) + 1;
    const rest = value.slice(start).search(/[,;]/);
    const end = rest < 0 ? value.length : start + rest;
    return { start, end, text: value.slice(start, end).trim() };
  }

  #soon() {
    clearTimeout(this.#timer);
    if (this.#term().text === "") this.#close();
    else this.#timer = setTimeout(() => this.#ask(), PAUSE_MS);
  }

  async #ask() {
    this.#asked?.abort();
    const asked = this.#asked = new AbortController();
    try {
      const response = await fetch(`/recipients?q=${encodeURIComponent(this.#term().text)}`, {
        headers: { Accept: "application/json" },
        credentials: "same-origin",
        redirect: "manual",
        signal: asked.signal,
      });
      const found = response.ok ? await response.json() : [];
      if (!asked.signal.aborted && document.activeElement === this.input) this.#show(found);
    } catch {
      // Without suggestions the field is what it is without scripts.
      if (!asked.signal.aborted) this.#close();
    }
  }

  #show(found) {
    if (!found.length) {
      this.#close();
      return;
    }
    this.#found = found;
    this.list.replaceChildren(...found.map((one, at) => this.#option(one, at)));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.said.textContent = found.length === 1 ? this.dataset.one : fill(this.dataset.found, { count: found.length });
    this.#mark(-1);
  }

  #option(one, at) {
    const option = this.#make("li", { role: "option", id: `${this.list.id}-${at}`, "aria-selected": "false" });
    const whom = one.group ? fill(this.dataset.people, { count: one.addresses.length }) : one.addresses[0];
    const rest = [one.practice, one.name === whom ? "" : whom].filter(Boolean).join(" · ");
    const name = document.createElement("strong");
    name.textContent = one.name;
    option.append(name);
    if (rest) {
      const small = document.createElement("span");
      small.textContent = rest;
      option.append(" ", small);
    }
    return option;
  }

  #mark(at) {
    this.list.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = at;
    const option = this.list.children[at];
    if (option) {
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", option.id);
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  #key(event) {
    const isOpen = !this.list.hidden;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.isComposing) return;
    if (step && isOpen) {
      const count = this.#found.length;
      this.#mark(this.#active < 0 && step < 0 ? count - 1 : (this.#active + step + count) % count);
    } else if (event.key === "ArrowDown") {
      this.#ask();
    } else if (event.key === "Enter" && isOpen) {
      this.#choose(Math.max(0, this.#active));
    } else if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      this.#close();
    } else {
      return;
    }
    event.preventDefault();
  }

  #choose(at) {
    const { start, end } = this.#term();
    const { value } = this.input;
    const chosen = (start ? " " : "") + this.#found[at].addresses.join(", ");
    this.input.setRangeText(chosen, start, end, "end");
    this.#close();
    if (this.input.value === value) return;
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(this.#timer);
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #close() {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    this.list.hidden = true;
    this.list.replaceChildren();
    this.said.textContent = "";
    this.#found = [];
    this.input.setAttribute("aria-expanded", "false");
    this.#mark(-1);
  }
});
