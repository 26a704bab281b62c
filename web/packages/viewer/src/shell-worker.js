/**
 * The service worker: the page's own files, kept for the next visit and for times without a line. The list is written by the build; nothing else is
 * ever kept, least of all pictures or names. What is not on the list goes to the network as if this were not here.
 */
const SHELL = __SHELL__;
const CACHE = 'shell-__VERSION__';
const PAGE = '/light/';

self.addEventListener('install', event => {
  const fresh = SHELL.map(path => new Request(path, { cache: 'reload', credentials: 'same-origin' }));
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(fresh)).then(() => self.skipWaiting()));
});

self.addEventListener('activate', event => {
  const old = caches.keys().then(names => Promise.all(names.filter(name => name.startsWith('shell-') && name !== CACHE).map(name => caches.delete(name))));
  event.waitUntil(old.then(() => self.clients.claim()));
});

self.addEventListener('fetch', event => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== 'GET' || origin !== self.location.origin) return;
  const path = event.request.mode === 'navigate' && pathname === PAGE ? PAGE : pathname;
  if (!SHELL.includes(path)) return;
  event.respondWith(caches.open(CACHE).then(cache => cache.match(path)).then(kept => kept ?? fetch(event.request)));
});
