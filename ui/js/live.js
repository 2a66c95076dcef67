// News without reloading: the numbers beside the folders, the title, and the list when something arrives.
// One tab of a browser listens and tells the others; a server gives a browser few connections at a time.

import { csrf } from "./server.js";
import { fill } from "./words.js";

const tabs = new BroadcastChannel("sealpost-news");

customElements.define("seal-live", class extends HTMLElement {
  #title = document.title;
  #revision;
  #unread;

  connectedCallback() {
    tabs.addEventListener("message", ({ data }) => this.#hear(data));
    // Held until this tab is closed; then another one's turn comes.
    navigator.locks.request(`sealpost-news-${csrf().slice(0, 8)}`, () => new Promise((done) => this.#listen(done)));
  }

  #listen(done) {
    const events = new EventSource("/events");
    events.addEventListener("counts", ({ data }) => {
      const counts = JSON.parse(data);
      tabs.postMessage(counts);
      this.#hear(counts);
    });
    events.addEventListener("over", () => {
      events.close();
      done();
    });
    // A page that the browser keeps for "back" must let go, or nobody listens.
    addEventListener("pagehide", () => {
      events.close();
      done();
    }, { once: true });
  }

  #hear(counts) {
    const { inbox_unread: unread, revision } = counts;
    document.title = unread ? `(${unread}) ${this.#title}` : this.#title;
    for (const count of document.querySelectorAll("[data-count]")) {
      const number = counts[count.dataset.count];
      count.hidden = !number;
      count.firstChild.data = number;
    }
    if (this.#unread !== undefined && unread > this.#unread) {
      const arrived = unread - this.#unread;
      this.querySelector("[role=status]").textContent = arrived === 1 ? this.dataset.one : fill(this.dataset.many, { count: arrived });
    }
    // What the page shows was made at about the time of the first event: only later ones tell something new.
    const isNew = this.#revision !== undefined && revision !== this.#revision;
    [this.#revision, this.#unread] = [revision, unread];
    if (isNew) this.#renew();
  }

  /** Makes the list anew, unless somebody is at work in it. */
  async #renew() {
    const list = document.querySelector("[data-live] .rows");
    const isBusy = () => list.querySelector("input:checked") || list.contains(document.activeElement);
    if (!list || isBusy()) return;
    const response = await fetch(location.href, { headers: { Accept: "text/html", "X-Unseen": "1" }, credentials: "same-origin", redirect: "manual" }).catch(() => null);
    if (!response?.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-live] .rows");
    if (fresh && list.isConnected && !isBusy()) list.replaceWith(fresh);
  }
});
