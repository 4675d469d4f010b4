import { mount } from 'svelte';
import '../../static/css/tokens.css';
import './ui/app.css';
import App from './ui/App.svelte';
import { registerServiceWorker } from './sw/register.ts';

mount(App, { target: document.getElementById('app')! });

if (import.meta.env.PROD) void registerServiceWorker().catch(() => undefined);
