// The set-up link, the recovery kit and three of its words, the empty rooms.

import assert from "node:assert/strict";
import { setupLink } from "../stage.mjs";

const ROOMS = ["Sent", "Drafts", "People", "Outbox", "Settings", "Profile", "Inbox"];

/** How many sheets of paper a PDF is. */
const sheets = (pdf) => pdf.toString("latin1").match(/\/Type *\/Page\b/g).length;

export default async function play(stage) {
  const ann = await stage.person("ann");
  const { page } = ann;
  ann.expects(422);

  await ann.go(setupLink);
  await ann.look("set-up");

  // An empty form comes back with a sentence beside its first fault, and what was typed.
  await page.getByLabel("Practice name").fill("Riverside Dental");
  await page.getByRole("button", { name: "Create practice" }).click();
  await page.locator("#faults").waitFor();
  assert.equal(await page.getByLabel("Practice name").inputValue(), "Riverside Dental");
  assert(await page.locator(".field .fault").count() > 0, "the fault stands beside its field");
  await ann.look("set-up with a fault");

  await page.getByLabel("Your name").fill("Dr Ann Rivers");
  await page.getByLabel("Email").fill("ann@riverside.example");
  const password = page.getByLabel("Password", { exact: true });
  const strength = page.locator(".strength-text");
  await password.fill("riverside");
  await strength.filter({ hasText: /\w/ }).waitFor();
  const weak = await strength.textContent();
  await password.fill("seven quiet herons wade");
  await page.waitForFunction((weak) => document.querySelector(".strength-text").textContent !== weak, weak);
  await page.getByRole("button", { name: "Show password" }).click();
  assert.equal(await password.getAttribute("type"), "text");
  await ann.look("set-up with a strong password shown");
  await page.getByLabel("Default expiry").selectOption("14");
  await page.getByRole("button", { name: "Create practice" }).click();

  await page.waitForURL("**/setup/kit");
  const words = await page.locator(".kit-words li").allTextContents();
  assert.equal(words.length, 24);
  assert.match(await page.locator(".kit-identity").textContent(), /^AGE-SECRET-KEY-1/);
  assert(await page.getByRole("img", { name: /QR/ }).isVisible());
  await ann.look("the recovery kit");
  for (const format of ["A4", "Letter"]) assert.equal(sheets(await page.pdf({ format })), 1, `one sheet of ${format}`);
  await ann.go("/inbox");
  assert(page.url().endsWith("/setup/kit"), "the kit comes first");

  await page.getByRole("link", { name: "I have printed it" }).click();
  const asked = page.getByLabel(/^Word \d+$/);
  assert.equal(await asked.count(), 3);
  await ann.look("the three words");
  for (const field of await asked.all()) await field.fill("wrong");
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.locator("#faults").waitFor();
  await ann.look("wrong words");
  for (const label of await page.locator("main label").allTextContents()) {
    await page.getByLabel(label, { exact: true }).fill(words[Number(/\d+/.exec(label)[0]) - 1]);
  }
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.waitForURL("**/inbox");
  await page.getByText("Your practice is ready").waitFor();
  await ann.look("the empty inbox");

  for (const room of ROOMS) {
    await ann.open(room);
    await page.getByRole("heading", { level: 1, name: room }).waitFor();
    await ann.look(`the empty ${room}`);
    if (room === "Settings") {
      assert.equal(await page.locator("#expires").inputValue(), "14");
      await page.getByRole("link", { name: "About" }).click();
      await page.getByRole("heading", { name: "This installation" }).waitFor();
      await ann.look("about");
    }
    if (room === "Profile") assert.equal(await page.getByLabel("Time zone").inputValue(), "America/New_York");
  }

  const other = await stage.person("other");
  await other.go(setupLink);
  await other.page.getByRole("heading", { name: "Set-up is done" }).waitFor();
  await other.look("the link a second time");
}
