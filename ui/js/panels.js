// Panels that open over the page (<details>): Escape or a press beside them closes them, and they open where they can be seen.

const PANELS = "details.act[open], details.bar-menu[open]";

addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector(PANELS);
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});

// On click, not on press: a panel in the flow that closes in between would pull what is pressed from under the finger.
addEventListener("click", (event) => {
  for (const open of document.querySelectorAll(PANELS)) {
    if (!open.contains(event.target)) open.open = false;
  }
});

// "toggle" does not bubble, so it is caught on its way down.
addEventListener("toggle", ({ target }) => {
  if (target.matches?.("details.act[open]")) target.querySelector(".act-panel").scrollIntoView({ block: "nearest" });
}, { capture: true });
