// Several recipients: a copy, two new addresses with a question each, sending separately, forwarding with one of two
// files, what was read folded, and a recall that takes the forwarded copy with it.

import assert from "node:assert/strict";

const BOB = "bob@northside.example";
const EVE = "eve@lakeside.example";

export default async function play(stage) {
  const ann = await stage.member(await stage.ask("set up"));
  await write(stage, ann);
  const kim = await stage.member(await stage.register({ email: "kim@riverside.example", first: "Kim", last: "River", relationship: "staff_mine" }));
  await forward(stage, ann, kim);
}

async function write(stage, ann) {
  const { page } = ann;
  await ann.open("Compose");
  await page.getByLabel("Send separately").waitFor({ state: "hidden" });
  await page.getByLabel("To", { exact: true }).fill(`Bob Okafor <${BOB}>, `);
  await page.getByText(`Who is ${BOB}?`).waitFor();
  await page.getByText("Add Cc").click();
  await page.getByLabel("Cc", { exact: true }).fill(EVE);
  await page.getByLabel("Subject").focus();
  await page.getByText(`Who is ${EVE}?`).waitFor();
  assert.equal(await page.locator(".invitee").count(), 2);
  await page.getByLabel("Send separately").waitFor();
  await page.getByLabel("Relationship").first().selectOption({ label: "Patient" });
  await page.getByLabel("Relationship").last().selectOption({ label: "Doctor in another practice" });
  await page.getByLabel("First name").last().fill("Eve");
  await page.getByLabel("Subject").fill("Both of you");
  await page.getByLabel("Message", { exact: true }).fill("One with a copy.");
  await ann.look("two new addresses");
  await page.locator(".saved", { hasText: "Saved" }).waitFor();
  await page.reload();
  assert.equal(await page.getByLabel("First name").last().inputValue(), "Eve", "the rows are part of the draft");
  assert.equal(await page.getByLabel("Cc", { exact: true }).inputValue(), EVE);
  await page.locator("#send").click();
  await page.waitForURL("**/threads/*");
  await page.getByText("to Bob", { exact: false }).or(page.getByText(`to ${BOB}`)).first().waitFor();
  await page.getByText(/cc Eve/).first().waitFor();
  await ann.look("sent with a copy");

  await ann.open("Compose");
  await page.getByLabel("To", { exact: true }).fill(`${BOB}; ${EVE}`);
  await page.getByLabel("Subject").fill("Closed on Monday");
  await page.getByLabel("Message", { exact: true }).fill("The practice is closed on Monday.");
  await page.getByLabel("Send separately").check();
  await ann.look("to be sent separately");
  await page.locator("#send").click();
  await page.waitForURL("**/sent");
  await page.getByText("to everybody on their own").waitFor();
  assert.equal(await page.locator("li.row", { hasText: "Closed on Monday" }).count(), 2);
}

async function forward(stage, ann, kim) {
  await stage.ask("send", { from: "kim@riverside.example", to: "admin@riverside.example", subject: "Films", body: "Two films of the apex.", files: ["left.png", "right.png"] });
  const { page } = ann;
  await ann.open("Inbox");
  await page.getByRole("link", { name: "Films" }).click();
  await page.locator(".thread-reply").getByRole("link", { name: "Forward" }).click();
  await page.getByRole("heading", { name: "Forward", exact: true }).waitFor();
  assert.equal(await page.getByLabel("Subject").inputValue(), "Fwd: Films");
  await page.getByLabel("right.png").uncheck();
  await page.getByLabel("To", { exact: true }).fill(BOB);
  await page.getByLabel("May not be forwarded").check();
  await ann.look("forwarding");
  await page.locator("#send").click();
  await page.waitForURL("**/threads/*");
  await page.locator(".forwarded", { hasText: "Two films of the apex." }).waitFor();
  assert.equal(await page.locator(".file").count(), 1);
  assert.equal(await page.getByRole("link", { name: "Forward" }).count(), 0, "forbidden by its sender");
  await ann.look("a forwarded message");
  const copy = page.url();

  await kim.open("Sent");
  await kim.page.getByRole("link", { name: "Films" }).click();
  await kim.page.getByText("Recall", { exact: true }).first().click();
  await kim.page.getByText("Copies that somebody forwarded are destroyed as well.").waitFor();
  await kim.page.getByRole("button", { name: "Recall" }).click();
  await kim.page.getByText("The message is destroyed").waitFor();
  await ann.go(copy);
  assert.equal(await page.locator(".forwarded").count(), 0, "it went with the original");

  await stage.ask("turn", { seconds: 1 });
  await stage.ask("send", { from: "kim@riverside.example", reply: "Welcome", subject: "Re: Welcome", body: "Thank you." });
  await stage.ask("turn", { seconds: 1 });
  await stage.ask("send", { from: "kim@riverside.example", reply: "Welcome", subject: "Re: Welcome", body: "And good morning." });
  await ann.open("Inbox");
  await page.getByRole("link", { name: "Re: Welcome" }).click();
  await page.locator(".fold summary", { hasText: "We can write to each other here." }).click();
  await page.locator(".fold[open] .message-body").waitFor();
  await ann.look("an older message unfolded");
}
