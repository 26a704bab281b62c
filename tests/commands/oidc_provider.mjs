// A provider of OpenID Connect for the tests: node oidc_provider.mjs PORT OURS. Whoever signs in is in the group "radiology".
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const [port, ours] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const audiences = { 'urn:firstlight': 'firstlight', 'urn:other': 'other' };

const provider = new Provider(issuer, {
  clients: [
    { client_id: 'web', token_endpoint_auth_method: 'none', redirect_uris: [`${ours}/sign-in/provider/back`], response_types: ['code'], grant_types: ['authorization_code'] },
    { client_id: 'machine', client_secret: 'secret-of-the-machine', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
  ],
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ['sub', 'groups'] },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, groups: ['radiology'] }) }),
  extraTokenClaims: () => ({ groups: ['radiology'] }),
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({ scope: 'read', audience: audiences[resource], accessTokenFormat: 'jwt', accessTokenTTL: 300 }),
    },
  },
  cookies: { keys: ['a key of the tests'] },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
