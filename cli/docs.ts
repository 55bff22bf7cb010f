/** `npm run docs`: writes the pages that come out of the schemas and tables that the code works with. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { costPage } from './docs/cost-page.ts';
import { eventsPage } from './docs/events-page.ts';
import { referencePage } from './docs/reference-page.ts';

const write = (page: string, text: string): void =>
  writeFileSync(fileURLToPath(new URL(`../docs/${page}`, import.meta.url)), text);
write('reference.md', await referencePage());
write('cost.md', costPage());
write('events.md', eventsPage());
