// Signing out and in, five wrong passwords, the lock and the key to it, and fifteen minutes of nothing.

import assert from "node:assert/strict";

const MINUTE = 60;

export default async function play(stage) {
  const admin = await stage.ask("set up");
  const member = await stage.register({ email: "bob@northside.example", first: "Bob", last: "Okafor" });
  const ann = await stage.member(admin);
  await leave(stage, ann, admin);
  await locked(stage, ann, member);
  await idleInThePage(stage, admin);
  await idleOnTheServer(stage, ann, admin);
}

async function leave(stage, ann, admin) {
  const { page } = ann;
  await ann.open("Outbox");
  await page.getByRole("heading", { level: 1, name: "Outbox" }).waitFor();
  await ann.open("Sent");
  await page.locator("li.row").first().waitFor();
  await ann.open("Sign out");
  await page.waitForURL("**/sign-in");
  await ann.look("sign in");
  for (let step = 0; step < 2; step += 1) {
    await page.goBack();
    await page.waitForURL("**/sign-in?*");
    assert.equal(await page.locator("li.row").count(), 0, "the Back button shows nothing");
  }
  await page.getByLabel("Email").fill(admin.email);
  await page.getByLabel("Password", { exact: true }).fill(admin.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: /Outbox|Sent|Inbox/ }).waitFor();
}

async function locked(stage, ann, member) {
  const bob = await stage.person("bob");
  const { page } = bob;
  bob.expects(422, 429);
  await bob.go("/sign-in");
  for (let time = 0; time < 5; time += 1) {
    await page.getByLabel("Email").fill(member.email);
    await page.getByLabel("Password", { exact: true }).fill(`a wrong password ${time}`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("#faults").waitFor();
    assert.equal(await page.getByLabel("Email").inputValue(), member.email);
    if (time === 0) await bob.look("a wrong password");
    await bob.go("/sign-in");
  }
  await page.getByLabel("Email").fill(member.email);
  await page.getByLabel("Password", { exact: true }).fill(member.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#faults", { hasText: /locked/i }).waitFor();
  await bob.look("locked");

  await ann.open("People");
  await ann.page.locator("li.person", { hasText: "Locked" }).waitFor();
  await ann.look("somebody locked");
  await ann.page.getByRole("button", { name: "Unlock Bob Okafor" }).click();
  await ann.page.getByText("The account is unlocked.").waitFor();
  await bob.signIn(member.email, member.password);
}

async function idleInThePage(stage, admin) {
  const ann = await stage.person("ann, idle");
  const { page } = ann;
  await page.clock.install();
  await ann.signIn(admin.email, admin.password);
  await ann.open("Compose");
  await page.getByLabel("Subject").fill("Written before the break");
  await page.clock.runFor(3000);
  await page.locator(".saved", { hasText: "Saved" }).waitFor();
  await page.clock.fastForward((14 * MINUTE + 1) * 1000);
  await page.getByRole("alertdialog").waitFor();
  await ann.look("the question before the idle sign-out");
  await page.getByRole("button", { name: "Stay signed in" }).click();
  await page.getByRole("alertdialog").waitFor({ state: "hidden" });
  await page.getByLabel("Message", { exact: true }).fill("and not saved by itself yet");
  await page.clock.fastForward(16 * MINUTE * 1000);
  await page.waitForURL("**/sign-in?*");
  await page.getByText("You were signed out because nothing happened for a while.").waitFor();
  await ann.go("/inbox");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await ann.signIn(admin.email, admin.password);
  await ann.open("Drafts");
  await page.getByRole("link", { name: "Written before the break" }).click();
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "and not saved by itself yet");
}

async function idleOnTheServer(stage, ann, admin) {
  const { page } = ann;
  ann.expects(401);
  await ann.open("Compose");
  await page.getByLabel("Subject").fill("Sent too late");
  await stage.ask("turn", { seconds: 16 * MINUTE });
  await page.getByText("You were signed out.").first().waitFor();
  await ann.look("signed out while writing");
  await page.getByLabel("Message", { exact: true }).fill("The text of the form itself");
  await page.getByRole("button", { name: "Save draft" }).last().click();
  await page.getByText("What you wrote is saved in Drafts.").waitFor();
  await ann.look("signed out, the draft saved");
  await page.getByLabel("Email").fill(admin.email);
  await page.getByLabel("Password", { exact: true }).fill(admin.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await ann.open("Drafts");
  await page.getByRole("link", { name: "Sent too late" }).click();
  assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "The text of the form itself");
}
