// One message from the first word to the answer: invite by writing, the notice, registration, reading, replying.

import assert from "node:assert/strict";
import { MB, digest, download, drop, hollow, noise, unzip } from "../files.mjs";

const BOB = "bob@northside.example";
const SUBJECT = "Periapical film, tooth 14";

export default async function play(stage) {
  const ann = await stage.member(await stage.ask("set up"));
  const large = await noise(stage.folder, "CBCT volume.dcm", 90 * MB);
  const small = await noise(stage.folder, "Röntgen 14 – 老師.png", 300_000);
  await write(stage, ann, large, small);
  const link = await notice(ann);
  const bob = await register(stage, ann, link);
  await read(bob, large, small);
  await answer(stage, ann, bob);
}

async function write(stage, ann, large, small) {
  const { page } = ann;
  ann.expects(422);
  await ann.open("Compose");
  await page.getByRole("heading", { name: "New message" }).waitFor();
  await ann.look("an empty message");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#faults").waitFor();
  await ann.look("an empty message that was sent");

  await page.getByLabel("To", { exact: true }).fill("not an address");
  await page.getByLabel("Subject").fill(SUBJECT);
  await page.getByLabel("Message", { exact: true }).fill("Dear Bob,\n\nplease have a look at the apex.\nThank you");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#to-error").waitFor();
  assert.equal(await page.getByLabel("Subject").inputValue(), SUBJECT, "what was typed is still there");

  await page.getByLabel("To", { exact: true }).fill(BOB);
  await page.getByLabel("Subject").focus();
  await page.getByLabel("Relationship").waitFor();
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#relationship-error").waitFor();
  await ann.look("a new address without a relationship");
  await page.getByLabel("Relationship").selectOption({ label: "Doctor in another practice" });
  await page.getByLabel("First name").fill("Bob");

  const files = page.locator("#files");
  const row = (name) => page.locator("li.upload", { hasText: name });
  await files.setInputFiles([large, small]);
  await drop(page, [{ name: "notes.txt", text: "apex?" }, { name: "second thoughts.txt", text: "no" }]);
  await page.waitForFunction(() => document.querySelectorAll(".upload.is-done").length === 4);
  assert.match(await page.locator(".upload-sum").innerText(), /90\.3 MB of 100 MB/);
  await row("second thoughts.txt").getByRole("button", { name: "Remove" }).click();
  await row("second thoughts.txt").waitFor({ state: "detached" });

  const asked = [];
  page.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await files.setInputFiles(await hollow(stage.folder, "whole skull.dcm", 10 * MB));
  await page.getByText("“whole skull.dcm” (10 MB) does not fit").waitFor();
  assert.deepEqual(asked.filter((line) => line.includes("/files")), [], "told before a byte was sent");
  await ann.look("a message with files, one too large");

  await page.getByLabel("Expires").selectOption("30");
  // Two quick presses are one message.
  await page.locator("#send").dblclick({ noWaitAfter: true });
  await page.waitForURL("**/threads/*");
  await page.getByText("Your message is sent.").waitFor();
  await ann.look("the message sent");
  await ann.open("Sent");
  assert.equal(await page.locator("li.row").count(), 1, "sent once");
  await page.locator("li.row", { hasText: "Not opened yet" }).waitFor();
  await ann.look("Sent");
  await ann.open("Drafts");
  await page.getByText("No drafts").waitFor();
}

/** The letter on the outbox page; its link. */
async function notice(ann) {
  const { page } = ann;
  await ann.open("Outbox");
  const letter = page.locator("li.panel", { hasText: BOB });
  const text = await letter.innerText();
  for (const secret of ["Periapical", "tooth 14", "apex", "CBCT", "Röntgen"]) assert(!text.includes(secret), secret);
  assert(text.includes("Dr Ann Rivers") && text.includes("Riverside Dental"), text);
  await ann.look("the outbox");
  return letter.getByRole("link").first().getAttribute("href");
}

