// Every page with a believable practice on it, in light and dark, as pictures in tests/shots/: to be looked at.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setupLink } from "../stage.mjs";

const FOLDER = fileURLToPath(new URL("../../shots", import.meta.url));
const HOUR = 3600;
const DAY = 24 * HOUR;
const GRACE = { email: "grace@riverside.example", first: "Grace", last: "Lindqvist", relationship: "staff_mine" };
const SAMUEL = { email: "samuel.adeyemi-whitfield@northside-endodontics.example", first: "Dr. Samuel", last: "Adeyemi-Whitfield", relationship: "doctor_other" };
const MAXIMILIANE = { email: "m.vonhohenstein@kieferchirurgie-am-schlosspark.example", first: "Dr. Maximiliane Theodora", last: "von Hohenstein-Württemberg zu Laubach", relationship: "doctor_other" };
const TOMAS = { email: "tomas.herrera@mail.example", first: "Tomás", last: "Herrera", relationship: "patient" };
const IMPLANT = "Implant planning 36, CBCT and intraoral scans";
const FILES = ["CBCT volume, lower jaw, 0.2 mm, 2026-11-19, exported for planning software.zip", "intraoral scan upper.stl", "intraoral scan lower.stl", "bite.stl", "OPG 2026-11-19.png", "OPG 2024-02-02.png", "periapical 36.jpg", "periapical 37.jpg", "medical history.pdf", "consent form signed.pdf", "treatment plan v3 final (2).docx", "notes.txt"];

let stage;
let taken = 0;

/** The page as it is, in both lights, whole. */
async function shot(person, name) {
  const { page } = person;
  const { width, height } = page.viewportSize();
  taken += 1;
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height: Math.max(height, Math.min(whole, 5000)) });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(FOLDER, `${stage.screen}-${colorScheme}`, `${String(taken).padStart(2, "0")} ${name}.png`) });
  }
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: "light" });
}

/** The page as a sheet of A4 with its margins shows it. */
async function paper({ page }, name) {
  const screen = page.viewportSize();
  await page.emulateMedia({ media: "print" });
  await page.setViewportSize({ width: 658, height: 987 });
  await page.screenshot({ path: join(FOLDER, `${stage.screen}-light`, `${String(taken).padStart(2, "0")} ${name}.png`), fullPage: true });
  await page.emulateMedia({ media: "screen" });
  await page.setViewportSize(screen);
  await page.pdf({ path: join(FOLDER, `${name}.pdf`), format: "A4", preferCSSPageSize: true });
}

export default async function play(theStage) {
  stage = theStage;
  for (const light of ["light", "dark"]) await mkdir(join(FOLDER, `${stage.screen}-${light}`), { recursive: true });
  await setUp();
  const admin = { email: "ann.rivers@riverside.example", password: "seven quiet herons wade" };
  await stage.ask("adopt", admin);
  const ann = await stage.member(admin);
  await shot(ann, "inbox empty");
  for (const [path, name] of [["/sent", "sent empty"], ["/drafts", "drafts empty"], ["/outbox", "outbox empty"], ["/people", "people alone"]]) {
    await ann.go(path);
    await shot(ann, name);
  }
  const members = {};
  for (const who of [GRACE, SAMUEL, MAXIMILIANE, TOMAS]) members[who.first] = await stage.register(who);
  await correspond();
  await inside(admin);
  await contacts(admin);
  await writing(admin);
  await outside(admin, members);
}

