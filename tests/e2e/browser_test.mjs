// Logins as people make them: in a browser, through the identity provider's consent page and back to the balancer's own.
// node browser_test.mjs BIN_DIR WORK_DIR
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Browser } from './browser.mjs';
import { secret } from './canary.mjs';
import { Fleet, until } from './fleet.mjs';

const [binDir, workDir] = process.argv.slice(2).map((directory) => path.resolve(directory));
// A browser has no client key.
const kSettings = {
    auth: { enabled: false },
    oauth: { redirect_uri: 'http://localhost/oauth/callback' },
};

const fleet = new Fleet(binDir, path.join(workDir, 'browser-state'));
const profile = path.join(workDir, 'browser-profile');
let browser;
let authorize;
const secrets = []; // codes and states

before(async () => {
    await fleet.start({ claude: {} }, secret('client-key'), { oauth: ['claude'], settings: kSettings });
    authorize = `${fleet.baseURL}/oauth/authorize`;
    fs.rmSync(profile, { recursive: true, force: true });
    const program = execFileSync('sh', ['-c', 'command -v chromium-headless-shell || command -v chromium']);
    browser = new Browser(program.toString().trim(), profile);
});
after(async () => {
    await browser?.stop();
    const wrong = await fleet.stop('claude');
    if (wrong.length > 0) throw new Error(`what was wrong: ${wrong.join('\n')}`);
});

const callback = (query) => `${fleet.baseURL}/oauth/callback?${new URLSearchParams(query)}`;
const state = async () => (await (await fetch(`${authorize}?format=json`)).json()).state;
const status = async () => (await fetch(`${fleet.baseURL}/oauth/status`)).json();

// A page of ours, fit for a browser.
function checkPage(page, httpStatus, words) {
    assert.equal(page.status, httpStatus, page.text);
    for (const word of words) assert.ok(page.text.includes(word), `${word} is not in: ${page.text}`);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(page.headers['cache-control'], 'no-store');
    assert.equal(page.headers['referrer-policy'], 'no-referrer');
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    assert.match(page.headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/);
    for (const name of ['code', 'state']) {
        const value = new URL(page.url).searchParams.get(name);
        if (value?.length > 8) secrets.push(value);
    }
}

async function consentPage(from = authorize) {
    const page = await browser.newPage();
    const consent = await page.open(from);
    assert.ok(consent.url.startsWith(`${fleet.idp.authorize_url}?`), consent.url);
    return page;
}

function ask() {
    return fetch(`${fleet.baseURL}/v1/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', 'user-agent': 'claude-cli/2.0.0' },
        body: JSON.stringify({ model: 'm-of-joe', max_tokens: 9, messages: [{ role: 'user', content: 'hello' }] }),
    });
}

describe('a login in a browser', () => {
    test('ends on a page that says so, and requests go out with its token', async () => {
        assert.equal((await ask()).status, 503, 'nobody is logged in');
        const page = await consentPage();
        const done = await page.click('#allow');
        const port = new URL(fleet.baseURL).port;
        assert.ok(done.url.startsWith(`http://localhost:${port}/oauth/callback?`), done.url);
        checkPage(done, 200, ['Logged in', 'joe@example.com', 'Used by claude']);
        await until('the account to serve', async () => (await ask()).status === 200);
        const requests = () => fleet.providers.claude.requests('m-of-joe');
        await until('the provider to have written the request down', () => requests().length > 0);
        const bearer = requests().at(-1).headers.find(([name]) => /^authorization$/i.test(name))[1];
        const preview = createHash('sha256').update(bearer.replace('Bearer ', '')).digest('hex').slice(0, 8);
        assert.equal((await status()).tokens[0].access_token_preview, `sha256:${preview}`);
        checkPage(await page.open(done.url), 400, ['Not logged in', 'has come back before', 'balancerctl oauth']);
        assert.equal((await status()).summary.healthy_tokens, 1, 'the second visit changed nothing');
    });

    test('comes back to the port at which it began, by either name of this machine', async () => {
        const page = await consentPage(authorize.replace('127.0.0.1', 'localhost'));
        checkPage(await page.click('#allow'), 200, ['Logged in']);
    });

    test('may go on beside another', async () => {
        const [first, second] = [await consentPage(), await consentPage()];
        checkPage(await second.click('#allow'), 200, ['Logged in']);
        checkPage(await first.click('#allow'), 200, ['Logged in']);
    });

    test('may be denied, and is over then', async () => {
        const page = await consentPage();
        const denied = await page.click('#deny');
        checkPage(denied, 400, ['Not logged in', 'access_denied: The user said no.', '/oauth/authorize']);
        checkPage(await page.open(denied.url), 400, ['has come back before']);
    });

    test('that nobody began is none', async () => {
        const page = await browser.newPage();
        checkPage(await page.open(callback({ code: 'c', state: 'forged' })), 400, ['no login with this state', '/oauth/authorize']);
        checkPage(await page.open(callback({})), 400, ['lacks the code or the state']);
        const lie = await page.open(callback({ error: 'e', error_description: 'Call this number.', state: 'forged' }));
        checkPage(lie, 400, ['no login with this state']);
        assert.ok(!lie.text.includes('Call this number'), lie.text);
    });

    test('shows what the provider says as text', async () => {
        const page = await browser.newPage();
        const words = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">&amp;`;
        const shown = await page.open(callback({ error: '<b>bad</b>', error_description: words, state: await state() }));
        checkPage(shown, 400, [words, '<b>bad</b>']);
        assert.equal(shown.title, 'Not logged in');
        assert.equal(await page.evaluate('document.querySelectorAll("script, img, b").length'), 0);
    });

    test('is of no use to a page of another origin', async () => {
        const account = (await status()).tokens[0];
        const page = await consentPage();
        const refresh = (from) => from.evaluate(
            `fetch('${fleet.baseURL}/oauth/refresh/${account.account_email}', { method: 'POST', mode: 'no-cors' }).then((a) => a.status)`,
        );
        await refresh(page);
        assert.equal((await status()).tokens[0].generation, account.generation, 'nothing was refreshed');
        await fetch(`${fleet.baseURL}/oauth/refresh/${account.account_email}`, { method: 'POST' });
        assert.equal((await status()).tokens[0].generation, account.generation + 1, 'a program may');
    });

    test('leaves neither code nor state behind', async () => {
        assert.ok(secrets.length >= 8, `${secrets.length}`);
        const files = fs
            .readdirSync(fleet.directory, { recursive: true, withFileTypes: true })
            .filter((file) => file.isFile())
            .map((file) => path.join(file.parentPath ?? file.path, file.name));
        // Access records are written with a delay.
        const text = () => files.map((file) => fs.readFileSync(file, 'latin1')).join('\n');
        await until('the access records', () => text().split('"path":"/oauth/callback"').length > 8);
        const all = text();
        for (const secret of secrets) assert.ok(!all.includes(secret), secret);
    });

    test('cannot come back while the control plane is away, and is told why', async () => {
        const page = await browser.newPage();
        const url = callback({ code: 'c', state: await state() });
        await fleet.stopControlPlane();
        await until('the data plane to notice', async () => (await fetch(url, { method: 'HEAD' })).status === 503);
        const away = await page.open(url);
        assert.equal(away.status, 503);
        assert.match(away.text, /control plane cannot be reached/);
    });
});
