// Unpacks Chromium, its libraries and a font from the npm package named by the argument into os.tmpdir(): set TMPDIR.

import { join } from "node:path";
import { pathToFileURL } from "node:url";

const home = process.argv[2];
const { inflate } = await import(pathToFileURL(join(home, "build", "index.js")));
await Promise.all(["chromium.br", "al2023.tar.br", "fonts.tar.br"].map((name) => inflate(join(home, "bin", name))));