async function setUp() {
  const ann = await stage.person("ann");
  const { page } = ann;
  ann.expects(422);
  await ann.go(setupLink);
  await shot(ann, "set-up");
  await page.getByLabel("Practice name").fill("Riverside Dental & Implantology Group");
  await page.getByLabel("Your name").fill("Dr. Ann Rivers");
  await page.getByLabel("Email").fill("ann.rivers@riverside");
  await page.getByLabel("Password", { exact: true }).fill("riverside2026");
  await page.getByRole("button", { name: "Create practice" }).click();
  await page.locator("#faults").waitFor();
  await shot(ann, "set-up with a fault");
  await page.getByLabel("Email").fill("ann.rivers@riverside.example");
  await page.getByLabel("Password", { exact: true }).pressSequentially("seven quiet herons wade");
  await page.locator(".strength-text", { hasText: /\w/ }).waitFor();
  await shot(ann, "set-up, strength");
  await page.getByRole("button", { name: "Create practice" }).click();
  await page.waitForURL("**/setup/kit");
  await shot(ann, "recovery kit");
  await paper(ann, "recovery kit on paper");
  const words = await page.locator(".kit-words li").allTextContents();
  await page.getByRole("link", { name: "I have printed it" }).click();
  const asked = page.getByLabel(/^Word \d+$/);
  for (const field of await asked.all()) await field.fill("heron");
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.locator("#faults").waitFor();
  await shot(ann, "three words with a fault");
  for (const label of await page.locator("main label").allTextContents()) {
    await page.getByLabel(label, { exact: true }).fill(words[Number(/\d+/.exec(label)[0]) - 1]);
  }
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.waitForURL("**/inbox");
  await ann.go(setupLink);
  await shot(ann, "set-up done");
}

async function correspond() {
  const turn = (seconds) => stage.ask("turn", { seconds });
  const send = async (from, to, subject, body, more = {}) => {
    await turn(7 * 60);
    await stage.ask("send", { from: from?.email, to: to.email, relationship: to.relationship, subject, body, ...more });
  };
  await send(null, TOMAS, "Your crown is ready", "Dear Mr Herrera,\n\nyour crown has arrived from the laboratory. Shall we say Thursday at 9?\n\nRiverside Dental", { days: 2 });
  await send(null, SAMUEL, "Retreatment 46", "Dear Samuel,\n\ncould you take over the retreatment of 46? The file of 2019 is attached.", { files: ["46 before.jpg", "46 after.jpg"], days: 12 });
  await send(TOMAS, TOMAS, "Re: Your crown is ready", "Thursday is fine, thank you. Is there anything that I should not eat before?", { reply: "Welcome", days: 5 });
  await turn(2 * DAY + HOUR);
  await send(GRACE, { email: "ann.rivers@riverside.example" }, "Rota for the week of 30 November", "Dear Ann,\n\nhere is the rota. Mrs Okafor asks whether Wednesday could be swapped; I said that I would ask you first.\n\nGrace", { files: ["rota.xlsx"] });
  await turn(DAY);
  await send(MAXIMILIANE, MAXIMILIANE, "Surgical report of the removal of four impacted wisdom teeth under general anaesthesia, with remarks on the inferior alveolar nerve and the follow-up in March", "Dear colleague,\n\nplease find my report below. The course was without complications.\n\n1. Access and flap as planned\n2. Sectioning of 38 and 48; the nerve was seen on the left and left untouched\n3. Sutures to be removed after ten days\n\nPlease see https://guidelines.example/third-molars/postoperative-care for the antibiotics.\n\nKind regards\nMaximiliane", { reply: "Welcome", files: ["report.pdf"] });
  await send(SAMUEL, SAMUEL, "Re: Retreatment 46", "Gladly. MB2 is still untreated, see the picture.\n\nSamuel", { reply: "Retreatment 46", files: ["46 MB2.jpg"] });
  await send(null, SAMUEL, IMPLANT, "Dear Samuel,\n\neverything that we have on 36: the volume, both scans, the bite and what the patient signed.\n\nThank you\nAnn", { files: FILES });
  await stage.ask("read", { who: SAMUEL.email, subject: IMPLANT });
  await send(null, TOMAS, "After your treatment", "Dear Mr Herrera,\n\nplease do not rinse today. Take the tablets with your meals, and call us at any time if it bleeds.", { days: 3 });
  await turn(3 * HOUR);
  await send(null, { email: "amara.okonkwo@lakeside-orthodontics.example", relationship: "doctor_other" }, "Space maintainer for a seven-year-old", "Dear Dr Okonkwo,\n\nwould you see this child?", { files: ["model upper.stl", "model lower.stl"] });
  await turn(HOUR);
}

