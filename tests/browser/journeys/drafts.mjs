// What is being written is never lost: saved by itself, found again after the tab was closed, guarded against itself.

import assert from "node:assert/strict";

export default async function play(stage) {
  const ann = await stage.member(await stage.ask("set up"));
  const { page } = ann;
  ann.expects(409, 422);
  await ann.open("Compose");
  const address = page.url();
  await page.getByLabel("Subject").fill("Half a thought");
  await page.getByLabel("Subject").press("Enter");
  await page.getByLabel("Message", { exact: true }).fill("Half a sentence");
  await page.locator(".saved", { hasText: /^Saved \d\d:\d\d$/ }).waitFor();
  assert.notEqual(page.url(), address, "a reload finds the draft");
  await page.locator("#files").setInputFiles([{ name: "one.txt", mimeType: "text/plain", buffer: Buffer.from("1") }, { name: "two.txt", mimeType: "text/plain", buffer: Buffer.from("22") }]);
  await page.waitForFunction(() => document.querySelectorAll(".upload.is-done").length === 2);

  // Typed and closed at once: the last words go along with the closing tab.
  await page.getByLabel("Message", { exact: true }).pressSequentially(", and the rest");
  await page.close({ runBeforeUnload: false });
  await ann.tab();
  await ann.go("/drafts");
  await ann.page.locator("li.row", { hasText: "2 files" }).waitFor();
  await ann.look("Drafts");
  await ann.page.getByRole("link", { name: "Half a thought" }).click();
  await ann.page.locator(".upload.is-done", { hasText: "two.txt" }).waitFor();
  await ann.look("a draft found again");
  await limits(ann);
  await twoTabs(ann);
  await discard(ann);
}

async function limits(ann) {
  const { page } = ann;
  await page.getByLabel("Subject").fill("x".repeat(195));
  await page.getByText("5 characters left").waitFor();
  await page.getByLabel("Subject").fill("x".repeat(203));
  await page.getByText("3 characters too many").waitFor();
  await ann.look("a subject that is too long");
  await page.getByLabel("Subject").fill("Half a thought");
  await page.locator(".saved", { hasText: "Saved" }).waitFor();
}

async function twoTabs(ann) {
  const first = ann.page;
  await first.reload();
  const address = first.url();
  const second = await ann.tab();
  await second.goto(address);
  await second.getByLabel("Message", { exact: true }).fill("Written in the second tab");
  await second.locator(".saved", { hasText: "Saved" }).waitFor();
  ann.page = first;
  await first.bringToFront();
  await first.getByLabel("Message", { exact: true }).fill("Written in the first tab");
  await first.getByRole("alert").filter({ hasText: "This draft was changed in another tab." }).waitFor();
  await ann.look("a draft changed in another tab");
  await first.getByRole("button", { name: "Keep mine" }).click();
  await first.locator(".saved", { hasText: "Saved" }).waitFor();
  ann.page = second;
  await second.bringToFront();
  await second.getByLabel("Message", { exact: true }).fill("Once more in the second tab");
  await second.getByRole("link", { name: "Load the other version" }).click();
  await second.waitForFunction(() => document.querySelector("#body")?.value === "Written in the first tab");
  await second.close();
  ann.page = first;
}

async function discard(ann) {
  const { page } = ann;
  await page.bringToFront();
  await page.getByRole("button", { name: "Save draft" }).last().click();
  await page.getByText("The draft is saved.").waitFor();
  await page.getByRole("button", { name: "Discard draft" }).click();
  await page.getByText("The draft is discarded.").waitFor();
  await page.getByText("No drafts").waitFor();
}
