// Whom one writes to: contacts that come by themselves, are written down, grouped, imported, and found while typing.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const LEE = { email: "lee@hillside.example", first: "Lee", last: "Hill", relationship: "doctor_other" };
const FILE = "Name,Email,Company\nZoë van Dyk,zoe@dyk.example,Dyk & Sons\nNobody,,\nKim Lakeman,k.lakeman@lake.example,\n";

export default async function play(stage) {
  const ann = await stage.member(await stage.ask("set up"));
  await ann.open("Contacts");
  await ann.page.getByText("No contacts yet").waitFor();
  await ann.look("no contacts");
  await stage.register(LEE);
  await ann.page.reload();
  await ann.page.getByText("Came by itself").waitFor();
  await writeDown(ann);
  await bringAlong(ann);
  await together(ann);
  await typed(ann);
  await byKeys(ann);
  await gone(ann);
  ann.expects(404);
  const lee = await stage.member({ email: LEE.email, password: "seven quiet herons wade" });
  assert.equal(await lee.page.getByRole("link", { name: "Contacts" }).count(), 0, "not without the full plan");
}

async function writeDown(ann) {
  const { page } = ann;
  ann.expects(422);
  await page.getByRole("link", { name: "New contact" }).click();
  await ann.look("a new contact");
  await page.getByLabel("First name").fill("Kim");
  await page.getByLabel("Email").fill("kim at lake");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#faults").waitFor();
  await ann.look("a contact with a fault");
  await page.getByLabel("Last name").fill("Lake");
  await page.getByLabel("Practice", { exact: true }).fill("Lakeside Orthodontics");
  await page.getByLabel("Email").fill("kim@lake.example, kim@home.example");
  await page.getByLabel("Notes").fill("On Tuesdays only.");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The contact is saved.").waitFor();
  await ann.look("two contacts");
  await page.getByLabel("Find a contact").fill("lakes");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText("1 contact", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Kim Lake", exact: true }).click();
  await page.getByLabel("Share with the practice").check();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Shared by the practice").waitFor();
}

async function bringAlong(ann) {
  const { page } = ann;
  await page.getByRole("link", { name: "Import" }).click();
  await ann.look("choosing a file");
  await page.getByLabel("File").setInputFiles({ name: "contacts.csv", mimeType: "text/csv", buffer: Buffer.from(FILE) });
  await page.getByRole("button", { name: "Look at the file" }).click();
  await page.getByRole("heading", { name: "2 new, 0 changed, 1 line left out" }).waitFor();
  await page.getByText("There is no e-mail address.").waitFor();
  await ann.look("what a file brings");
  await page.getByRole("button", { name: "Import these" }).click();
  await page.getByText("Imported: 2 new and 0 changed contacts.").waitFor();
  await page.locator("summary", { hasText: "Export" }).click();
  await ann.look("exporting");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "For phones (vCard)" }).click()]);
  const cards = await readFile(await download.path(), "utf8");
  assert(cards.includes("FN:Zoë van Dyk") && cards.includes("FN:Lee Hill") && !cards.includes("FN:Kim Lake\r"), cards);
  await page.keyboard.press("Escape");
}

async function together(ann) {
  const { page } = ann;
  await page.getByRole("link", { name: "Groups" }).click();
  await ann.look("no groups");
  await page.getByRole("link", { name: "New group" }).click();
  await page.getByLabel("Name").fill("Recall November");
  const members = page.getByRole("combobox", { name: "Members" });
  for (const [begin, whole] of [["zo", "Zoë van Dyk"], ["lee", "Lee Hill"]]) {
    await members.pressSequentially(begin);
    await page.getByRole("option", { name: whole }).click();
    await members.pressSequentially(", ");
  }
  assert.equal(await members.inputValue(), "zoe@dyk.example, lee@hillside.example, ");
  await ann.look("a new group");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("2 people").waitFor();
  await ann.look("a group");
}

/** With the pointer, several, and a group. */
async function typed(ann) {
  const { page } = ann;
  await ann.open("Compose");
  const to = page.getByRole("combobox", { name: "To", exact: true });
  await to.pressSequentially("la");
  await page.getByRole("option", { name: /^Kim Lake / }).waitFor();
  await page.getByRole("option", { name: /^Kim Lakeman/ }).waitFor();
  await ann.look("suggestions");
  await page.getByRole("option", { name: /^Kim Lake / }).click();
  assert.equal(await to.inputValue(), "kim@lake.example");
  await to.pressSequentially(", recall");
  await page.getByRole("option", { name: "Recall November 2 people" }).click();
  assert.equal(await to.inputValue(), "kim@lake.example, zoe@dyk.example, lee@hillside.example");
  await to.fill("");
  await to.pressSequentially("nobody@new");
  await page.waitForResponse((response) => response.url().includes("q=nobody"));
  assert.equal(await page.getByRole("listbox").count(), 0, "a stranger's address is left alone");
}

/** The keys of the combobox pattern. */
async function byKeys(ann) {
  const { page } = ann;
  const to = page.getByRole("combobox", { name: "To", exact: true });
  const marked = () => page.locator("[role=option][aria-selected=true]").innerText();
  await to.fill("");
  await to.pressSequentially("ki");
  await page.getByRole("option", { name: /^Kim Lakeman/ }).waitFor();
  assert.equal(await to.getAttribute("aria-expanded"), "true");
  await page.getByRole("status").filter({ hasText: "2 suggestions" }).waitFor({ state: "attached" });
  await to.press("ArrowDown");
  const first = await marked();
  assert.equal(await to.getAttribute("aria-activedescendant"), await page.locator("[aria-selected=true]").getAttribute("id"));
  await to.press("ArrowDown");
  assert.notEqual(await marked(), first);
  await to.press("ArrowDown");
  assert.equal(await marked(), first, "around");
  await ann.look("a suggestion marked");
  await to.press("Escape");
  assert.equal(await to.getAttribute("aria-expanded"), "false");
  assert.equal(await to.inputValue(), "ki", "Escape leaves what was typed");
  await to.press("ArrowDown");
  await page.getByRole("option", { name: /^Kim Lakeman/ }).waitFor();
  await to.press("ArrowUp");
  await to.press("ArrowUp");
  const chosen = await marked();
  await to.press("Enter");
  assert(chosen.includes(await to.inputValue()), `${chosen}: ${await to.inputValue()}`);
  assert(page.url().includes("/compose"), "Enter chooses and sends nothing");
  await to.pressSequentially("; lee");
  await page.getByRole("option", { name: /^Lee Hill/ }).waitFor();
  await to.press("Enter");
  assert((await to.inputValue()).endsWith("; lee@hillside.example"), "Enter takes the first when none is marked");
}

async function gone(ann) {
  const { page } = ann;
  await ann.open("Contacts");
  await page.getByRole("link", { name: "Zoë van Dyk", exact: true }).click();
  await page.getByLabel("Merge with").selectOption({ label: "Kim Lakeman · k.lakeman@lake.example" });
  await page.getByRole("button", { name: "Merge" }).click();
  await page.getByText("The two contacts are one now.").waitFor();
  await ann.look("a contact");
  await page.getByRole("button", { name: "Delete contact" }).click();
  await page.getByText("The contact is deleted.").waitFor();
  assert.equal(await page.getByText("Zoë").count(), 0);
}
