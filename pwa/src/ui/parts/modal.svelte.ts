/** How many modal dialogs lie over the screen. */

class Modals {
  count = $state(0);
}

export const modals = new Modals();
