// Keyboard shortcuts that people know from e-mail, a list of them on "?", and a switch that turns them off.

const OFF = "sealpost-keys-off";
const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";

const press = (selector) => () => {
  const found = [...document.querySelectorAll(selector)].find((one) => one.checkVisibility());
  found?.click();
  return Boolean(found);
};

/** Moves the focus along the list; from elsewhere, to its open or its first line. */
function step(by) {
  const links = [...document.querySelectorAll(".rows .row-link")].filter((link) => link.checkVisibility());
  if (!links.length) return false;
  const row = document.activeElement.closest(".row");
  const here = links.findIndex((link) => row?.contains(link));
  const current = links.findIndex((link) => link.getAttribute("aria-current"));
  const to = here < 0 ? Math.max(current, 0) + (current < 0 ? 0 : by) : here + by;
  links.at(Math.min(Math.max(to, 0), links.length - 1)).focus();
  return true;
}

/** The line with the focus: its tick or its star. */
const inRow = (selector) => () => {
  const found = document.activeElement.closest(".row")?.querySelector(selector);
  found?.click();
  return Boolean(found);
};

/** In a list with something chosen the button above it, in a conversation its own. */
const act = (name) => press(`.choose-acts button[value=${name}], .thread-acts button[value^="${name}:"]`);

const KEYS = {
  c: press(".side-compose, .bar-compose"),
  "/": () => {
    const box = [...document.querySelectorAll("input[type=search]")].find((one) => one.checkVisibility());
    box?.focus();
    return Boolean(box);
  },
  j: () => step(1),
  k: () => step(-1),
  o: () => inRow(".row-link")(),
  x: () => inRow(".row-tick input")(),
  u: press(".thread-back, .list-pane-title a"),
  r: press(".thread-reply a[href*='reply=']:not([href*='all='])"),
  a: press(".thread-reply a[href*='all=']"),
  f: press(".thread-reply a[href*='forward=']"),
  e: act("archive"),
  s: () => inRow(".row-star")() || press(".thread-acts button[aria-pressed]")(),
};

customElements.define("seal-keys", class extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    const switched = this.querySelector("input");
    switched.checked = !localStorage.getItem(OFF);
    switched.addEventListener("change", () => (switched.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
    for (const opener of document.querySelectorAll("[data-keys]")) {
      opener.hidden = false;
      opener.addEventListener("click", () => this.dialog.showModal());
    }
    addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]") || event.target.closest(TYPING) || localStorage.getItem(OFF)) return;
    if (event.key === "?") this.dialog.showModal();
    else if (!KEYS[event.key]?.()) return;
    event.preventDefault();
  }
});
