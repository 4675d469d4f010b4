/** What the screens of tablet and operator say; imported by each of them before it says anything. */

import zh from '../../../../schema/i18n/zh-CN.json?surfaces';
import { words } from '../words.svelte.ts';

words.learn(zh);