async function inside(admin) {
  const ann = await stage.member(admin);
  const { page } = ann;
  ann.expects(404, 403, 410, 422);
  await shot(ann, "inbox");
  if (stage.isPhone) {
    await page.locator(".bar-menu > summary").click();
    await shot(ann, "menu");
    await page.keyboard.press("Escape");
  }
  const thread = async (folder, subject) => {
    await ann.go(folder);
    await page.locator("main").getByRole("link", { name: subject }).first().click();
    await page.getByRole("heading", { level: 1 }).waitFor();
  };
  await ann.go("/sent");
  await shot(ann, "sent");
  await ann.go("/search?q=file+crown");
  await shot(ann, "nothing found");
  await ann.go("/search?q=46+jpg");
  await shot(ann, "found");
  await ann.go("/search?q=after");
  await page.getByText("What you can type").click();
  await shot(ann, "found, help");
  await thread("/inbox", "Surgical report");
  await shot(ann, "thread, long names");
  await thread("/inbox", "Retreatment 46");
  await shot(ann, "thread of two");
  for (const panel of ["Change expiry", "Recall"]) {
    await page.locator("details.act summary", { hasText: panel }).last().click();
    await shot(ann, `panel ${panel}`);
    await page.keyboard.press("Escape");
  }
  await page.getByRole("link", { name: "Print" }).click();
  await shot(ann, "thread before it is printed");
  await paper(ann, "thread on paper");
  await thread("/sent", IMPLANT);
  await shot(ann, "twelve files");
  await thread("/inbox", "Your crown is ready");
  await shot(ann, "thread with a destroyed message");
  await thread("/sent", "Space maintainer");
  await shot(ann, "not opened yet");
  await ann.go("/outbox");
  await shot(ann, "outbox");
  await ann.go("/people");
  await shot(ann, "people");
  await page.getByRole("link", { name: "Edit Tomás Herrera" }).click();
  await shot(ann, "person");
  await page.getByLabel("Last name").fill("");
  await page.getByLabel("Email").fill("tomas at mail");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#faults").waitFor();
  await shot(ann, "person with a fault");
  for (const [path, name] of [["/profile", "profile"], ["/settings/practice", "settings"], ["/settings/about", "about"], ["/nowhere", "not found"], ["/terms", "terms, signed in"]]) {
    await ann.go(path);
    await shot(ann, name);
  }
}

