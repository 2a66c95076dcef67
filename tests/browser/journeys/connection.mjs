// Files on their way when the connection breaks, when Send is pressed too early, when somebody changes their mind.

import assert from "node:assert/strict";
import { MB, digest, download, noise } from "../files.mjs";

export const needsCable = true;

export default async function play(stage) {
  const { cable } = stage;
  const admin = await stage.ask("set up");
  const member = await stage.register({ email: "bob@northside.example", first: "Bob", last: "Okafor" });
  const ann = await stage.member(admin);
  const { page } = ann;
  ann.expects("broken");
  const files = page.locator("#files");
  const row = (name) => page.locator("li.upload", { hasText: name });

  await ann.open("Compose");
  await page.getByLabel("To", { exact: true }).fill(member.email);
  await page.getByLabel("Subject").fill("Large");
  await page.getByText("Bob Okafor is in your contacts.").waitFor();
  await page.getByLabel("Message", { exact: true }).fill("With the scan.");
  await page.locator(".saved", { hasText: "Saved" }).waitFor();

  cable.uploadBytesMax = 2 * MB;
  await files.setInputFiles(await noise(stage.folder, "never mind.bin", 8 * MB));
  await row("never mind.bin").getByText(/B of 8 MB/).waitFor();
  await ann.look("a file on its way");
  await row("never mind.bin").getByRole("button", { name: "Cancel" }).click();
  await row("never mind.bin").waitFor({ state: "detached" });
  cable.release();

  const scan = await noise(stage.folder, "scan.bin", 12 * MB);
  cable.uploadBytesMax = 3 * MB;
  await files.setInputFiles(scan);
  await row("scan.bin").getByText(/B of 12 MB/).waitFor();
  while (!cable.isHeld) await page.waitForFunction(() => new Promise((next) => requestAnimationFrame(() => next(true))));
  cable.unplug();
  await row("scan.bin").getByText("Connection lost. Going on by itself.").waitFor();
  await ann.look("a broken connection");

  // Send while the file is still on its way: it waits, and pressing again changes nothing.
  await page.locator("#send").click();
  await page.getByText("Waiting for 1 file…").first().waitFor();
  assert(await page.locator("#send").isDisabled());
  await ann.look("waiting for a file");
  const begun = [];
  page.on("request", (request) => { if (request.method() === "POST" && request.url().endsWith("/files")) begun.push(request.url()); });
  cable.release();
  await page.waitForURL("**/threads/*");
  assert.deepEqual(begun, [], "it went on where it stopped");

  const came = await download(page, page.getByRole("link", { name: "scan.bin" }));
  assert.equal(came.sha256, await digest(scan));
  assert.equal(await page.locator(".file").count(), 1, "what was cancelled did not go along");
}
