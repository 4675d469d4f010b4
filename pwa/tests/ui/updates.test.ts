import { beforeEach, describe, expect, it, vi } from 'vitest';

/** A page that a worker controls, and that worker's successor taking over. */
async function page() {
  vi.resetModules();
  const container = Object.assign(new EventTarget(), {
    controller: {},
    register: async () => Object.assign(new EventTarget(), { waiting: null, active: {}, installing: null }),
  });
  const reload = vi.fn();
  vi.stubGlobal('navigator', { serviceWorker: container });
  vi.stubGlobal('location', { reload });
  vi.stubGlobal('document', { documentElement: { dataset: {} } });
  const register = await import('../../src/sw/register.ts');
  await register.registerServiceWorker('/app/');
  return { ...register, reload, takeOver: () => container.dispatchEvent(new Event('controllerchange')) };
}

describe('a new version that another tab took', () => {
  beforeEach(() => vi.unstubAllGlobals());

  it('reloads a tab that is not busy, once', async () => {
    const { reload, takeOver } = await page();
    takeOver();
    takeOver();
    expect(reload).toHaveBeenCalledTimes(1);
  });
  it('leaves a busy tab alone, which offers it instead', async () => {
    const { reload, takeOver, reloadOnlyIf, onUpdateReady } = await page();
    const offered = vi.fn();
    onUpdateReady(offered);
    reloadOnlyIf(() => false);
    takeOver();
    expect(reload).not.toHaveBeenCalled();
    expect(offered).toHaveBeenCalledWith(expect.any(Function), true);
    const later = vi.fn((apply: () => void) => apply());
    onUpdateReady(later);
    expect(reload).toHaveBeenCalledTimes(1);
  });
});