async function contacts(admin) {
  const ann = await stage.member(admin);
  const { page } = ann;
  ann.expects(422);
  await ann.go("/contacts");
  await shot(ann, "contacts, by themselves");
  await ann.go("/contacts/import");
  await shot(ann, "contacts, choosing a file");
  const names = ["Amara Okonkwo,Lakeside Orthodontics", "Noah Feldmann-Castellanos,Praxis für Kieferorthopädie und Oralchirurgie am Schlosspark", "Priya Natarajan,", "Émile Duvivier,Cabinet Duvivier", "Siobhán O'Rourke,Northside Endodontics"];
  const lines = names.map((name) => `${name},${name.normalize("NFD").toLowerCase().replace(/,.*|[^a-z ,-]/g, "").replace(/[ -]/g, ".")}@practices.example,+1 555 0142`);
  const file = ["Name,Company,Email,Phone", ...lines, "Nobody,,,", "Bad,,not an address,", `Again,,${lines[2].split(",")[2]},`, `Samuel Adeyemi,Northside Endodontics,${SAMUEL.email},+1 555 0177`].join("\n");
  await page.getByLabel("File").setInputFiles({ name: "contacts.csv", mimeType: "text/csv", buffer: Buffer.from(file) });
  await page.getByRole("button", { name: "Look at the file" }).click();
  await page.getByRole("button", { name: "Import these" }).waitFor();
  await shot(ann, "contacts, what a file brings");
  await page.getByRole("button", { name: "Import these" }).click();
  await page.waitForURL("**/contacts");
  await ann.go("/contacts/new");
  await page.getByLabel("First name").fill("Frontier");
  await page.getByLabel("Last name").fill("Dental Laboratory");
  await page.getByLabel("Email").fill("orders@frontier-lab.example, urgent@frontier-lab.example");
  await page.getByLabel("Office phone").fill("+1 555 0199");
  await page.getByLabel("Notes").fill("Cases that arrive before 10 are picked up the same day.");
  await page.getByLabel("Share with the practice").check();
  await shot(ann, "contact, new");
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForURL("**/contacts");
  await shot(ann, "contacts");
  await page.locator("summary", { hasText: "Export" }).click();
  await shot(ann, "contacts, exporting");
  await ann.go("/contacts?q=nobody");
  await shot(ann, "contacts, nobody found");
  await ann.go("/contacts");
  await page.getByRole("link", { name: "Priya Natarajan", exact: true }).click();
  await shot(ann, "contact");
  await page.getByLabel("Email").fill("priya at practices");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#faults").waitFor();
  await shot(ann, "contact with a fault");
  await ann.go("/contacts/groups");
  await shot(ann, "groups, none");
  await ann.go("/contacts/groups/new");
  await page.getByLabel("Name").fill("Referring orthodontists");
  await page.getByLabel("Members").fill(lines.slice(0, 4).map((line) => line.split(",")[2]).join(", "));
  await page.getByLabel("Members").pressSequentially(", sam");
  await page.getByRole("option").first().waitFor();
  await shot(ann, "group, new");
  await page.getByRole("option").first().click();
  await page.getByRole("button", { name: "Save" }).click();
  await shot(ann, "groups");
  await ann.go("/compose");
  await page.getByLabel("To", { exact: true }).pressSequentially("o");
  await page.getByRole("option").first().waitFor();
  await page.keyboard.press("ArrowDown");
  await shot(ann, "compose, suggestions");
}

async function writing(admin) {
  const ann = await stage.member(admin);
  const { page } = ann;
  ann.expects(401, 409, 422);
  await ann.go("/compose");
  await shot(ann, "compose");
  await page.getByLabel("To", { exact: true }).fill(SAMUEL.email);
  await page.getByLabel("Subject").focus();
  await page.locator(".recipient-known", { hasText: /\w/ }).waitFor();
  await shot(ann, "compose, known");
  await page.getByLabel("To", { exact: true }).fill("dr.newcomb@hillside-perio.example");
  await page.getByLabel("Subject").focus();
  await page.getByLabel("Relationship").waitFor();
  await page.locator("#files").setInputFiles(FILES.slice(0, 5).map((name, n) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.alloc(10 ** (n + 2)) })));
  await page.waitForFunction(() => document.querySelectorAll(".upload.is-done").length === 5);
  await page.getByLabel("Subject").fill("Second opinion on the furcation of 46, and whether it is worth the attempt at all given the age");
  await page.getByLabel("Message", { exact: true }).fill("Dear colleague,\n\nwould you have a look at the furcation? Probing depths are on the second page.\n\nKind regards\nAnn Rivers");
  await page.locator(".saved", { hasText: "Saved" }).waitFor();
  await shot(ann, "compose, new address, files");
  await page.getByRole("button", { name: "Send" }).last().click();
  await page.locator("#faults").waitFor();
  await shot(ann, "compose with a fault");
  const other = await ann.context.newPage();
  await other.goto(page.url().includes("draft=") ? page.url() : `/compose?draft=${await page.locator("[name=draft]").inputValue()}`);
  await other.getByLabel("Message", { exact: true }).fill("Another tab");
  await other.locator(".saved", { hasText: "Saved" }).waitFor();
  await other.close();
  await page.getByLabel("Message", { exact: true }).fill("This tab");
  await page.locator(".draft-conflict").waitFor();
  await shot(ann, "compose, two tabs");
  await ann.go("/drafts");
  await shot(ann, "drafts");
  await ann.go("/inbox");
  await page.locator("main").getByRole("link", { name: "Retreatment 46" }).click();
  await page.getByRole("link", { name: "Reply", exact: true }).click();
  await page.getByRole("heading", { name: "Reply" }).waitFor();
  await shot(ann, "reply");
  await page.clock.install();
  await page.reload();
  await page.clock.fastForward(14.2 * 60_000);
  await page.getByRole("alertdialog").waitFor();
  await shot(ann, "idle question");
}

