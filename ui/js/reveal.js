// <seal-reveal>: shows a password while its owner wants to see it.

customElements.define("seal-reveal", class extends HTMLElement {
  connectedCallback() {
    const input = this.querySelector("input");
    const button = this.querySelector("button");
    button.hidden = false;
    const show = (shown) => {
      input.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", String(shown));
    };
    button.addEventListener("click", () => show(input.type === "password"));
    // Browsers offer to keep passwords only, and nobody wants theirs left readable on the screen.
    input.form?.addEventListener("submit", () => show(false));
  }
});
