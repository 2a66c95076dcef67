// Without scripts: writing to a new address with a file, registering, reading, answering, removing a file.

import assert from "node:assert/strict";
import { digest, download, noise } from "../files.mjs";

const PLAIN = { javaScriptEnabled: false };

export default async function play(stage) {
  const admin = await stage.ask("set up");
  const ann = await stage.member(admin, PLAIN);
  const { page } = ann;
  ann.expects(422);
  const paths = [await noise(stage.folder, "one.png", 70_000), await noise(stage.folder, "two.pdf", 2_000_000), await noise(stage.folder, "mistake.txt", 10)];

  await ann.open("Compose");
  await ann.look("writing without scripts");
  await page.locator("#files").setInputFiles(paths);
  await page.getByLabel("Subject").fill("No scripts");
  await page.getByRole("button", { name: "Save draft" }).last().click();
  await page.getByText("The draft is saved.").waitFor();
  assert.equal(await page.locator(".upload").count(), 3);
  await page.locator(".upload", { hasText: "mistake.txt" }).getByRole("button").click();
  await page.locator(".upload", { hasText: "mistake.txt" }).waitFor({ state: "detached" });
  assert.equal(await page.locator(".upload").count(), 2);
  await ann.look("files without scripts");
  await page.getByLabel("To", { exact: true }).fill("bob@northside.example");
  await page.getByLabel("Message", { exact: true }).fill("It works all the same.");
  await page.getByRole("button", { name: "Send" }).last().click();
  await page.locator("#relationship-error").waitFor();
  await ann.look("a fault without scripts");
  await page.getByLabel("Relationship").selectOption({ label: "Patient" });
  await page.getByRole("button", { name: "Send" }).last().click();
  await page.waitForURL("**/threads/*");
  await page.getByText("Your message is sent.").waitFor();
  const thread = page.url();

  const bob = await stage.person("bob", PLAIN);
  const { link } = await stage.ask("link", { email: "bob@northside.example" });
  await bob.go(link);
  await bob.look("registration of a patient without scripts");
  await bob.page.getByLabel("First name").fill("Bob");
  await bob.page.getByLabel("Last name").fill("Okafor");
  await bob.page.getByLabel("Cell phone").fill("+1 555 0100");
  await bob.page.getByRole("button", { name: "Send code" }).click();
  await bob.page.waitForURL("**/register/code");
  await page.reload();
  await bob.page.getByLabel("Code", { exact: true }).fill(await page.locator(".code-digits").innerText());
  await bob.page.getByRole("button", { name: "Continue" }).click();
  await bob.page.waitForURL("**/register/account");
  await bob.page.getByLabel("Password", { exact: true }).fill("seven quiet herons wade");
  await bob.page.getByLabel("I agree to the terms of use").check();
  await bob.page.getByRole("button", { name: "Create account" }).click();
  await bob.page.waitForURL("**/threads/*");
  await bob.page.locator(".message-body", { hasText: "It works all the same." }).waitFor();
  await bob.look("reading without scripts");
  for (const path of paths.slice(0, 2)) {
    assert.equal((await download(bob.page, bob.page.getByRole("link", { name: path.split("/").pop() }))).sha256, await digest(path));
  }
  await stage.ask("turn", { seconds: 60 });
  await bob.page.getByRole("link", { name: "Reply", exact: true }).click();
  await bob.page.getByLabel("Message", { exact: true }).fill("So it does.");
  await bob.page.locator("#files").setInputFiles(paths[0]);
  await bob.page.getByRole("button", { name: "Send" }).last().click();
  await bob.page.waitForURL("**/threads/*");
  assert.equal(new URL(bob.page.url()).pathname, new URL(thread).pathname);

  await ann.go(thread);
  await page.locator(".message-body", { hasText: "So it does." }).waitFor();
  await page.locator("details.fold > summary").click();
  await page.locator("details.act summary", { hasText: "Change expiry" }).first().click();
  await page.getByLabel("Expires").first().selectOption("3");
  await page.getByRole("button", { name: "Change expiry" }).click();
  await page.getByText("The date is changed.").waitFor();
  await ann.open("Sign out");
  await page.waitForURL("**/sign-in");
}
