// A headless Chromium, spoken to over its debugging pipe (Chrome DevTools Protocol, one JSON message and a NUL each).
import { spawn } from 'node:child_process';

const kPatienceMs = 30_000;

function within(what, promise) {
    let timer;
    const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`gave up waiting for ${what}`)), kPatienceMs);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// One tab.
class Page {
    constructor(browser, session) {
        this.browser = browser;
        this.session = session;
        browser.listeners.set(session, (method, params) => this.heard(method, params));
    }

    heard(method, params) {
        if (method === 'Network.responseReceived' && params.type === 'Document') this.answer = params.response;
        if (method === 'Page.loadEventFired') this.loaded?.();
    }

    send(method, params = {}) {
        return this.browser.send(method, params, this.session);
    }

    async evaluate(expression) {
        const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
            expression,
            returnByValue: true,
            awaitPromise: true,
        });
        if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.text}`);
        return result.value;
    }

    // What is shown, when `begin` has led to another document.
    async arrive(what, begin) {
        const loaded = new Promise((done) => (this.loaded = done));
        await begin();
        await within(what, loaded);
        const { url, status, headers } = this.answer;
        return {
            url,
            status,
            headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
            title: await this.evaluate('document.title'),
            text: await this.evaluate('document.body.innerText'),
        };
    }

    open(url) {
        return this.arrive(url, async () => {
            const { errorText } = await this.send('Page.navigate', { url });
            if (errorText) throw new Error(`${url}: ${errorText}`);
        });
    }

    click(selector) {
        return this.arrive(`what follows ${selector}`, () =>
            this.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`),
        );
    }
}

export class Browser {
    constructor(program, profileDirectory) {
        // Without its sandbox, which wants more than a container gives: only pages of this machine are opened.
        const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server'];
        this.child = spawn(
            'setpriv',
            [
                ...['--pdeathsig', 'TERM', '--', program, ...flags],
                ...['--remote-debugging-pipe', `--user-data-dir=${profileDirectory}`, 'about:blank'],
            ],
            { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] },
        );
        this.said = '';
        this.child.stderr.on('data', (text) => (this.said += text));
        this.waiting = new Map();
        this.listeners = new Map();
        this.number = 0;
        let rest = '';
        this.child.stdio[4].setEncoding('utf8').on('data', (text) => {
            const messages = (rest + text).split('\0');
            rest = messages.pop();
            for (const message of messages) this.take(JSON.parse(message));
        });
        const ended = (why) => {
            for (const { fail } of this.waiting.values()) fail(new Error(`${program} ended: ${why}\n${this.said}`));
            this.waiting.clear();
        };
        this.exited = new Promise((done) => this.child.once('exit', done));
        this.child.once('error', (problem) => ended(problem.message));
        this.child.once('exit', (code, signal) => ended(signal ?? code));
        this.child.stdio[3].on('error', () => {});
    }

    take(message) {
        if (message.id === undefined) return this.listeners.get(message.sessionId)?.(message.method, message.params);
        const { done, fail } = this.waiting.get(message.id);
        this.waiting.delete(message.id);
        return message.error ? fail(new Error(message.error.message)) : done(message.result);
    }

    send(method, params = {}, sessionId = undefined) {
        const id = ++this.number;
        const answered = new Promise((done, fail) => this.waiting.set(id, { done, fail }));
        this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
        return within(method, answered);
    }

    async newPage() {
        const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
        const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
        const page = new Page(this, sessionId);
        await page.send('Page.enable');
        await page.send('Network.enable');
        return page;
    }

    async stop() {
        this.child.kill('SIGTERM');
        await within('the browser to end', this.exited);
        for (const pipe of this.child.stdio) pipe?.destroy();
    }
}
