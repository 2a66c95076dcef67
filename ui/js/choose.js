// Choosing conversations in a list: all at once, a range with Shift, and the buttons only while something is chosen.

import { fill } from "./words.js";

class Choose extends HTMLElement {
  #last;

  connectedCallback() {
    this.#all.closest("label").hidden = false;
    this.#all.addEventListener("change", () => this.#set(this.#boxes, this.#all.checked));
    // On the whole list: its lines are replaced when something arrives.
    this.addEventListener("click", ({ target, shiftKey }) => {
      if (target.matches(".row-tick input")) this.#pick(target, shiftKey);
    });
    // Back from another page, the browser ticks again what was ticked.
    addEventListener("pageshow", () => this.#show());
    this.#show();
  }

  get #boxes() {
    return [...this.querySelectorAll(".row-tick input")];
  }

  get #all() {
    return this.querySelector(".choose-all input");
  }

  #pick(box, isRange) {
    const boxes = this.#boxes;
    if (isRange && boxes.includes(this.#last)) {
      const ends = [boxes.indexOf(this.#last), boxes.indexOf(box)].sort((a, b) => a - b);
      this.#set(boxes.slice(ends[0], ends[1] + 1), box.checked);
    }
    this.#last = box;
    this.#show();
  }

  #set(boxes, checked) {
    for (const box of boxes) box.checked = checked;
    this.#show();
  }

  #show() {
    const boxes = this.#boxes;
    const chosen = boxes.filter((box) => box.checked).length;
    this.#all.checked = chosen > 0 && chosen === boxes.length;
    this.#all.indeterminate = chosen > 0 && chosen < boxes.length;
    this.querySelector(".choose-acts").hidden = chosen === 0;
    const { one, many } = this.dataset;
    this.querySelector(".choose-count").textContent = chosen === 0 ? "" : chosen === 1 ? one : fill(many, { count: chosen });
  }
}

customElements.define("seal-choose", Choose);
