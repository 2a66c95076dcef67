// The door: fetches only the elements that the page holds. Every page works without any of them.

import "./faults.js";
import "./once.js";
import "./panels.js";
import "./tips.js";

const elements = {
  "seal-choose": "./choose.js",
  "seal-complete": "./complete.js",
  "seal-draft": "./draft.js",
  "seal-idle": "./idle.js",
  "seal-keys": "./keys.js",
  "seal-live": "./live.js",
  "seal-print": "./print.js",
  "seal-recipient": "./recipient.js",
  "seal-reveal": "./reveal.js",
  "seal-strength": "./strength.js",
  "seal-uploads": "./uploads.js",
  "seal-zone": "./zone.js",
};

for (const [name, module] of Object.entries(elements)) {
  if (document.querySelector(name)) import(module);
}

// A form that came back with faults, or a message that says what happened, is where reading should begin.
document.getElementById("faults")?.focus();