async function outside(admin, members) {
  const okonkwo = await stage.person("okonkwo");
  const { page } = okonkwo;
  okonkwo.expects(422, 404, 410, 429);
  const { link } = await stage.ask("link", { email: "amara.okonkwo@lakeside-orthodontics.example" });
  await okonkwo.go(link);
  await shot(okonkwo, "registration, details");
  await page.getByRole("button", { name: "Send code" }).click();
  await page.locator("#faults").waitFor();
  await shot(okonkwo, "registration, details with a fault");
  await page.getByLabel("First name").fill("Dr. Amara");
  await page.getByLabel("Last name").fill("Okonkwo");
  await page.getByLabel("Office phone").fill("+1 555 0142");
  await page.getByRole("button", { name: "Send code" }).click();
  await page.waitForURL("**/register/code");
  await shot(okonkwo, "registration, code");
  const ann = await stage.member(admin);
  await ann.go("/sent");
  await shot(ann, "sent with a code");
  await ann.page.locator("main").getByRole("link", { name: "Space maintainer" }).click();
  await ann.page.locator(".code-digits").first().waitFor();
  await shot(ann, "code on the message");
  const code = await ann.page.locator(".code-digits").first().innerText();
  await ann.go("/people");
  await shot(ann, "code on the people page");
  await page.getByLabel("Code", { exact: true }).fill("000 000");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("#faults").waitFor();
  await shot(okonkwo, "registration, wrong code");
  await page.getByLabel("Code", { exact: true }).fill(code);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL("**/register/account");
  await shot(okonkwo, "registration, password");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.locator("#faults").waitFor();
  await shot(okonkwo, "registration, password with a fault");
  await page.getByLabel("I agree to the terms of use").check();
  await page.getByLabel("Password", { exact: true }).fill("seven quiet herons wade");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL("**/threads/*");
  await shot(okonkwo, "first message, free");
  await okonkwo.go("/inbox");
  await shot(okonkwo, "inbox, free");
  await okonkwo.go("/sent");
  await shot(okonkwo, "sent, free");

  const stranger = await stage.person("stranger");
  stranger.expects(422, 404, 429);
  for (const [path, name] of [[link, "link used"], ["/register/abc", "link unknown"], ["/terms", "terms"], ["/nowhere", "not found, outside"], ["/sign-in", "sign in"], ["/sign-in?idle=1", "sign in, idle"]]) {
    await stranger.go(path);
    await shot(stranger, name);
  }
  for (let time = 0; time < 6; time += 1) {
    await stranger.page.getByLabel("Email").fill(members[TOMAS.first].email);
    await stranger.page.getByLabel("Password", { exact: true }).fill("wrong wrong wrong");
    await stranger.page.getByRole("button", { name: "Sign in" }).click();
    await stranger.page.locator("#faults").waitFor();
    if (time === 0) await shot(stranger, "sign in, wrong");
    if (time < 5) await stranger.go("/sign-in");
  }
  await shot(stranger, "sign in, locked");
  await ann.go("/people");
  await shot(ann, "people, one locked");
  await stage.ask("send", { to: "nobody.yet@hillside.example", relationship: "patient", subject: "Soon gone", body: "Gone", days: 1 });
  const late = await stage.ask("link", { email: "nobody.yet@hillside.example" });
  await stage.ask("turn", { seconds: 8 * DAY });
  await stranger.go(late.link);
  await shot(stranger, "link expired");
  await stranger.page.getByRole("button", { name: "Ask for a new link" }).click();
  await stranger.page.getByRole("heading", { name: "We have asked for a new link" }).waitFor();
  await shot(stranger, "link asked for");
}
