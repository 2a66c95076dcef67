// The end of messages: another date, recall, a deleted copy, the date that comes. What remains says nothing.

import assert from "node:assert/strict";

const DAY = 86_400;
const BOB = { email: "bob@northside.example", first: "Bob", last: "Okafor" };

export default async function play(stage) {
  const admin = await stage.ask("set up");
  const member = await stage.register(BOB);
  for (const subject of ["Keep me longer", "Recall me", "Delete me", "Let me go"]) {
    await stage.ask("send", { to: BOB.email, subject, body: `${subject}: the secret of this message` });
  }
  const ann = await stage.member(admin);
  const bob = await stage.member(member);
  for (const person of [ann, bob]) person.expects(404, 410);

  await date(ann);
  await recall(stage, ann, bob);
  await remove(bob, ann);
  await pass(stage, ann, bob, admin, member);
}

async function conversation(person, folder, subject) {
  await person.open(folder);
  await person.page.locator("main").getByRole("link", { name: subject }).click();
  await person.page.getByRole("heading", { level: 1, name: subject }).waitFor();
}

const panel = (person, name) => person.page.locator("details.act", { has: person.page.locator("summary", { hasText: name }) });

async function act(person, name, look) {
  await panel(person, name).locator("summary").click();
  if (look) await person.look(look);
  await panel(person, name).getByRole("button", { name }).click();
}

async function date(ann) {
  await conversation(ann, "Sent", "Keep me longer");
  await panel(ann, "Change expiry").locator("summary").click();
  await ann.page.keyboard.press("Escape");
  assert.equal(await panel(ann, "Change expiry").getAttribute("open"), null, "Escape closes it");
  await panel(ann, "Change expiry").locator("summary").click();
  await ann.page.getByLabel("Expires").selectOption("2");
  await act(ann, "Recall");
  // One panel at a time: opening the other closed this one, and only what was pressed was done.
  await ann.page.getByText("The message is destroyed").waitFor();
  await conversation(ann, "Sent", "Let me go");
  await panel(ann, "Change expiry").locator("summary").click();
  await ann.page.getByLabel("Expires").selectOption("2");
  await ann.look("changing the expiry");
  await panel(ann, "Change expiry").getByRole("button").click();
  await ann.page.getByText("The date is changed.").waitFor();
  await ann.page.locator(".message .expiry.is-soon", { hasText: "Destroyed in 2 days" }).waitFor();
}

async function recall(stage, ann, bob) {
  await conversation(bob, "Inbox", "Recall me");
  await conversation(ann, "Sent", "Recall me");
  await panel(ann, "Recall").locator("summary").click();
  await panel(ann, "Recall").getByText(/This destroys this message for you and for Bob Okafor \(opened 23 November/).waitFor();
  await ann.page.keyboard.press("Escape");
  await act(ann, "Recall", "recalling a message");
  await ann.page.getByText("The message is destroyed").waitFor();
  await ann.look("a recalled message");
  await bob.page.reload();
  await bob.page.locator(".message-gone", { hasText: "was recalled and destroyed on 23 November" }).waitFor();
  assert(!(await bob.page.content()).includes("the secret of this message, Recall"), "nothing is left of it");
  await bob.look("a message recalled by its sender");
}

async function remove(bob, ann) {
  await conversation(bob, "Inbox", "Delete me");
  await act(bob, "Delete", "deleting a copy");
  await bob.page.getByText("Your copy is destroyed.").waitFor();
  await bob.look("after a copy was deleted");
  await conversation(ann, "Sent", "Delete me");
  await ann.page.locator(".message-body", { hasText: "the secret of this message" }).waitFor();
}

async function pass(stage, ann, bob, admin, member) {
  await conversation(bob, "Inbox", "Let me go");
  const address = bob.page.url();
  const file = await bob.page.getByRole("link", { name: "Save as age file" }).getAttribute("href");
  await stage.ask("turn", { seconds: 2 * DAY });
  await bob.go(address);
  await bob.page.getByRole("heading", { name: "Sign in" }).waitFor();
  await bob.look("signed out because nothing happened");
  await bob.page.getByLabel("Email").fill(member.email);
  await bob.page.getByLabel("Password", { exact: true }).fill(member.password);
  await bob.page.getByRole("button", { name: "Sign in" }).click();
  await bob.page.waitForURL(address);
  await bob.page.locator(".message-gone", { hasText: "was destroyed on 25 November" }).waitFor();
  assert(!(await bob.page.content()).includes("the secret"), "nothing is left of it");
  await bob.look("a message whose date has come");
  await bob.go(file);
  await bob.page.getByRole("heading", { name: "Expired" }).waitFor();
  await bob.look("a link to what was destroyed");
  await bob.go("/threads/00112233445566778899aabbccddeeff");
  await bob.page.getByRole("heading", { name: "Nothing here" }).waitFor();
  await bob.look("a link to nothing");
  await bob.open("Inbox");
  await bob.page.locator(".row-destroyed", { hasText: "was destroyed" }).first().waitFor();
  await bob.look("an inbox with destroyed messages");

  await ann.signIn(admin.email, admin.password);
  await ann.open("Sent");
  await ann.page.locator(".row-destroyed", { hasText: "was destroyed on 25 November" }).waitFor();
  await ann.look("Sent with destroyed messages");
  await ann.page.locator("main").getByRole("link", { name: "Delete me" }).waitFor();
}
