/** When the viewer shows something of its own: an image, another page, or an error. Then first light is over. */

/** Events of Cornerstone3D at the element of a viewport; they do not bubble, but they are caught on their way down. */
const NEW_IMAGE = 'CORNERSTONE_STACK_NEW_IMAGE';
const RENDERED = 'CORNERSTONE_IMAGE_RENDERED';
/** What OHIF says of an error, and what it asks; both would be under the picture. */
const WORDS = '[data-sonner-toast][data-type="error"], [role="dialog"]';
/** Between two looks at what has no event. */
const LOOK = 200;
/** A viewport that Cornerstone does not draw (a document, a video) is the viewer's own after so many looks. */
const OTHER_LOOKS = 10;

export interface Watcher {
  /** Regularly, while nothing is shown yet. */
  onLook(): void;
  /** The application could not be loaded. */
  onFailure(): void;
  /** It is over. */
  onShown(why: 'image' | 'page' | 'other'): void;
}

/** Watches the page; gives how to end it. */
export function watch(view: Window, watcher: Watcher): () => void {
  const { document, location } = view;
  const withImage = new WeakSet<EventTarget>();
  const [path, query] = [location.pathname, location.search];
  let looks = 0;
  const over = (why: Parameters<Watcher['onShown']>[0]) => {
    end();
    watcher.onShown(why);
  };
  const newImage = ({ target }: Event) => void (target && withImage.add(target));
  const rendered = ({ target }: Event) => {
    // A volume is rendered before it holds anything, and a slice of air is black.
    if (target && (withImage.has(target) || showsSomething(target as Element))) over('image');
  };
  const failed = ({ target }: Event) => void (target instanceof HTMLScriptElement && watcher.onFailure());
  const look = () => {
    if (location.pathname !== path || location.search !== query) return over('page');
    const pane = document.querySelector('[data-cy="viewport-pane"]');
    looks = pane && pane.childElementCount > 0 && !pane.querySelector('canvas') ? looks + 1 : 0;
    if (document.querySelector(WORDS) || looks > OTHER_LOOKS) return over('other');
    watcher.onLook();
  };
  const end = () => {
    clearInterval(timer);
    document.removeEventListener(NEW_IMAGE, newImage, true);
    document.removeEventListener(RENDERED, rendered, true);
    document.removeEventListener('error', failed, true);
  };
  const timer = setInterval(look, LOOK);
  document.addEventListener(NEW_IMAGE, newImage, true);
  document.addEventListener(RENDERED, rendered, true);
  document.addEventListener('error', failed, true);
  return end;
}

/** Whether some of the viewport's canvas is not black. */
function showsSomething(element: Element): boolean {
  const canvas = element.querySelector('canvas');
  if (!canvas || canvas.width === 0 || canvas.height === 0) return false;
  const small = new OffscreenCanvas(32, 32).getContext('2d')!;
  small.drawImage(canvas, 0, 0, 32, 32);
  const { data } = small.getImageData(0, 0, 32, 32);
  return data.some((value, n) => n % 4 < 3 && value > 16);
}
