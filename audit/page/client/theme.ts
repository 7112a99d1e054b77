/** Light, dark, or as the system has it. The choice stays in this browser where it lets a page keep anything. */
import { place } from './dom.ts';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'sand-theme';

export function startTheme(): void {
  const button = place('theme');
  let theme = recall();
  const show = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Storage can be closed to files; the choice then lasts as long as the page.
    }
    show();
  });
  show();
}

function recall(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? 'system';
  } catch {
    return 'system';
  }
}