async function register(stage, ann, link) {
  const bob = await stage.person("bob");
  const { page } = bob;
  bob.expects(422);
  for (let time = 0; time < 3; time += 1) await bob.go(link);
  await page.getByRole("heading", { name: "Is this you?" }).waitFor();
  assert.equal(await page.getByLabel("First name").inputValue(), "Bob");
  await bob.look("registration, details");
  await page.getByRole("button", { name: "Send code" }).click();
  await page.locator("#faults").waitFor();
  await bob.look("registration, details with a fault");
  await page.getByLabel("Last name").fill("Okafor");
  await page.getByLabel("Cell phone").fill("+1 555 0100");
  await page.getByRole("button", { name: "Send code" }).click();
  await page.waitForURL("**/register/code");
  await bob.look("registration, code");

  await ann.open("Sent");
  await ann.page.getByRole("link", { name: SUBJECT }).click();
  await ann.page.getByText("is waiting for this code").waitFor();
  await ann.look("the code on the message");
  await page.getByRole("button", { name: "Send a new code" }).click();
  await page.getByText("There is a new code.").waitFor();
  const old = await ann.page.locator(".code-digits").innerText();
  await ann.open("People");
  await ann.look("the code on the people page");
  const code = await ann.page.locator(".code-digits").innerText();
  assert.match(code, /^\d{3} \d{3}$/);

  await page.getByLabel("Code", { exact: true }).fill(old);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("#code-error").waitFor();
  await page.getByText("You have 4 tries left.").waitFor();
  await bob.look("registration, a wrong code");
  await page.getByLabel("Code", { exact: true }).fill(code);
  await page.getByRole("button", { name: "Continue" }).click();

  await page.waitForURL("**/register/account");
  await bob.look("registration, password");
  const [terms] = await Promise.all([bob.context.waitForEvent("page"), page.getByRole("link", { name: "Read the terms of use" }).click()]);
  bob.page = terms;
  await terms.getByRole("heading", { level: 1 }).waitFor();
  await bob.look("the terms of use");
  await terms.close();
  bob.page = page;
  await page.getByLabel("Password", { exact: true }).fill("seven quiet herons wade");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.locator("#terms-error").waitFor();
  await bob.look("registration without the terms");
  await page.getByLabel("I agree to the terms of use").check();
  await page.getByLabel("Password", { exact: true }).fill("northside");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.locator("#password-error").waitFor();
  await page.getByLabel("Password", { exact: true }).fill("seven quiet herons wade");
  assert(await page.getByLabel("I agree to the terms of use").isChecked(), "agreed once is enough");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL("**/threads/*");
  return bob;
}

async function read(bob, large, small) {
  const { page } = bob;
  await page.getByRole("heading", { name: SUBJECT }).waitFor();
  await page.locator(".message-body", { hasText: "please have a look at the apex." }).waitFor();
  await page.locator(".message .expiry", { hasText: "Destroyed in 30 days" }).waitFor();
  await bob.look("the message, read");
  for (const path of [large, small]) {
    const name = path.split("/").pop();
    const came = await download(page, page.getByRole("link", { name }));
    assert.deepEqual({ name: came.name, sha256: came.sha256 }, { name, sha256: await digest(path) });
  }
  const files = await unzip((await download(page, page.getByRole("link", { name: "Download all" }))).path);
  assert.equal(files.size, 3);
  for (const path of [large, small]) assert.equal(files.get(path.split("/").pop()), await digest(path));

  await bob.open("Inbox");
  await page.locator("li.row", { hasText: "3 files" }).waitFor();
  await bob.look("an inbox");
  assert.equal(await page.getByRole("link", { name: "Compose" }).count(), 0);
  bob.expects(403);
  await bob.go("/compose");
  await page.getByRole("heading", { name: "Not allowed" }).waitFor();
  await bob.look("what a free person may not do");
  await bob.open("Profile");
  assert.equal(await page.getByLabel("Time zone").inputValue(), "America/New_York");
}

async function answer(stage, ann, bob) {
  await ann.open("Sent");
  await ann.page.locator("li.row", { hasText: /Opened 23 November, \d\d:\d\d/ }).waitFor();
  await ann.look("a message that was opened");

  const { page } = bob;
  await bob.open("Inbox");
  await page.getByRole("link", { name: SUBJECT }).click();
  await page.getByRole("link", { name: "Reply", exact: true }).click();
  await page.getByRole("heading", { name: "Reply" }).waitFor();
  assert.equal(await page.getByLabel("Subject").inputValue(), `Re: ${SUBJECT}`);
  await page.locator(".quote", { hasText: "please have a look at the apex." }).waitFor();
  await page.getByLabel("Message", { exact: true }).fill("It is fine.");
  const path = await noise(stage.folder, "opinion.pdf", 50_000);
  await page.locator("#files").setInputFiles(path);
  await page.locator(".upload.is-done").waitFor();
  await bob.look("a reply");
  await page.locator("#send").click();
  await page.waitForURL("**/threads/*");
  await bob.look("a conversation");

  await ann.open("Inbox");
  await ann.page.locator("li.row.is-unread", { hasText: "It is fine." }).waitFor();
  await ann.look("an unread answer");
  await ann.page.getByRole("link", { name: `Re: ${SUBJECT}` }).click();
  await ann.page.locator(".message-body", { hasText: "It is fine." }).waitFor();
  await ann.look("the conversation with the answer");
  const came = await download(ann.page, ann.page.getByRole("link", { name: "opinion.pdf" }));
  assert.equal(came.sha256, await digest(path));
  await ann.page.getByRole("link", { name: "Print" }).click();
  await ann.page.getByText("Keep this paper as carefully as a chart.").waitFor();
  await ann.look("a conversation before it is printed");
}
