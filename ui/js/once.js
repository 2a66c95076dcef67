// A form is sent once, however often its button is pressed.

const sent = new WeakMap();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.target) return;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  const buttons = [...form.querySelectorAll("button")].filter((button) => !button.disabled);
  sent.set(form, buttons);
  // Only after the browser has collected the fields: a disabled button's value is not sent.
  setTimeout(() => buttons.forEach((button) => { button.disabled = true; }));
  // A download leaves the page where it is, and it may be asked for again.
  setTimeout(() => release(form), 15000);
});

function release(form) {
  sent.get(form)?.forEach((button) => { button.disabled = false; });
  sent.delete(form);
}

// A page that the Back button brings out of the browser's memory is fresh again.
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) release(form);
});
