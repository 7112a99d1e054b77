/** The script of a report: a page that stays as it was made. */
import { startPage } from './page.ts';

startPage();
