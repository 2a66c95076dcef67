// Finding messages by words, people and files from a box on every page; and what is destroyed is not found.

import assert from "node:assert/strict";

const BOB = { email: "bob@northside.example", relationship: "doctor_other", first: "Bob", last: "Okafor" };

export default async function play(stage) {
  const admin = await stage.ask("set up");
  const member = await stage.register(BOB);
  await stage.ask("send", { to: BOB.email, subject: "The crown of tooth 14", body: "The zirconia crown is ready. Señora Núñez comes on Tuesday.", files: ["panorama.png"] });
  await stage.ask("send", { to: BOB.email, subject: "Another patient", body: "A zirconia bridge this time, <b>not</b> a crown." });
  const ann = await stage.member(admin);
  const bob = await stage.member(member);

  await nothing(ann);
  await words(stage, bob);
  await help(bob);
  await destroyed(ann, bob);
}

/** The search box of this page that is shown. */
const box = (person) => person.page.getByRole("searchbox", { name: "Search messages" });
const results = (person) => person.page.getByRole("list", { name: "Results" }).getByRole("listitem");

async function search(person, text) {
  await box(person).fill(text);
  await box(person).press("Enter");
  await person.page.waitForURL("**/search?**");
  await person.page.getByRole("heading", { level: 1, name: "Search" }).waitFor();
}

async function nothing(ann) {
  await ann.go("/search");
  await ann.page.getByRole("heading", { name: "Find a message" }).waitFor();
  await ann.look("a search for nothing");
  await search(ann, "gold");
  await ann.page.getByRole("heading", { name: "Nothing found" }).waitFor();
  await ann.look("a search without results");
}

async function words(stage, bob) {
  const { page } = bob;
  assert.equal(await box(bob).count(), 1, "one box is shown");
  await page.keyboard.press("/");
  assert(await box(bob).evaluate((input) => input === document.activeElement), "the / key leads to it");
  await search(bob, "nunez crow");
  assert.equal(await results(bob).count(), 1);
  assert.deepEqual(await results(bob).locator("mark").allInnerTexts(), ["crown", "crown", "Núñez"]);
  await bob.look("results with marked words");
  await search(bob, "zirconia");
  assert.equal(await results(bob).count(), 2);
  await page.getByRole("link", { name: "Best first" }).click();
  await page.getByRole("link", { name: "Best first", exact: true }).and(page.locator("[aria-current]")).waitFor();
  assert.equal(await box(bob).inputValue(), "zirconia");
  await search(bob, "panorama");
  await results(bob).locator(".fact", { hasText: "panorama.png" }).waitFor();
  await search(bob, "\"zirconia bridge\"");
  await results(bob).getByText("<b>").waitFor();
  await bob.look("results with markup in them");

  // A message that comes while somebody is signed in is found at once.
  await stage.ask("send", { to: BOB.email, subject: "Just arrived", body: "A third one of zirconia." });
  await search(bob, "zirconia from:ann in:inbox");
  assert.equal(await results(bob).count(), 3);
  await page.getByRole("link", { name: "The crown of tooth 14" }).click();
  await page.waitForURL("**/threads/*#m-*");
  await page.locator(".message:target .message-body", { hasText: "Señora Núñez" }).waitFor();
  await bob.look("a message that was found, with the box beside it");
  await search(bob, "just");
  assert.equal(await results(bob).count(), 1);
}

async function help(bob) {
  await bob.page.getByText("What you can type").click();
  await bob.page.getByText("has:attachment").waitFor();
  await bob.look("what can be typed");
  await search(bob, "(zirconia OR \"");
  await bob.look("an unbalanced search");
}

async function destroyed(ann, bob) {
  await search(ann, "just");
  await results(ann).getByRole("link").click();
  await ann.page.waitForURL("**/threads/*");
  await ann.page.locator("details.act summary", { hasText: "Recall" }).click();
  await ann.page.getByRole("button", { name: "Recall" }).click();
  await ann.page.getByText("The message is destroyed").waitFor();
  await search(bob, "just");
  await bob.page.getByRole("heading", { name: "Nothing found" }).waitFor();
}
