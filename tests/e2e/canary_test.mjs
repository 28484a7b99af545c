// Secrets go where they belong and nowhere else, over a life in which much goes wrong, with everything logged.
// node canary_test.mjs BIN_DIR WORK_DIR
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Canaries, secret } from './canary.mjs';
import { Fleet, until } from './fleet.mjs';

const [binDir, workDir] = process.argv.slice(2).map((directory) => path.resolve(directory));

const kClientKey = secret('client-key');
const kSealedKey = secret('sealed-key');
const kForms = {
    plain: (text) => text,
    base64: (text) => Buffer.from(`x-api-key: ${text}\r\n`).toString('base64'),
    'base64 behind a name': (text) => Buffer.from(`joe:${text}`).toString('base64'),
    base64url: (text) => Buffer.from(`{"k":"${text}"}`).toString('base64url'),
    hex: (text) => Buffer.from(text).toString('hex').toUpperCase(),
    percent: (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join(''),
    component: (text) => encodeURIComponent(text),
};

// Whoever refuses a key repeats it.
const kRefusal = {
    status: 401,
    error: { type: 'authentication_error', message: `invalid x-api-key ${kSealedKey}` },
};
const kScripts = {
    subscription: {
        rules: [{ match: { model: 'subscribed' }, steps: [{ text: 'I am a subscription.' }] }],
        steps: [{ status: 529 }],
    },
    keyed: { rules: [{ match: { model: 'refused' }, steps: [{ status: 529 }] }], steps: [{ text: 'I am keyed.' }] },
    vault: { steps: [kRefusal] },
};

const fleet = new Fleet(binDir, path.join(workDir, 'state-canary'));
before(async () => {
    // It gets this one as well, once it is another provider's.
    fleet.canaries.add('the key of vault', kSealedKey);
    await fleet.start(kScripts, kClientKey, {
        oauth: ['subscription'],
        settings: { oauth: { allow_other_clients: true } },
        routes: { subscribed: ['subscription', 'keyed'], '*': ['keyed', 'subscription'] },
    });
});
after(() => fleet.stop('subscription'));  // also when a test before the last has failed

let sessions = 0;

async function message(model, more = {}) {
    const answer = await fleet.ask('POST', '/v1/messages', {
        model,
        max_tokens: 5,
        messages: [{ role: 'user', content: 'x' }],
        metadata: { user_id: `session-${++sessions}` },
        ...more,
    });
    const text = await answer.text();
    const [id] = `${[...answer.headers]} ${text}`.match(/bal_[0-9a-f]+/) ?? [];
    return { status: answer.status, by: answer.headers.get('x-provider-used'), text, id };
}

async function servedBy(model, provider) {
    await until(`${provider} to serve ${model}`, async () => (await message(model)).by === provider);
}

test('a secret is found in every form', () => {
    for (const text of [secret('form'), 'sk-ant-ort01-ab/cd+ef==gh']) {
        const canaries = new Canaries();
        canaries.add('it', text);
        for (const [form, write] of Object.entries(kForms)) {
            assert.equal(canaries.find(`before ${write(text)} behind`).length, 1, `${form} of ${text}`);
            assert.equal(canaries.find(Buffer.from(write(text))).length, 1, form);
        }
        assert.deepEqual(canaries.find(kForms.base64(secret('other'))), []);
    }
});

test('and in every file', () => {
    const planted = path.join(fleet.directory, 'dp1', 'planted.log');
    fs.writeFileSync(planted, kForms.base64(kClientKey));
    assert.deepEqual(fleet.leaks(), [`the client key (base64) in ${path.join('dp1', 'planted.log')}`]);
    fs.rmSync(planted);
});

test('an account is logged in, serves and is refreshed', async () => {
    assert.equal((await message('subscribed')).by, 'keyed');
    await fleet.logIn('joe');
    await servedBy('subscribed', 'subscription/joe');
    assert.equal((await message('subscribed', { stream: true })).status, 200);
    assert.equal((await fleet.balancerctl(['providers', 'test', 'subscription', '--model', 'subscribed'])).code, 0);
    assert.equal((await fleet.ask('POST', '/oauth/refresh/joe')).status, 200);
    assert.equal((await fleet.balancerctl(['oauth', 'refresh', 'joe'])).code, 0);
    await servedBy('subscribed', 'subscription/joe');
});

test('a key is handed over, refused and replaced', async () => {
    const add = ['providers', 'add', 'sealed', '--type', 'anthropic', '--base-url', `http://${fleet.providers.vault.address}`];
    const given = await fleet.balancerctl(
        [...add, '--auth-type', 'api_key', '--key-stdin', '--route', 'refused', '--priority', '1', '--wait'], `${kSealedKey}\n`,
    );
    assert.equal(given.code, 0, given.said);
    const refused = await message('refused');
    assert.equal(refused.status, 503);
    assert.match(refused.text, /sealed: auth \(401\) invalid x-api-key \[redacted\]/);
    assert.equal((await fleet.balancerctl(['explain', refused.id])).code, 0);
    await fleet.balancerctl(['providers', 'test', 'sealed', '--model', 'refused']);
    assert.equal((await fleet.balancerctl(['keys', 'rotate'])).code, 0);
    await fleet.observe();
});

test('what is asked wrongly is answered without a secret', async () => {
    const wrong = await fetch(`${fleet.baseURL}/v1/messages`, { method: 'POST', headers: { 'x-api-key': 'wrong' }, body: '{}' });
    assert.equal(wrong.status, 401);
    await wrong.text();
    for (const [method, target] of [
        ['POST', '/oauth/refresh/nobody'], ['GET', '/oauth/callback?code=c&state=forged'], ['DELETE', '/oauth/tokens/nobody'],
    ]) {
        const answer = await fleet.ask(method, target);
        assert.ok(answer.status >= 400);
        await answer.text();
    }
    assert.equal((await message('subscribed', { messages: 'none' })).status < 600, true);
});

test('what is on disk while they run is kept', () => {
    fleet.takeSnapshot();
    const journal = path.join(fleet.directory, 'snapshot', 'control', 'control-plane.db-wal');
    assert.ok(fs.statSync(journal).size > 0);
});

test('a data plane starts from its own state', async () => {
    const dp2 = fleet.programs.find((program) => program.name === 'dp2');
    assert.equal(await dp2.stop(), 0);
    await fleet.startDataPlane('dp2', fleet.baseURL.slice('http://'.length));
    await servedBy('subscribed', 'subscription/joe');
});

test('no secret is where it does not belong', async () => {
    assert.deepEqual(await fleet.stop('subscription'), []);
    // That there was something to find: three tokens of each kind, and those of the first and the last were sent.
    assert.equal(fleet.issued.access_tokens.length, 3);
    assert.equal(fleet.issued.refresh_tokens.length, 3);
    const received = JSON.stringify(fleet.providers.subscription.requests('subscribed').map((request) => request.headers));
    assert.ok(fleet.issued.access_tokens.filter((token) => received.includes(token)).length >= 2);
    assert.ok(fs.statSync(path.join(fleet.controlState, 'events.jsonl')).size > 0);
    assert.match(fs.readFileSync(path.join(fleet.controlState, 'events.jsonl'), 'utf8'), /"debug"/i);
    const places = new Set(fleet.said.map(([where]) => where));
    for (const where of ['/metrics of control', '/metrics of dp1', 'balancerctl oauth status', 'balancerctl -o json events']) {
        assert.ok(places.has(where), where);
    }
    await assert.rejects(fetch(`${fleet.baseURL}/health`));
});
