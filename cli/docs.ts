/** `npm run docs`: writes docs/reference.md out of the schemas and tables that the code works with. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { referencePage } from './docs/reference-page.ts';

writeFileSync(fileURLToPath(new URL('../docs/reference.md', import.meta.url)), referencePage());
