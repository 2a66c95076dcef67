// Many messages before lunch: filters, choosing several, archiving, undoing, starring, deleting.

import assert from "node:assert/strict";

const BOB = { email: "bob@northside.example", first: "Bob", last: "Okafor" };
const SUBJECTS = ["Crown 26", "Recall list", "Implant plan", "Rota"];

export default async function play(stage) {
  await stage.ask("set up");
  const member = await stage.register(BOB);
  for (const subject of SUBJECTS) {
    await stage.ask("turn", { seconds: 60 });
    await stage.ask("send", { to: BOB.email, subject, body: `${subject}: please see to it.`, days: subject === "Rota" ? 2 : 30, files: subject === "Crown 26" ? ["26.jpg"] : [] });
  }
  const bob = await stage.member(member);
  await bob.look("an inbox");
  await filters(bob);
  await choose(bob);
  await archive(bob);
  await star(bob);
  await arrive(stage, bob);
  await keys(stage, bob);
  await remove(bob);
}

const rows = (person) => person.page.locator(".row-link").allInnerTexts();
const tick = (person, subject) => person.page.getByLabel(`Choose: ${subject}`);
const button = (person, name) => person.page.locator("main").getByRole("button", { name, exact: true });

async function filters(bob) {
  const shown = async (name) => {
    await bob.page.getByRole("navigation", { name: "Filters" }).getByRole("link", { name }).click();
    await bob.page.locator(`.filters [aria-current]`, { hasText: name }).waitFor();
    return rows(bob);
  };
  assert.deepEqual(await shown("With files"), ["Crown 26"]);
  assert.deepEqual(await shown("Destroyed soon"), ["Rota"]);
  await bob.look("a filtered inbox");
  assert.deepEqual(await shown("Starred"), []);
  await bob.look("a filter that shows nothing");
  assert.equal((await shown("All")).length, SUBJECTS.length + 1);
}

/** Shift takes what lies between; the buttons are there only while something is chosen. */
async function choose(bob) {
  assert(await button(bob, "Archive").isHidden());
  await tick(bob, "Rota").click();
  await tick(bob, "Recall list").click({ modifiers: ["Shift"] });
  await bob.page.getByText("3 chosen").waitFor();
  assert(await tick(bob, "Implant plan").isChecked());
  await bob.look("three chosen");
  await bob.page.getByLabel("Choose all").check();
  await bob.page.getByText(`${SUBJECTS.length + 1} chosen`).waitFor();
  await bob.page.getByLabel("Choose all").uncheck();
  assert(await button(bob, "Archive").isHidden());
}

async function archive(bob) {
  for (const subject of ["Recall list", "Implant plan"]) await tick(bob, subject).check();
  await button(bob, "Archive").click();
  await bob.page.getByText("2 conversations are archived.").waitFor();
  await bob.look("an inbox with something to undo");
  assert.deepEqual(await rows(bob), ["Rota", "Crown 26", "Welcome"]);
  await button(bob, "Undo").click();
  await bob.page.getByText("2 conversations are back in the inbox.").waitFor();
  assert.equal((await rows(bob)).length, 5);

  await bob.page.getByRole("link", { name: "Implant plan" }).click();
  await bob.page.getByRole("heading", { level: 1, name: "Implant plan" }).waitFor();
  await button(bob, "Archive").click();
  await bob.page.getByText("The conversation is archived.").waitFor();
  await bob.open("Archive");
  await bob.page.getByRole("heading", { level: 1, name: "Archive" }).waitFor();
  assert.deepEqual(await rows(bob), ["Implant plan"]);
  await bob.look("an archive");
  await bob.open("Inbox");
}

async function star(bob) {
  await bob.page.getByRole("button", { name: "Star: Crown 26" }).click();
  await bob.page.getByText("The conversation is starred.").waitFor();
  assert.equal(await bob.page.getByRole("button", { name: "Star: Crown 26" }).getAttribute("aria-pressed"), "true");
  await bob.page.getByRole("link", { name: "Starred" }).click();
  await bob.page.waitForURL("**/inbox?filter=starred");
  assert.deepEqual(await rows(bob), ["Crown 26"]);
  await bob.open("Inbox");
}

/** What arrives while the page is open: the list, the number, the title, and a voice. */
async function arrive(stage, bob) {
  await bob.page.waitForFunction(() => document.title.startsWith("("));
  await stage.ask("turn", { seconds: 60 });
  await stage.ask("send", { to: BOB.email, subject: "Just in", body: "It came while you looked." });
  await bob.page.getByRole("link", { name: "Just in" }).waitFor();
  await bob.page.waitForFunction(() => document.querySelector("seal-live [role=status]").textContent === "1 new message has arrived.");
  await bob.look("an inbox with something that has just come");
}

async function keys(stage, bob) {
  if (stage.isPhone) return;
  const { keyboard } = bob.page;
  await bob.page.getByRole("heading", { level: 1 }).click();
  await keyboard.press("?");
  await bob.page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
  await bob.look("the list of shortcuts");
  await keyboard.press("Escape");
  await keyboard.press("j");
  await keyboard.press("j");
  assert.equal(await bob.page.evaluate(() => document.activeElement.textContent), "Rota");
  await keyboard.press("x");
  await bob.page.getByText("1 chosen").waitFor();
  await keyboard.press("x");
  await keyboard.press("k");
  await keyboard.press("o");
  await bob.page.getByRole("heading", { level: 1, name: "Just in" }).waitFor();
  await keyboard.press("e");
  await bob.page.getByText("The conversation is archived.").waitFor();
  assert(!(await rows(bob)).includes("Just in"));
}

async function remove(bob) {
  for (const subject of ["Rota", "Welcome"]) await tick(bob, subject).check();
  await button(bob, "Delete").click();
  await bob.page.getByText("in 2 conversations, for good").waitFor();
  await bob.look("the question before deleting");
  await bob.page.getByRole("link", { name: "Cancel" }).click();
  await bob.page.waitForURL("**/inbox");
  for (const subject of ["Rota", "Welcome"]) await tick(bob, subject).check();
  await button(bob, "Delete").click();
  await bob.page.getByText("in 2 conversations, for good").waitFor();
  await button(bob, "Delete").click();
  await bob.page.getByText("Your copies in 2 conversations are destroyed.").waitFor();
  assert.deepEqual((await rows(bob)).filter((subject) => subject !== "Just in"), ["Recall list", "Crown 26"]);
}
