// What somebody sees who looks before they install, as the administrator and as a patient, and that it is invented.

import assert from "node:assert/strict";

export default async function play(stage) {
  const { emails, password } = await stage.ask("people");
  const stranger = await stage.person("stranger");
  await stranger.go("/sign-in");
  await says(stranger);
  await stranger.look("the demonstration's sign-in");
  for (const email of [emails[0], emails.at(-1)]) {
    const person = await stage.member({ email, password });
    await says(person);
    await person.look(`the inbox of ${email}`);
    await person.page.locator(".row-link").first().click();
    await person.page.locator(".message-body:visible").first().waitFor();
    await says(person);
    await person.look(`a conversation of ${email}`);
  }
}

async function says({ page }) {
  const line = page.getByText("This is a demonstration. Everything in it is invented and forgotten when it ends.");
  assert(await line.isVisible());
  const { y } = await line.boundingBox();
  const heading = await page.getByRole("heading", { level: 1 }).boundingBox();
  assert(y < heading.y, "it is said before anything else");
}
