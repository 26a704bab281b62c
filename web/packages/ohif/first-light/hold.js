/**
 * OHIF's scripts wait until the first image has crossed the line, or for four seconds: they would take half of it. The server writes them as
 * `<script type="later">`; this is put into the page itself, so that they come whatever becomes of the module.
 */
(() => {
  const start = () => {
    clearTimeout(timer);
    for (const held of document.querySelectorAll('script[type="later"]')) {
      held.replaceWith(Object.assign(document.createElement('script'), { src: held.src, async: false }));
    }
  };
  window.startViewer = () => (document.readyState === 'loading' ? document.addEventListener('DOMContentLoaded', start, { once: true }) : start());
  const timer = setTimeout(window.startViewer, 4000);
})();
