export { editDistance, nearest } from '../model/nearest.ts';
