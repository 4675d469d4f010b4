import { afterEach, describe, expect, it, vi } from 'vitest';

/** A page whose browser refuses the worker for this reason; `get` is how the page itself fares with the script. */
async function page(why: Error, get: () => Promise<Response>, controller: object | null = null) {
  vi.resetModules();
  const register = vi.fn(() => Promise.reject(why));
  vi.stubGlobal('navigator', {
    serviceWorker: Object.assign(new EventTarget(), { controller, register, ready: new Promise(() => {}) }),
  });
  vi.stubGlobal('document', { documentElement: { dataset: {} } });
  vi.stubGlobal('fetch', get);
  const { registerServiceWorker, whenFailed } = await import('../src/sw/register.ts');
  const heard = vi.fn();
  whenFailed(heard);
  const { workerReady } = await import('../src/ui/shell/platform.ts');
  const done = expect(registerServiceWorker('/app/')).rejects.toBe(why);
  return { heard, whenFailed, workerReady, done };
}

const SSL = new DOMException('An SSL certificate error occurred when fetching the script.', 'SecurityError');
const came = async () => new Response('');
const lost = () => Promise.reject(new TypeError('Failed to fetch'));

describe('a worker that could not be registered', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.unstubAllEnvs();
  });

  it('was refused when the certificate is bad, for early and late listeners', async () => {
    const { heard, whenFailed, done } = await page(SSL, lost);
    await done;
    expect(heard.mock.calls).toEqual([['refused']]);
    const late = vi.fn();
    whenFailed(late);
    expect(late).toHaveBeenCalledWith('refused');
  });
  it('was refused when the page gets the script and the browser still says no', async () => {
    const { heard, done } = await page(new TypeError('Script load failed'), came);
    await done;
    expect(heard.mock.calls).toEqual([['refused']]);
  });
  it('did not come when the page cannot get the script either', async () => {
    for (const get of [lost, async () => new Response('', { status: 502 })]) {
      const { heard, done } = await page(new TypeError('Failed to fetch'), get);
      await done;
      expect(heard.mock.calls).toEqual([['unreachable']]);
    }
  });
  it('is no loss while an older one serves the page', async () => {
    const { heard, done } = await page(SSL, lost, {});
    await done;
    expect(heard).not.toHaveBeenCalled();
  });
  it('ends the wait of whoever enrols at once', async () => {
    vi.stubEnv('DEV', false);
    const { workerReady, done } = await page(SSL, lost);
    const ready = workerReady(60_000);
    await done;
    expect(await ready).toBe(false);
  });
});
