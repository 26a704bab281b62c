/** The light page: a list of studies, and a study at once. What the first image does not need is fetched when it is asked for. */
import { App } from './app.ts';
import { installShell, showNotice, signIn, theme } from './page.ts';
import { leadToSignIn } from './study/archive.ts';

theme();
leadToSignIn(signIn);
const app = new App();
app.start();
app.onFirstImage(() => {
  void showNotice();
  void installShell();
});

/** What tests, and who embeds the page, may ask. */
Object.assign(window, { firstlight: app.inspect() });
