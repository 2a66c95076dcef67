// Escape hides an explanation that covers something; moving on brings them back.

const root = document.documentElement;

addEventListener("keydown", (event) => {
  if (event.key === "Escape") root.classList.add("no-tips");
});

const back = () => root.classList.remove("no-tips");
addEventListener("pointermove", back, { passive: true });
addEventListener("focusin", back);
