// Runs one journey on one screen: node run.mjs JOURNEY desk|phone. Started by main.rs, which answers its requests.

import { Stage } from "./stage.mjs";

const JOURNEY_MS_MAX = 180_000;

const [journey, screen] = process.argv.slice(2);
const { default: play, needsCable = false } = await import(`./journeys/${journey}.mjs`);
const stage = await Stage.open(screen, needsCable);
try {
  const late = AbortSignal.timeout(JOURNEY_MS_MAX);
  await Promise.race([play(stage), new Promise((_, fail) => late.addEventListener("abort", () => fail(late.reason)))]);
  stage.settle();
} catch (error) {
  console.error(error);
  await stage.show();
  process.exitCode = 1;
} finally {
  await stage.close();
}
