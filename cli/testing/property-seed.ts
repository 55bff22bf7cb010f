/** Loaded before the files with property tests: `PROPERTY_SEED=7` or `PROPERTY_SEED=random` replaces the one seed of every run. */
import fc from 'fast-check';

const DEFAULT_SEED = 1;

const { PROPERTY_SEED: given } = process.env;
const seed =
  given === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(given ?? DEFAULT_SEED);
if (!Number.isInteger(seed))
  throw new TypeError(`PROPERTY_SEED is "${given}": give a whole number, or random`);
// A failure prints its seed and the path to the smallest case.
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
