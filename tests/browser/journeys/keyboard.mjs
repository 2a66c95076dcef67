// A message written and sent without touching anything but the keys; and everything readable at twice the size.

import assert from "node:assert/strict";
import { setupLink, sideways } from "../stage.mjs";

export default async function play(stage) {
  const admin = await stage.ask("set up");
  const ann = await stage.member(admin);
  await write(ann);
  await larger(stage, ann);
}

/** Presses Tab until what has the focus is called this. */
async function tabTo(page, name, key = "Tab") {
  for (let steps = 0; steps < 60; steps += 1) {
    await page.keyboard.press(key);
    const focus = await page.evaluate(() => {
      const { activeElement: on } = document;
      const label = on.labels?.[0]?.textContent ?? on.getAttribute("aria-label") ?? on.textContent;
      // The field for files is as small as can be; its label is what is seen.
      const seen = on.type === "file" ? on.labels[0] : on;
      const box = seen.getBoundingClientRect();
      const shown = document.elementFromPoint(Math.max(0, box.left + box.width / 2), Math.max(0, box.top + Math.min(box.height, 40) / 2));
      return { label: label.trim(), hidden: on.getAttribute("aria-hidden") !== null, covered: seen === shown || seen.contains(shown) || shown?.contains(seen) ? "" : `${shown?.outerHTML.slice(0, 120)} at ${box.top}`, html: on.outerHTML.slice(0, 120) };
    });
    assert(!focus.hidden, `hidden things take no focus: ${focus.html}`);
    if (focus.label === name) {
      assert.equal(focus.covered, "", `${name} has the focus and is covered`);
      return;
    }
  }
  assert.fail(`the Tab key does not lead to ${name}`);
}

async function write(ann) {
  const { page } = ann;
  const keys = page.keyboard;
  await ann.go("/inbox");
  await tabTo(page, "Skip to the content");
  await ann.look("the skip link");
  await keys.press("Enter");
  assert(page.url().endsWith("#main"));
  await keys.press("Shift+Tab");
  await ann.go("/inbox");
  await tabTo(page, "Compose");
  await keys.press("Enter");
  await page.waitForURL("**/compose");
  await tabTo(page, "To");
  await keys.type("carol@lakeside.example");
  await keys.press("Tab");
  await page.getByLabel("Relationship").waitFor();
  await tabTo(page, "To", "Shift+Tab");
  await tabTo(page, "Relationship");
  await keys.type("Patient");
  await tabTo(page, "Subject");
  await keys.type("By keys alone");
  await tabTo(page, "Message");
  await keys.type("No mouse was touched.");
  await tabTo(page, "Attach files");
  await tabTo(page, "Expires");
  await keys.press("ArrowDown");
  await tabTo(page, "Send");
  await keys.press("Enter");
  await page.waitForURL("**/threads/*");
  await page.getByText("Your message is sent.").waitFor();
  await page.locator(".message .expiry", { hasText: "Destroyed in 29 days" }).waitFor();
}

/** Text at 200 %, and the whole page at 200 %: nothing has to be scrolled sideways. */
async function larger(stage, ann) {
  const { page } = ann;
  const thread = page.url();
  const places = [thread, `${thread}/print`, "/inbox", "/sent", "/drafts", "/compose", "/contacts", "/contacts/new", "/contacts/import", "/contacts/groups", "/people", "/outbox", "/profile", "/settings/practice", "/settings/about", "/terms", "/nowhere"];
  ann.expects(404);
  const stranger = await stage.person("stranger");
  const { link } = await stage.ask("link", { email: "carol@lakeside.example" });
  const outside = ["/sign-in", link, "/terms", setupLink];
  const wide = [];
  for (const [person, paths] of [[ann, places], [stranger, outside]]) {
    const { page } = person;
    const session = await person.context.newCDPSession(page);
    const { width, height } = page.viewportSize();
    for (const path of paths) {
      await person.go(path);
      await session.send("Page.setFontSizes", { fontSizes: { standard: 32, fixed: 26 } });
      wide.push([path, "with text at 200 %", await beyond(page)]);
      await session.send("Page.setFontSizes", { fontSizes: { standard: 16, fixed: 13 } });
      await page.setViewportSize({ width: width / 2, height: height / 2 });
      wide.push([path, "at 200 %", await beyond(page)]);
      await page.setViewportSize({ width, height });
    }
  }
  assert.equal(wide.filter(([, , things]) => things.length).map((one) => one.flat().join(" · ")).join("\n"), "");
}

/** What reaches beyond the right edge of the page, if that has to be scrolled. */
async function beyond(page) {
  if (await sideways(page) === 0) return [];
  return page.evaluate(() => [...document.body.querySelectorAll("*")]
    .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && one.getClientRects().length)
    .map((one) => `${one.tagName}.${one.getAttribute("class")} ${Math.round(one.getBoundingClientRect().right)}`).slice(0, 8));
}
