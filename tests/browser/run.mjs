// Runs one journey on one screen: node run.mjs JOURNEY desk|phone. Started by main.rs, which answers its requests.

import { Stage } from "./stage.mjs";

const [journey, screen] = process.argv.slice(2);
const { default: play } = await import(`./journeys/${journey}.mjs`);
const stage = await Stage.open(screen);
try {
  await play(stage);
  stage.settle();
} catch (error) {
  console.error(error);
  await stage.show();
  process.exitCode = 1;
} finally {
  await stage.close();
}
