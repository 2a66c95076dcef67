// What every journey stands on: the browser, the people in it, and what is demanded of every page they see: no fault
// that axe finds, nothing that has to be scrolled sideways, no request to elsewhere, no error in the console.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";
import { lay } from "./wire.mjs";

const SCREENS = {
  desk: { viewport: { width: 1440, height: 900 } },
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
};
const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const QUIET = ["--no-sandbox", "--disable-quic", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const PATIENCE_MS = 20_000;

export const origin = process.env.SEALPOST_ORIGIN;
export const setupLink = process.env.SEALPOST_SETUP_LINK;

/** The browser of one journey. */
export class Stage {
  #answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  #people = [];

  static async open(screen, needsCable) {
    const stage = new Stage();
    if (needsCable) stage.cable = await lay(origin);
    stage.screen = screen;
    stage.isPhone = screen === "phone";
    stage.browser = await chromium.launch({ executablePath: CHROMIUM.find((path) => path && existsSync(path)), args: [...QUIET, ...(stage.cable?.args ?? [])] });
    stage.folder = await mkdtemp(join(tmpdir(), "sealpost-browser-"));
    return stage;
  }

  /** Asks the program's side for something; resolves to its answer. */
  async ask(what, more = {}) {
    console.log(JSON.stringify({ do: what, ...more }));
    const { value, done } = await this.#answers.next();
    assert(!done, "the program's side has ended");
    return JSON.parse(value);
  }

  /** Somebody whom the administrator has invited and who has registered, unseen. */
  async register(who) {
    await this.ask("send", { to: who.email, relationship: who.relationship, subject: "Welcome", body: "We can write to each other here." });
    return this.ask("register", who);
  }

  /** Somebody with a browser of their own. */
  async person(name, options = {}) {
    const context = await this.browser.newContext({
      ...SCREENS[this.screen],
      baseURL: origin,
      reducedMotion: "reduce",
      timezoneId: "America/New_York",
      locale: "en-US",
      acceptDownloads: true,
      ...options,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(this, name, context, options.javaScriptEnabled === false);
    this.#people.push(person);
    await person.tab();
    return person;
  }

  /** Somebody who is signed in. */
  async member({ email, password }, options = {}) {
    const person = await this.person(email.split("@")[0], options);
    await person.signIn(email, password);
    return person;
  }

  /** Fails when anything came up that no page may do. */
  settle() {
    for (const person of this.#people) assert.deepEqual(person.faults, [], `what ${person.name} saw`);
  }

  /** For whoever looks for the fault: what everybody sees now. */
  async show() {
    for (const { name, page } of this.#people) {
      const text = await page.locator("body").innerText({ timeout: 1000 }).catch(() => "");
      console.error(`--- ${name} at ${page.url()}\n${text}`);
      if (process.env.SEALPOST_FAULT_SHOTS) await page.screenshot({ path: join(process.env.SEALPOST_FAULT_SHOTS, `${name}-${this.screen}.png`) }).catch(() => {});
    }
  }

  async close() {
    await this.browser.close();
    this.cable?.end();
    await rm(this.folder, { recursive: true, force: true });
    process.stdin.destroy();
  }
}

/** Somebody with a browser of their own. `page` is the tab in front. */
export class Person {
  faults = [];
  #expected = new Set();

  constructor(stage, name, context, isPlain) {
    Object.assign(this, { stage, name, context, isPlain, page: null });
    context.on("request", (request) => {
      const { protocol, origin: asked } = new URL(request.url());
      if (protocol.startsWith("http") && asked !== origin) this.faults.push(`a request to ${asked}`);
    });
    context.on("console", (line) => {
      if (line.type() !== "error" && line.type() !== "warning") return;
      const status = /Failed to load resource: the server responded with a status of (\d+)/.exec(line.text())?.[1];
      if (status ? this.#expected.has(Number(status)) : this.#expected.has("broken") && line.text().includes("net::ERR")) return;
      this.faults.push(`console: ${line.text()} (${line.location().url})`);
    });
    context.on("weberror", (error) => this.faults.push(`script: ${error.error().stack}`));
  }

  /** Answers of this kind are part of the journey: a status, or "broken" for connections. */
  expects(...kinds) {
    for (const kind of kinds) this.#expected.add(kind);
  }

  /** A new tab, in front. */
  async tab() {
    this.page = await this.context.newPage();
    return this.page;
  }

  async go(path) {
    return this.page.goto(path);
  }

  async signIn(email, password) {
    await this.go("/sign-in");
    await this.page.getByLabel("Email").fill(email);
    await this.page.getByLabel("Password", { exact: true }).fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.waitForURL("**/inbox");
  }

  /** Opens one of the places of the menu, wherever this screen has it. */
  async open(name) {
    if (this.stage.isPhone && !["Inbox", "Sent", "Drafts", "Compose"].includes(name)) {
      await this.page.locator(".bar-menu > summary").click();
    }
    await this.page.locator(this.stage.isPhone ? ".bar" : ".side").getByRole(name === "Sign out" ? "button" : "link", { name: new RegExp(`^${name}`) }).click();
  }

  /** What every page must be, whatever it shows. */
  async look(what) {
    const page = this.isPlain ? await this.#copy() : this.page;
    assert.equal(await sideways(page), 0, `${what} has to be scrolled sideways`);
    if (await page.evaluate("typeof axe") !== "object") await page.evaluate(`${axe.source};0`);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      // Only colours differ in the dark.
      const options = colorScheme === "dark" ? { runOnly: ["color-contrast"] } : {};
      const { violations } = await page.evaluate((options) => axe.run(document, { resultTypes: ["violations"], preload: false, ...options }), options);
      const found = violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html} (${node.failureSummary})`));
      assert.deepEqual(found, [], `${what}, ${colorScheme}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    if (this.isPlain) await page.context().close();
  }

  /** The same page where axe can run: with scripts, but without ours. */
  async #copy() {
    const [url, body] = [this.page.url(), await this.page.content()];
    const context = await this.stage.browser.newContext({ ...SCREENS[this.stage.screen], reducedMotion: "reduce" });
    await context.route("**/*.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
    await context.route(url, (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body }));
    const copy = await context.newPage();
    await copy.goto(url);
    return copy;
  }
}

/** How many pixels of a page are beyond its right edge. */
export function sideways(page) {
  return page.evaluate(() => {
    const root = document.scrollingElement;
    return Math.max(0, root.scrollWidth - root.clientWidth);
  });
}
