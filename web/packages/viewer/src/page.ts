/** The page around the images: its theme, its notice, its shell for the next visit. */
import { byId } from './dom.ts';
import { HERE } from './here.ts';

/** The theme that was chosen here; without one, that of the device. */
export function theme(): void {
  const select = byId<HTMLSelectElement>('theme');
  const apply = (chosen: string) => {
    select.value = chosen;
    document.documentElement.dataset.theme = chosen;
  };
  apply(stored() ?? '');
  select.addEventListener('change', () => {
    apply(select.value);
    try {
      localStorage.setItem('theme', select.value);
    } catch {
      // A browser that keeps nothing shows it now all the same.
    }
  });
}

function stored(): string | null {
  try {
    return localStorage.getItem('theme');
  } catch {
    return null;
  }
}

/** To the form, and back here from it. Who came by a link has none. */
export function signIn(): void {
  if (!HERE) location.assign(`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
}

/** "Not for diagnosis" stands there unless the administrator turned it off. */
export async function showNotice(): Promise<void> {
  const status = (await fetch(`${HERE}/status.json`).then(response => (response.ok ? response.json() : {}), () => ({}))) as { notForDiagnosis?: boolean };
  byId('notice').hidden = status.notForDiagnosis === false;
}

/** The shell is kept for the next visit: the page itself, never what it shows. */
export async function installShell(): Promise<void> {
  // Of a link nothing stays.
  if (HERE) return;
  await navigator.serviceWorker?.register('/light/sw.js', { scope: '/light/' }).catch(() => undefined);
}
