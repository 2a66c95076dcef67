// Escape hides an explanation that covers something; moving on brings them back. An open panel closes the same way.

const root = document.documentElement;

addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  root.classList.add("no-tips");
  const open = document.querySelector("details.act[open], details.bar-menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});

const back = () => root.classList.remove("no-tips");
addEventListener("pointermove", back, { passive: true });
addEventListener("focusin", back);

// A press beside an open panel puts it away.
addEventListener("pointerdown", (event) => {
  for (const open of document.querySelectorAll("details.act[open], details.bar-menu[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
