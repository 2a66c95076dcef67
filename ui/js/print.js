// <seal-print>: a Print button, shown only where it can work.

customElements.define("seal-print", class extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button");
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
});
